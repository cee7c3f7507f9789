// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleet is the loops' view of the API: one informer and one client a kind, and both scopes of a kind behind one type. It
// holds no rules of any loop.
package fleet

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	clusterinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/cluster/v1beta1"
	placementinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// Indexes of the caches. Their values are keys, see Kind.ByIndex.
const (
	// ByOverride finds override snapshots by their override.
	ByOverride = "override"
	// ByPlacement finds bindings, snapshots, policy snapshots and runs by their placement.
	ByPlacement = "placement"
	// ByStrategy finds runs by their strategy.
	ByStrategy = "strategy"
	// ByRun finds approval requests by their run.
	ByRun = "run"
	// ByCluster finds bindings by their member cluster; the value is {binding's namespace, cluster}.
	ByCluster = "cluster"
)

// Fleet has everything of the API that loops read and write.
type Fleet struct {
	// Clientset writes kinds that have one scope only.
	Clientset versioned.Interface

	Placements        Kind[v1beta1.PlacementObject]
	Runs              Kind[v1beta1.UpdateRunObject]
	Strategies        Kind[v1beta1.UpdateStrategyObject]
	Approvals         Kind[v1beta1.ApprovalRequestObject]
	Snapshots         Kind[v1beta1.ResourceSnapshotObject]
	PolicySnapshots   Kind[v1beta1.PolicySnapshotObject]
	Bindings          Kind[v1beta1.BindingObject]
	Overrides         Kind[v1beta1.OverrideObject]
	OverrideSnapshots Kind[v1beta1.OverrideSnapshotObject]

	// Works of all members.
	Works placementinformers.WorkInformer
	// MemberClusters of the fleet.
	MemberClusters clusterinformers.MemberClusterInformer

	factory externalversions.SharedInformerFactory
}

// New makes the view. Its informers run from Start on.
func New(clientset versioned.Interface) *Fleet {
	factory := externalversions.NewSharedInformerFactory(clientset, 0)
	client, informers := clientset.PlacementV1beta1(), factory.Placement().V1beta1()

	f := &Fleet{
		Clientset:      clientset,
		Works:          informers.Works(),
		MemberClusters: factory.Cluster().V1beta1().MemberClusters(),
		factory:        factory,
	}
	f.Placements = Kind[v1beta1.PlacementObject]{
		cluster: newScope[v1beta1.PlacementObject]("ClusterResourcePlacement", "clusterresourceplacements",
			informers.ClusterResourcePlacements().Informer(), func(string) typedClient[*v1beta1.ClusterResourcePlacement] {
				return client.ClusterResourcePlacements()
			}),
		namespaced: newScope[v1beta1.PlacementObject]("ResourcePlacement", "resourceplacements",
			informers.ResourcePlacements().Informer(), func(ns string) typedClient[*v1beta1.ResourcePlacement] {
				return client.ResourcePlacements(ns)
			}),
	}
	f.Runs = Kind[v1beta1.UpdateRunObject]{
		cluster: newScope[v1beta1.UpdateRunObject]("ClusterStagedUpdateRun", "clusterstagedupdateruns",
			informers.ClusterStagedUpdateRuns().Informer(), func(string) typedClient[*v1beta1.ClusterStagedUpdateRun] {
				return client.ClusterStagedUpdateRuns()
			}),
		namespaced: newScope[v1beta1.UpdateRunObject]("StagedUpdateRun", "stagedupdateruns",
			informers.StagedUpdateRuns().Informer(), func(ns string) typedClient[*v1beta1.StagedUpdateRun] {
				return client.StagedUpdateRuns(ns)
			}),
	}
	f.Strategies = Kind[v1beta1.UpdateStrategyObject]{
		cluster: newScope[v1beta1.UpdateStrategyObject]("ClusterStagedUpdateStrategy", "clusterstagedupdatestrategies",
			informers.ClusterStagedUpdateStrategies().Informer(), func(string) typedClient[*v1beta1.ClusterStagedUpdateStrategy] {
				return client.ClusterStagedUpdateStrategies()
			}),
		namespaced: newScope[v1beta1.UpdateStrategyObject]("StagedUpdateStrategy", "stagedupdatestrategies",
			informers.StagedUpdateStrategies().Informer(), func(ns string) typedClient[*v1beta1.StagedUpdateStrategy] {
				return client.StagedUpdateStrategies(ns)
			}),
	}
	f.Approvals = Kind[v1beta1.ApprovalRequestObject]{
		cluster: newScope[v1beta1.ApprovalRequestObject]("ClusterApprovalRequest", "clusterapprovalrequests",
			informers.ClusterApprovalRequests().Informer(), func(string) typedClient[*v1beta1.ClusterApprovalRequest] {
				return client.ClusterApprovalRequests()
			}),
		namespaced: newScope[v1beta1.ApprovalRequestObject]("ApprovalRequest", "approvalrequests",
			informers.ApprovalRequests().Informer(), func(ns string) typedClient[*v1beta1.ApprovalRequest] {
				return client.ApprovalRequests(ns)
			}),
	}
	f.Snapshots = Kind[v1beta1.ResourceSnapshotObject]{
		cluster: newScope[v1beta1.ResourceSnapshotObject]("ClusterResourceSnapshot", "clusterresourcesnapshots",
			informers.ClusterResourceSnapshots().Informer(), func(string) typedClient[*v1beta1.ClusterResourceSnapshot] {
				return client.ClusterResourceSnapshots()
			}),
		namespaced: newScope[v1beta1.ResourceSnapshotObject]("ResourceSnapshot", "resourcesnapshots",
			informers.ResourceSnapshots().Informer(), func(ns string) typedClient[*v1beta1.ResourceSnapshot] {
				return client.ResourceSnapshots(ns)
			}),
	}
	f.PolicySnapshots = Kind[v1beta1.PolicySnapshotObject]{
		cluster: newScope[v1beta1.PolicySnapshotObject]("ClusterSchedulingPolicySnapshot", "clusterschedulingpolicysnapshots",
			informers.ClusterSchedulingPolicySnapshots().Informer(), func(string) typedClient[*v1beta1.ClusterSchedulingPolicySnapshot] {
				return client.ClusterSchedulingPolicySnapshots()
			}),
		namespaced: newScope[v1beta1.PolicySnapshotObject]("SchedulingPolicySnapshot", "schedulingpolicysnapshots",
			informers.SchedulingPolicySnapshots().Informer(), func(ns string) typedClient[*v1beta1.SchedulingPolicySnapshot] {
				return client.SchedulingPolicySnapshots(ns)
			}),
	}
	f.Bindings = Kind[v1beta1.BindingObject]{
		cluster: newScope[v1beta1.BindingObject]("ClusterResourceBinding", "clusterresourcebindings",
			informers.ClusterResourceBindings().Informer(), func(string) typedClient[*v1beta1.ClusterResourceBinding] {
				return client.ClusterResourceBindings()
			}),
		namespaced: newScope[v1beta1.BindingObject]("ResourceBinding", "resourcebindings",
			informers.ResourceBindings().Informer(), func(ns string) typedClient[*v1beta1.ResourceBinding] {
				return client.ResourceBindings(ns)
			}),
	}
	f.Overrides = Kind[v1beta1.OverrideObject]{
		cluster: newScope[v1beta1.OverrideObject]("ClusterResourceOverride", "clusterresourceoverrides",
			informers.ClusterResourceOverrides().Informer(), func(string) typedClient[*v1beta1.ClusterResourceOverride] {
				return client.ClusterResourceOverrides()
			}),
		namespaced: newScope[v1beta1.OverrideObject]("ResourceOverride", "resourceoverrides",
			informers.ResourceOverrides().Informer(), func(ns string) typedClient[*v1beta1.ResourceOverride] {
				return client.ResourceOverrides(ns)
			}),
	}
	f.OverrideSnapshots = Kind[v1beta1.OverrideSnapshotObject]{
		cluster: newScope[v1beta1.OverrideSnapshotObject]("ClusterResourceOverrideSnapshot", "clusterresourceoverridesnapshots",
			informers.ClusterResourceOverrideSnapshots().Informer(), func(string) typedClient[*v1beta1.ClusterResourceOverrideSnapshot] {
				return client.ClusterResourceOverrideSnapshots()
			}),
		namespaced: newScope[v1beta1.OverrideSnapshotObject]("ResourceOverrideSnapshot", "resourceoverridesnapshots",
			informers.ResourceOverrideSnapshots().Informer(), func(ns string) typedClient[*v1beta1.ResourceOverrideSnapshot] {
				return client.ResourceOverrideSnapshots(ns)
			}),
	}
	// Informers of the kinds with one scope exist once they are asked for.
	f.Works.Informer()
	f.MemberClusters.Informer()

	addIndex(f.Bindings, ByPlacement, byParentLabel[v1beta1.BindingObject])
	addIndex(f.Bindings, ByCluster, func(b v1beta1.BindingObject) string { return b.BindingSpec().TargetCluster })
	addIndex(f.Snapshots, ByPlacement, byParentLabel[v1beta1.ResourceSnapshotObject])
	addIndex(f.PolicySnapshots, ByPlacement, byParentLabel[v1beta1.PolicySnapshotObject])
	addIndex(f.Runs, ByPlacement, func(r v1beta1.UpdateRunObject) string { return r.RunSpec().PlacementName })
	addIndex(f.Runs, ByStrategy, func(r v1beta1.UpdateRunObject) string { return r.RunSpec().StagedUpdateStrategyName })
	addIndex(f.Approvals, ByRun, func(a v1beta1.ApprovalRequestObject) string { return a.RequestSpec().TargetUpdateRun })
	addIndex(f.OverrideSnapshots, ByOverride, func(o v1beta1.OverrideSnapshotObject) string {
		return o.GetLabels()[wellknown.ParentOverrideLabel]
	})
	return f
}

// Start runs the informers until stop is closed.
func (f *Fleet) Start(stop <-chan struct{}) { f.factory.Start(stop) }

// WaitForSync waits until every cache is filled, and says false when stop was closed before.
func (f *Fleet) WaitForSync(stop <-chan struct{}) bool {
	for _, synced := range f.factory.WaitForCacheSync(stop) {
		if !synced {
			return false
		}
	}
	return true
}

func newScope[O Object, T any, P interface {
	*T
	Object
}](kind, resource string, informer cache.SharedIndexInformer, client func(namespace string) typedClient[P]) scope[O] {
	return scope[O]{
		kind:     kind,
		resource: resource,
		informer: informer,
		client:   func(namespace string) Client[O] { return untyped[O, P]{client(namespace)} },
		empty:    func() O { return any(P(new(T))).(O) },
	}
}

func byParentLabel[O Object](obj O) string { return obj.GetLabels()[wellknown.ParentPlacementLabel] }

func addIndex[O Object](k Kind[O], name string, value func(O) string) {
	indexers := cache.Indexers{name: func(obj any) ([]string, error) {
		o, ok := obj.(O)
		if !ok {
			return nil, fmt.Errorf("index %s: %T is of another kind", name, obj)
		}
		if v := value(o); v != "" {
			return []string{reconcile.Key{Namespace: metav1.Object(o).GetNamespace(), Name: v}.String()}, nil
		}
		return nil, nil
	}}
	for _, informer := range k.Informers() {
		if err := informer.AddIndexers(indexers); err != nil {
			// Only a second index of that name, or a running informer, is refused.
			panic(err)
		}
	}
}

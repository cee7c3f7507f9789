// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleet is the controllers' view of the API: an informer and a client for each kind, and the indexes of the caches. It holds no
// rules of any controller.
package fleet

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	clusterinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/cluster/v1beta1"
	placementinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/placement/v1beta1"
	rolloutinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// Indexes of the caches. Their values are keys, see Kind.ByIndex, but for those of ByLabelRead and ByPropertyRead.
const (
	// ByOverride finds override snapshots by their override.
	ByOverride = "override"
	// ByPlacement finds bindings, snapshots, policy snapshots, runs and Works by their placement. See Fleet.WorksOf for the Works.
	ByPlacement = "placement"
	// ByStrategy finds runs by their strategy.
	ByStrategy = "strategy"
	// ByRun finds approval requests by their run.
	ByRun = "run"
	// ByCluster finds bindings by their member cluster; the value is {binding's namespace, cluster}.
	ByCluster = "cluster"
	// ByLabelRead and ByPropertyRead find placements by the labels and properties of clusters that their policies read, see Kind.ByValue.
	ByLabelRead    = "label"
	ByPropertyRead = "property"
	// ByBinding finds Works by their binding and their member cluster, see Fleet.WorksOfBinding.
	ByBinding = "binding"
	// ByPlacementOnCluster finds Works by their placement and their member cluster, see Fleet.WorksOn.
	ByPlacementOnCluster = "placement-on-cluster"
	// ByReported finds Works by the objects of the hub whose status they report, see Fleet.Reporting.
	ByReported = "reported"
)

type (
	// Object is what every API object is.
	Object = scoped.Object
	// Client writes and reads objects of one kind and scope.
	Client[O Object] = scoped.Client[O]
)

// Kind is both scopes of a kind, which a controller can watch.
type Kind[O Object] struct{ scoped.Kind[O] }

// Watch feeds a controller from both scopes.
func (k Kind[O]) Watch(queue *reconcile.Queue, f reconcile.MapFunc) {
	for _, informer := range k.Informers() {
		queue.Watch(informer, f)
	}
}

// Copy makes an object from the cache one that may be changed.
func Copy[O Object](obj O) O { return obj.DeepCopyObject().(O) }

// Fleet has everything of the API that controllers read and write.
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
	Policies          Kind[v1alpha1.RolloutPolicyObject]

	// Works of all members.
	Works placementinformers.WorkInformer
	// Evictions of cluster-scoped placements.
	Evictions placementinformers.ClusterResourcePlacementEvictionInformer
	// Mirrors are the statuses of cluster-scoped placements in the namespaces that they place.
	Mirrors placementinformers.ClusterResourcePlacementStatusInformer
	// MemberClusters of the fleet.
	MemberClusters clusterinformers.MemberClusterInformer
	// Sinks of notifications.
	Sinks rolloutinformers.NotificationSinkInformer
	// Namespaces of the hub, nil where nobody watches them. Set it before anything else is done with the view. Whoever made the informer
	// starts it.
	Namespaces coreinformers.NamespaceInformer

	factory externalversions.SharedInformerFactory
}

// New makes the view. Its informers run from Start on.
func New(clientset versioned.Interface) *Fleet {
	factory := externalversions.NewSharedInformerFactory(clientset, 0)
	client, informers := clientset.PlacementV1beta1(), factory.Placement().V1beta1()

	f := &Fleet{
		Clientset:      clientset,
		Works:          informers.Works(),
		Evictions:      informers.ClusterResourcePlacementEvictions(),
		Mirrors:        informers.ClusterResourcePlacementStatuses(),
		MemberClusters: factory.Cluster().V1beta1().MemberClusters(),
		Sinks:          factory.Rollout().V1alpha1().NotificationSinks(),
		factory:        factory,
	}
	f.Placements = Kind[v1beta1.PlacementObject]{scoped.Placements(client, informers)}
	f.Runs = Kind[v1beta1.UpdateRunObject]{scoped.Runs(client, informers)}
	f.Strategies = Kind[v1beta1.UpdateStrategyObject]{scoped.Strategies(client, informers)}
	f.Approvals = Kind[v1beta1.ApprovalRequestObject]{scoped.Approvals(client, informers)}
	f.Snapshots = Kind[v1beta1.ResourceSnapshotObject]{scoped.Snapshots(client, informers)}
	f.PolicySnapshots = Kind[v1beta1.PolicySnapshotObject]{scoped.PolicySnapshots(client, informers)}
	f.Bindings = Kind[v1beta1.BindingObject]{scoped.Bindings(client, informers)}
	f.Overrides = Kind[v1beta1.OverrideObject]{scoped.Overrides(client, informers)}
	f.OverrideSnapshots = Kind[v1beta1.OverrideSnapshotObject]{scoped.OverrideSnapshots(client, informers)}
	f.Policies = Kind[v1alpha1.RolloutPolicyObject]{scoped.Policies(clientset.RolloutV1alpha1(), factory.Rollout().V1alpha1())}
	// Informers of the kinds with one scope exist once they are asked for.
	addIndexers(f.Works.Informer(), ByPlacement, func(work *v1beta1.Work) []string { return []string{PlacementOf(work).String()} })
	addIndexers(f.Works.Informer(), ByBinding, func(work *v1beta1.Work) []string {
		binding := reconcile.Key{Namespace: work.Labels[wellknown.ParentNamespaceLabel], Name: work.Labels[wellknown.ParentBindingLabel]}
		return []string{onCluster(binding, work.Namespace)}
	})
	addIndexers(f.Works.Informer(), ByPlacementOnCluster, func(work *v1beta1.Work) []string {
		return []string{onCluster(PlacementOf(work), work.Namespace)}
	})
	addIndexers(f.Works.Informer(), ByReported, func(work *v1beta1.Work) []string {
		var keys []string
		for _, r := range reportback.Reports(work) {
			keys = append(keys, reportback.Key(r.ID))
		}
		return keys
	})
	f.Evictions.Informer()
	f.Mirrors.Informer()
	f.MemberClusters.Informer()
	f.Sinks.Informer()

	addValues(f.Placements, ByLabelRead, func(p v1beta1.PlacementObject) []string {
		labels, _ := clusterfilter.Reads(p.PlacementSpec().Policy)
		return labels
	})
	addValues(f.Placements, ByPropertyRead, func(p v1beta1.PlacementObject) []string {
		_, properties := clusterfilter.Reads(p.PlacementSpec().Policy)
		return properties
	})
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

// WaitForSync waits until every cache is filled, and returns false when stop was closed before.
func (f *Fleet) WaitForSync(stop <-chan struct{}) bool {
	for _, synced := range f.factory.WaitForCacheSync(stop) {
		if !synced {
			return false
		}
	}
	return f.Namespaces == nil || cache.WaitForCacheSync(stop, f.Namespaces.Informer().HasSynced)
}

func byParentLabel[O Object](obj O) string { return obj.GetLabels()[wellknown.ParentPlacementLabel] }

func addIndex[O Object](k Kind[O], name string, value func(O) string) {
	addValues(k, name, func(o O) []string {
		if v := value(o); v != "" {
			return []string{reconcile.Key{Namespace: metav1.Object(o).GetNamespace(), Name: v}.String()}
		}
		return nil
	})
}

func addValues[O Object](k Kind[O], name string, values func(O) []string) {
	for _, informer := range k.Informers() {
		addIndexers(informer, name, values)
	}
}

func addIndexers[O any](informer cache.SharedIndexInformer, name string, values func(O) []string) {
	indexers := cache.Indexers{name: func(obj any) ([]string, error) {
		o, ok := obj.(O)
		if !ok {
			return nil, fmt.Errorf("index %s: %T is of another kind", name, obj)
		}
		return values(o), nil
	}}
	if err := informer.AddIndexers(indexers); err != nil {
		// Only a second index of that name, or a running informer, is refused.
		panic(err)
	}
}

// WorksOf are the Works of a placement on all clusters.
func (f *Fleet) WorksOf(placement reconcile.Key) []*v1beta1.Work {
	return f.works(ByPlacement, placement.String())
}

// WorksOn are the Works of a placement on a cluster.
func (f *Fleet) WorksOn(placement reconcile.Key, cluster string) []*v1beta1.Work {
	return f.works(ByPlacementOnCluster, onCluster(placement, wellknown.MemberNamespace(cluster)))
}

// WorksOfBinding are the Works of a binding on its cluster, by name.
func (f *Fleet) WorksOfBinding(binding v1beta1.BindingObject) []*v1beta1.Work {
	memberNamespace := wellknown.MemberNamespace(binding.BindingSpec().TargetCluster)
	works := f.works(ByBinding, onCluster(reconcile.KeyOf(binding), memberNamespace))
	slices.SortFunc(works, func(a, b *v1beta1.Work) int { return strings.Compare(a.Name, b.Name) })
	return works
}

// Reporting are the Works of all members that report the status of an object of the hub.
func (f *Fleet) Reporting(id v1beta1.WorkResourceIdentifier) []*v1beta1.Work {
	return f.works(ByReported, reportback.Key(id))
}

func (f *Fleet) works(index, value string) []*v1beta1.Work {
	// Only an index that does not exist is an error.
	found, _ := f.Works.Informer().GetIndexer().ByIndex(index, value)
	works := make([]*v1beta1.Work, 0, len(found))
	for _, obj := range found {
		if work, ok := obj.(*v1beta1.Work); ok {
			works = append(works, work)
		}
	}
	return works
}

// PlacementOf is the placement of a Work, as its labels name it.
func PlacementOf(work *v1beta1.Work) reconcile.Key {
	return reconcile.Key{Namespace: work.Labels[wellknown.ParentNamespaceLabel], Name: work.Labels[wellknown.ParentPlacementLabel]}
}

// onCluster is a value of ByBinding and ByPlacementOnCluster. No name has a slash.
func onCluster(of reconcile.Key, memberNamespace string) string {
	return memberNamespace + "/" + of.Namespace + "/" + of.Name
}

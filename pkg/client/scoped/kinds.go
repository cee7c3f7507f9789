// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scoped

import (
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	rolloutclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/rollout/v1alpha1"
	placementinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/placement/v1beta1"
	rolloutinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/rollout/v1alpha1"
)

// The kinds, one function each: an informer exists once it is asked for, and nobody wants all of them.

// Placements are ClusterResourcePlacement and ResourcePlacement.
func Placements(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.PlacementObject] {
	return newKind[v1beta1.PlacementObject](v1beta1.SchemeGroupVersion, informers.ClusterResourcePlacements().Informer(), api.ClusterResourcePlacements, informers.ResourcePlacements().Informer(), api.ResourcePlacements)
}

// PlacementClient reads and writes the placements of a namespace, or the cluster-scoped ones, for those who want no cache of them.
func PlacementClient(api placementclient.PlacementV1beta1Interface, namespace string) Client[v1beta1.PlacementObject] {
	return newKind[v1beta1.PlacementObject](v1beta1.SchemeGroupVersion, nil, api.ClusterResourcePlacements, nil, api.ResourcePlacements).Client(namespace)
}

// Runs are ClusterStagedUpdateRun and StagedUpdateRun.
func Runs(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.UpdateRunObject] {
	return newKind[v1beta1.UpdateRunObject](v1beta1.SchemeGroupVersion, informers.ClusterStagedUpdateRuns().Informer(), api.ClusterStagedUpdateRuns, informers.StagedUpdateRuns().Informer(), api.StagedUpdateRuns)
}

// RunClient reads and writes the runs of a namespace, or the cluster-scoped ones, for those who want no cache of them.
func RunClient(api placementclient.PlacementV1beta1Interface, namespace string) Client[v1beta1.UpdateRunObject] {
	return newKind[v1beta1.UpdateRunObject](v1beta1.SchemeGroupVersion, nil, api.ClusterStagedUpdateRuns, nil, api.StagedUpdateRuns).Client(namespace)
}

// Strategies are ClusterStagedUpdateStrategy and StagedUpdateStrategy.
func Strategies(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.UpdateStrategyObject] {
	return newKind[v1beta1.UpdateStrategyObject](v1beta1.SchemeGroupVersion, informers.ClusterStagedUpdateStrategies().Informer(), api.ClusterStagedUpdateStrategies, informers.StagedUpdateStrategies().Informer(), api.StagedUpdateStrategies)
}

// Approvals are ClusterApprovalRequest and ApprovalRequest.
func Approvals(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.ApprovalRequestObject] {
	return newKind[v1beta1.ApprovalRequestObject](v1beta1.SchemeGroupVersion, informers.ClusterApprovalRequests().Informer(), api.ClusterApprovalRequests, informers.ApprovalRequests().Informer(), api.ApprovalRequests)
}

// ApprovalClient reads and writes the approval requests of a namespace, or the cluster-scoped ones, for those who want no cache of them.
func ApprovalClient(api placementclient.PlacementV1beta1Interface, namespace string) Client[v1beta1.ApprovalRequestObject] {
	return newKind[v1beta1.ApprovalRequestObject](v1beta1.SchemeGroupVersion, nil, api.ClusterApprovalRequests, nil, api.ApprovalRequests).Client(namespace)
}

// Snapshots are ClusterResourceSnapshot and ResourceSnapshot.
func Snapshots(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.ResourceSnapshotObject] {
	return newKind[v1beta1.ResourceSnapshotObject](v1beta1.SchemeGroupVersion, informers.ClusterResourceSnapshots().Informer(), api.ClusterResourceSnapshots, informers.ResourceSnapshots().Informer(), api.ResourceSnapshots)
}

// SnapshotClient reads and writes the resource snapshots of a namespace, or the cluster-scoped ones, for those who want no cache of them.
func SnapshotClient(api placementclient.PlacementV1beta1Interface, namespace string) Client[v1beta1.ResourceSnapshotObject] {
	return newKind[v1beta1.ResourceSnapshotObject](v1beta1.SchemeGroupVersion, nil, api.ClusterResourceSnapshots, nil, api.ResourceSnapshots).Client(namespace)
}

// PolicySnapshots are ClusterSchedulingPolicySnapshot and SchedulingPolicySnapshot.
func PolicySnapshots(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.PolicySnapshotObject] {
	return newKind[v1beta1.PolicySnapshotObject](v1beta1.SchemeGroupVersion, informers.ClusterSchedulingPolicySnapshots().Informer(), api.ClusterSchedulingPolicySnapshots, informers.SchedulingPolicySnapshots().Informer(), api.SchedulingPolicySnapshots)
}

// Bindings are ClusterResourceBinding and ResourceBinding.
func Bindings(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.BindingObject] {
	return newKind[v1beta1.BindingObject](v1beta1.SchemeGroupVersion, informers.ClusterResourceBindings().Informer(), api.ClusterResourceBindings, informers.ResourceBindings().Informer(), api.ResourceBindings)
}

// BindingClient reads and writes the bindings of a namespace, or the cluster-scoped ones, for those who want no cache of them.
func BindingClient(api placementclient.PlacementV1beta1Interface, namespace string) Client[v1beta1.BindingObject] {
	return newKind[v1beta1.BindingObject](v1beta1.SchemeGroupVersion, nil, api.ClusterResourceBindings, nil, api.ResourceBindings).Client(namespace)
}

// Overrides are ClusterResourceOverride and ResourceOverride.
func Overrides(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.OverrideObject] {
	return newKind[v1beta1.OverrideObject](v1beta1.SchemeGroupVersion, informers.ClusterResourceOverrides().Informer(), api.ClusterResourceOverrides, informers.ResourceOverrides().Informer(), api.ResourceOverrides)
}

// OverrideClient reads and writes the overrides of a namespace, or the cluster-scoped ones, for those who want no cache of them.
func OverrideClient(api placementclient.PlacementV1beta1Interface, namespace string) Client[v1beta1.OverrideObject] {
	return newKind[v1beta1.OverrideObject](v1beta1.SchemeGroupVersion, nil, api.ClusterResourceOverrides, nil, api.ResourceOverrides).Client(namespace)
}

// OverrideSnapshots are ClusterResourceOverrideSnapshot and ResourceOverrideSnapshot.
func OverrideSnapshots(api placementclient.PlacementV1beta1Interface, informers placementinformers.Interface) Kind[v1beta1.OverrideSnapshotObject] {
	return newKind[v1beta1.OverrideSnapshotObject](v1beta1.SchemeGroupVersion, informers.ClusterResourceOverrideSnapshots().Informer(), api.ClusterResourceOverrideSnapshots, informers.ResourceOverrideSnapshots().Informer(), api.ResourceOverrideSnapshots)
}

// Policies are ClusterRolloutPolicy and RolloutPolicy.
func Policies(api rolloutclient.RolloutV1alpha1Interface, informers rolloutinformers.Interface) Kind[v1alpha1.RolloutPolicyObject] {
	return newKind[v1alpha1.RolloutPolicyObject](v1alpha1.SchemeGroupVersion, informers.ClusterRolloutPolicies().Informer(), api.ClusterRolloutPolicies, informers.RolloutPolicies().Informer(), api.RolloutPolicies)
}

// newKind takes the informer and the generated client of each scope.
func newKind[O Object, C generated[CP, CL], CP pointer[CT], CT any, CL runtime.Object, N generated[NP, NL], NP pointer[NT], NT any, NL runtime.Object](
	version schema.GroupVersion, clusterInformer cache.SharedIndexInformer, cluster func() C, namespacedInformer cache.SharedIndexInformer, namespaced func(namespace string) N) Kind[O] {
	return Kind[O]{
		cluster: newScope[O, CP](version, clusterInformer, func(string) Client[O] { return client[O, CP, CL]{cluster()} }),
		namespaced: newScope[O, NP](version, namespacedInformer, func(namespace string) Client[O] {
			if namespace == AllNamespaces {
				namespace = ""
			}
			return client[O, NP, NL]{namespaced(namespace)}
		}),
	}
}

func newScope[O Object, P pointer[T], T any](version schema.GroupVersion, informer cache.SharedIndexInformer, client func(namespace string) Client[O]) scope[O] {
	return scope[O]{
		kind:     version.WithKind(reflect.TypeFor[T]().Name()),
		informer: informer,
		client:   client,
		empty:    func() O { return any(P(new(T))).(O) },
	}
}

// pointer is the pointer to a kind, which is what implements Object.
type pointer[T any] interface {
	*T
	Object
}

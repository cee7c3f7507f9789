// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

var configMap = runtime.RawExtension{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"team"}}`)}

var clusterRole = runtime.RawExtension{Raw: []byte(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"c"}}`)}

// sample is a valid object of a resource.
func sample(t testing.TB, r store.Resource) store.Object {
	t.Helper()
	obj := r.New().(store.Object)
	obj.SetName("sample")
	switch o := obj.(type) {
	case placement.PlacementObject:
		selector := placement.ResourceSelectorTerm{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "c", SelectionScope: placement.NamespaceWithResources}
		if r.Namespaced {
			selector.Group, selector.Kind = "", "ConfigMap"
		}
		limit := int32(10)
		*o.PlacementSpec() = placement.PlacementSpec{
			ResourceSelectors:    []placement.ResourceSelectorTerm{selector},
			Strategy:             placement.RolloutStrategy{Type: placement.ExternalRolloutStrategyType},
			RevisionHistoryLimit: &limit,
			StatusReportingScope: placement.ClusterScopeOnly,
		}
	case placement.UpdateRunObject:
		*o.RunSpec() = placement.UpdateRunSpec{PlacementName: "app", StagedUpdateStrategyName: "s", State: placement.StateInitialize}
	case placement.UpdateStrategyObject:
		one := intstr.FromInt32(1)
		o.StrategySpec().Stages = []placement.StageConfig{{
			Name: "canary", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, MaxConcurrency: &one,
		}}
	case placement.ApprovalRequestObject:
		*o.RequestSpec() = placement.ApprovalRequestSpec{TargetUpdateRun: "run", TargetStage: "canary"}
	case placement.ResourceSnapshotObject:
		o.SnapshotSpec().SelectedResources = []placement.ResourceContent{{RawExtension: configMap}}
	case placement.PolicySnapshotObject:
		o.PolicySnapshotSpec().PolicyHash = []byte("00")
	case placement.BindingObject:
		*o.BindingSpec() = placement.ResourceBindingSpec{
			State: placement.BindingStateScheduled, TargetCluster: "member1", SchedulingPolicySnapshotName: "app-0",
			ClusterDecision: placement.ClusterDecision{ClusterName: "member1", Selected: true, Reason: "picked"},
		}
	case *placement.Work:
		o.Spec.Workload.Manifests = []placement.Manifest{{RawExtension: configMap}}
	case *placement.AppliedWork:
		o.Spec = placement.AppliedWorkSpec{WorkName: "w", WorkNamespace: "fleet-member-a"}
	case *placement.ClusterResourceOverride:
		o.Spec = clusterOverride()
	case *placement.ClusterResourceOverrideSnapshot:
		o.Spec = placement.ClusterResourceOverrideSnapshotSpec{OverrideSpec: clusterOverride(), OverrideHash: []byte("00")}
	case *placement.ResourceOverride:
		o.Spec = namespacedOverride()
	case *placement.ResourceOverrideSnapshot:
		o.Spec = placement.ResourceOverrideSnapshotSpec{OverrideSpec: namespacedOverride(), OverrideHash: []byte("00")}
	case *placement.ClusterResourcePlacementEviction:
		o.Spec = placement.PlacementEvictionSpec{PlacementName: "app", ClusterName: "member1"}
	case *placement.ClusterResourcePlacementDisruptionBudget:
		two := intstr.FromInt32(2)
		o.Spec.MaxUnavailable = &two
	case *placement.ClusterResourceEnvelope:
		o.Data = map[string]runtime.RawExtension{"c": clusterRole}
	case *placement.ResourceEnvelope:
		o.Data = map[string]runtime.RawExtension{"c": configMap}
	case *placement.ClusterResourcePlacementStatus:
		o.SourceStatus.ObservedResourceIndex = "3"
		o.LastUpdatedTime = metav1.Unix(1_800_000_000, 0)
	default:
		t.Fatalf("no sample of %s", r.Plural)
	}
	return obj
}

func clusterOverride() placement.ClusterResourceOverrideSpec {
	return placement.ClusterResourceOverrideSpec{
		ClusterResourceSelectors: []placement.ResourceSelectorTerm{{
			Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "c", SelectionScope: placement.NamespaceWithResources,
		}},
		Policy: overridePolicy(),
	}
}

func namespacedOverride() placement.ResourceOverrideSpec {
	return placement.ResourceOverrideSpec{
		ResourceSelectors: []placement.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "c"}},
		Policy:            overridePolicy(),
	}
}

func overridePolicy() *placement.OverridePolicy {
	return &placement.OverridePolicy{OverrideRules: []placement.OverrideRule{{
		ClusterSelector: &placement.ClusterSelector{},
		OverrideType:    placement.JSONPatchOverrideType,
		JSONPatchOverrides: []placement.JSONPatchOverride{{
			Operator: placement.JSONPatchOverrideOpAdd, Path: "/metadata/labels/a", Value: apiextensionsv1.JSON{Raw: []byte(`"b"`)},
		}},
	}}}
}

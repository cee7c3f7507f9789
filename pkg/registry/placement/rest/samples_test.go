// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
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
	case v1beta1.PlacementObject:
		selector := v1beta1.ResourceSelectorTerm{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "c", SelectionScope: v1beta1.NamespaceWithResources}
		if r.Namespaced {
			selector.Group, selector.Kind = "", "ConfigMap"
		}
		limit := int32(10)
		*o.PlacementSpec() = v1beta1.PlacementSpec{
			ResourceSelectors:    []v1beta1.ResourceSelectorTerm{selector},
			Strategy:             v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType},
			RevisionHistoryLimit: &limit,
			StatusReportingScope: v1beta1.ClusterScopeOnly,
		}
	case v1beta1.UpdateRunObject:
		*o.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "app", StagedUpdateStrategyName: "s", State: v1beta1.StateInitialize}
	case v1beta1.UpdateStrategyObject:
		one := intstr.FromInt32(1)
		o.StrategySpec().Stages = []v1beta1.StageConfig{{
			Name: "canary", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, MaxConcurrency: &one,
		}}
	case v1beta1.ApprovalRequestObject:
		*o.RequestSpec() = v1beta1.ApprovalRequestSpec{TargetUpdateRun: "run", TargetStage: "canary"}
	case v1beta1.ResourceSnapshotObject:
		o.SnapshotSpec().SelectedResources = []v1beta1.ResourceContent{{RawExtension: configMap}}
	case v1beta1.PolicySnapshotObject:
		o.PolicySnapshotSpec().PolicyHash = []byte("00")
	case v1beta1.BindingObject:
		*o.BindingSpec() = v1beta1.ResourceBindingSpec{
			State: v1beta1.BindingStateScheduled, TargetCluster: "member1", SchedulingPolicySnapshotName: "app-0",
			ClusterDecision: v1beta1.ClusterDecision{ClusterName: "member1", Selected: true, Reason: "picked"},
		}
	case *v1beta1.Work:
		o.Spec.Workload.Manifests = []v1beta1.Manifest{{RawExtension: configMap}}
	case *v1beta1.AppliedWork:
		o.Spec = v1beta1.AppliedWorkSpec{WorkName: "w", WorkNamespace: "fleet-member-a"}
	case *v1beta1.ClusterResourceOverride:
		o.Spec = clusterOverride()
	case *v1beta1.ClusterResourceOverrideSnapshot:
		o.Spec = v1beta1.ClusterResourceOverrideSnapshotSpec{OverrideSpec: clusterOverride(), OverrideHash: []byte("00")}
	case *v1beta1.ResourceOverride:
		o.Spec = namespacedOverride()
	case *v1beta1.ResourceOverrideSnapshot:
		o.Spec = v1beta1.ResourceOverrideSnapshotSpec{OverrideSpec: namespacedOverride(), OverrideHash: []byte("00")}
	case *v1beta1.ClusterResourcePlacementEviction:
		o.Spec = v1beta1.PlacementEvictionSpec{PlacementName: "app", ClusterName: "member1"}
	case *v1beta1.ClusterResourcePlacementDisruptionBudget:
		two := intstr.FromInt32(2)
		o.Spec.MaxUnavailable = &two
	case *v1beta1.ClusterResourceEnvelope:
		o.Data = map[string]runtime.RawExtension{"c": clusterRole}
	case *v1beta1.ResourceEnvelope:
		o.Data = map[string]runtime.RawExtension{"c": configMap}
	case *v1beta1.ClusterResourcePlacementStatus:
		o.SourceStatus.ObservedResourceIndex = "3"
		o.LastUpdatedTime = metav1.Unix(1_800_000_000, 0)
	default:
		t.Fatalf("no sample of %s", r.Plural)
	}
	return obj
}

func clusterOverride() v1beta1.ClusterResourceOverrideSpec {
	return v1beta1.ClusterResourceOverrideSpec{
		ClusterResourceSelectors: []v1beta1.ResourceSelectorTerm{{
			Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "c", SelectionScope: v1beta1.NamespaceWithResources,
		}},
		Policy: overridePolicy(),
	}
}

func namespacedOverride() v1beta1.ResourceOverrideSpec {
	return v1beta1.ResourceOverrideSpec{
		ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "c"}},
		Policy:            overridePolicy(),
	}
}

func overridePolicy() *v1beta1.OverridePolicy {
	return &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
		ClusterSelector: &v1beta1.ClusterSelector{},
		OverrideType:    v1beta1.JSONPatchOverrideType,
		JSONPatchOverrides: []v1beta1.JSONPatchOverride{{
			Operator: v1beta1.JSONPatchOverrideOpAdd, Path: "/metadata/labels/a", Value: apiextensionsv1.JSON{Raw: []byte(`"b"`)},
		}},
	}}}
}

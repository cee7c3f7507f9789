// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

const stays = "spec: Forbidden: The spec field is immutable"

// manifest is an embedded object, identified by apiVersion, kind, namespace and name.
func manifest(apiVersion, kind, namespace, name string) runtime.RawExtension {
	return runtime.RawExtension{Raw: fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"namespace":%q,"name":%q}}`, apiVersion, kind, namespace, name)}
}

// manifestErrors is what is said about an empty object, and about what is none.
func manifestErrors(path string) (empty, none []string) {
	return []string{
			path + ".apiVersion: Required value: must not be empty",
			path + ".kind: Required value: must not be empty",
			path + ".metadata.name: Required value: must not be empty",
		}, []string{
			path + `: Invalid value: "": must be a Kubernetes object: json: cannot unmarshal array into Go value of type v1.PartialObjectMetadata`,
		}
}

func TestResourceSnapshot(t *testing.T) {
	resources := placement.ResourceSnapshotSpec{SelectedResources: []placement.ResourceContent{{RawExtension: manifest("v1", "Namespace", "", "test-namespace")}}}
	snapshots := []placement.ResourceSnapshotObject{
		&placement.ClusterResourceSnapshot{Spec: resources},
		&placement.ResourceSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace"}, Spec: resources},
	}
	with := func(raw string) func(placement.ResourceSnapshotObject) {
		return func(s placement.ResourceSnapshotObject) { s.SnapshotSpec().SelectedResources[0].Raw = []byte(raw) }
	}
	empty, none := manifestErrors("spec.selectedResources[0]")
	check(t, snapshots, ValidateResourceSnapshot, []rule[placement.ResourceSnapshotObject]{
		{"objects are identified", with(`{}`), empty},
		{"objects are objects", with(`[]`), none},
	})
	checkUpdate(t, snapshots, ValidateResourceSnapshotUpdate, []rule[placement.ResourceSnapshotObject]{
		{"it stays", with(`{"a": 1}`), []string{stays}},
		{"labels change", func(s placement.ResourceSnapshotObject) { s.SetLabels(map[string]string{"a": "b"}) }, nil},
	})
	checkUpdate(t, snapshots, ValidateResourceSnapshotStatusUpdate, []rule[placement.ResourceSnapshotObject]{
		{"conditions are complete", func(s placement.ResourceSnapshotObject) {
			s.SnapshotStatus().Conditions = []metav1.Condition{incomplete("X")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestPolicySnapshot(t *testing.T) {
	// A snapshot of PickN is without its number.
	spec := placement.SchedulingPolicySnapshotSpec{Policy: &placement.PlacementPolicy{PlacementType: placement.PickNPlacementType}}
	snapshots := []placement.PolicySnapshotObject{
		&placement.ClusterSchedulingPolicySnapshot{Spec: spec},
		&placement.SchedulingPolicySnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace"}, Spec: spec},
	}
	check(t, snapshots, ValidatePolicySnapshot, []rule[placement.PolicySnapshotObject]{
		{"no policy", func(s placement.PolicySnapshotObject) { s.PolicySnapshotSpec().Policy = nil }, nil},
		{"tolerations are looked at", func(s placement.PolicySnapshotObject) {
			s.PolicySnapshotSpec().Policy.Tolerations = []placement.Toleration{{Operator: "Equal"}}
		}, []string{`spec.policy.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when key is empty`}},
	})
	checkUpdate(t, snapshots, ValidatePolicySnapshotUpdate, []rule[placement.PolicySnapshotObject]{
		{"it stays", func(s placement.PolicySnapshotObject) { s.PolicySnapshotSpec().PolicyHash = []byte("x") }, []string{stays}},
	})
	checkUpdate(t, snapshots, ValidatePolicySnapshotStatusUpdate, []rule[placement.PolicySnapshotObject]{
		{"conditions are complete", func(s placement.PolicySnapshotObject) {
			s.PolicySnapshotStatus().Conditions = []metav1.Condition{incomplete("Scheduled")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestApprovalRequest(t *testing.T) {
	spec := placement.ApprovalRequestSpec{TargetUpdateRun: "example-run", TargetStage: "canary"}
	owners := []metav1.OwnerReference{{Kind: "Run", Name: "example-run", UID: "run"}}
	requests := []placement.ApprovalRequestObject{
		&placement.ClusterApprovalRequest{ObjectMeta: metav1.ObjectMeta{OwnerReferences: owners}, Spec: spec},
		&placement.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", OwnerReferences: owners}, Spec: spec},
	}
	check(t, requests, ValidateApprovalRequest, nil)
	checkUpdate(t, requests, ValidateApprovalRequestUpdate, []rule[placement.ApprovalRequestObject]{
		{"what is asked stays", func(r placement.ApprovalRequestObject) { r.RequestSpec().TargetStage = "prod" }, []string{stays}},
		{"another run does not take it over", func(r placement.ApprovalRequestObject) { r.GetOwnerReferences()[0].UID = "another" }, []string{
			`metadata.ownerReferences[0]: Forbidden: an approval request belongs to the run that made it, and no other owner can be added`,
		}},
		{"another run does not share it", func(r placement.ApprovalRequestObject) {
			r.SetOwnerReferences(append(r.GetOwnerReferences(), metav1.OwnerReference{UID: "another"}))
		}, []string{
			`metadata.ownerReferences[1]: Forbidden: an approval request belongs to the run that made it, and no other owner can be added`,
		}},
		{"its run lets it go", func(r placement.ApprovalRequestObject) { r.SetOwnerReferences(nil) }, nil},
		{"its run is not waited for", func(r placement.ApprovalRequestObject) { r.GetOwnerReferences()[0].BlockOwnerDeletion = ptr.To(false) }, nil},
	})
	checkUpdate(t, requests, ValidateApprovalRequestStatusUpdate, []rule[placement.ApprovalRequestObject]{
		{"conditions are complete", func(r placement.ApprovalRequestObject) {
			r.RequestStatus().Conditions = []metav1.Condition{incomplete("Approved")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestBinding(t *testing.T) {
	spec := placement.ResourceBindingSpec{State: placement.BindingStateScheduled, TargetCluster: "member1"}
	bindings := []placement.BindingObject{
		&placement.ClusterResourceBinding{Spec: spec},
		&placement.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace"}, Spec: spec},
	}
	rules := []rule[placement.BindingObject]{
		{"Bound", func(b placement.BindingObject) { b.BindingSpec().State = placement.BindingStateBound }, nil},
		{"Unscheduled", func(b placement.BindingObject) { b.BindingSpec().State = placement.BindingStateUnscheduled }, nil},
		{"no other state", func(b placement.BindingObject) { b.BindingSpec().State = "Gone" }, []string{
			`spec.state: Unsupported value: "Gone": supported values: "Bound", "Scheduled", "Unscheduled"`,
		}},
		{"server-side apply is configured for server-side apply", func(b placement.BindingObject) {
			b.BindingSpec().ApplyStrategy = &placement.ApplyStrategy{ServerSideApplyConfig: &placement.ServerSideApplyConfig{}}
		}, []string{"spec.applyStrategy.serverSideApplyConfig: Forbidden: serverSideApplyConfig is only valid for ServerSideApply strategy type"}},
	}
	check(t, bindings, ValidateBinding, append(rules, rule[placement.BindingObject]{
		"nothing is said", func(b placement.BindingObject) { *b.BindingSpec() = placement.ResourceBindingSpec{} }, nil,
	}))
	checkUpdate(t, bindings, ValidateBindingUpdate, append(rules,
		rule[placement.BindingObject]{"the cluster stays", func(b placement.BindingObject) { b.BindingSpec().TargetCluster = "member2" }, []string{
			`spec.targetCluster: Invalid value: "member2": targetCluster is immutable`,
		}},
		rule[placement.BindingObject]{"the cluster and the state are not taken away", func(b placement.BindingObject) {
			*b.BindingSpec() = placement.ResourceBindingSpec{}
		}, []string{
			`spec.targetCluster: Invalid value: "": targetCluster is immutable`,
			`spec.state: Required value: a binding that has a state keeps one`,
		}},
		rule[placement.BindingObject]{"labels change", func(b placement.BindingObject) { b.SetLabels(map[string]string{"a": "b"}) }, nil},
	))
	for _, b := range bindings {
		unsaid := b.DeepCopyObject().(placement.BindingObject)
		*unsaid.BindingSpec() = placement.ResourceBindingSpec{}
		expect(t, ValidateBindingUpdate(b, unsaid))
	}
	checkUpdate(t, bindings, ValidateBindingStatusUpdate, []rule[placement.BindingObject]{
		{"conditions are complete", func(b placement.BindingObject) {
			b.BindingStatus().Conditions = []metav1.Condition{incomplete("Applied")}
			b.BindingStatus().FailedPlacements = []placement.FailedResourcePlacement{{Condition: incomplete("Applied")}}
		}, []string{"status.conditions[0].reason: Required value", "status.failedPlacements[0].condition.reason: Required value"}},
	})
}

func TestWork(t *testing.T) {
	works := []*placement.Work{{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet-member-member1"}, Spec: placement.WorkSpec{
		Workload: placement.WorkloadTemplate{Manifests: []placement.Manifest{{RawExtension: manifest("v1", "Namespace", "", "test-namespace")}}},
	}}}
	with := func(raw string) func(*placement.Work) {
		return func(w *placement.Work) { w.Spec.Workload.Manifests[0].Raw = []byte(raw) }
	}
	empty, none := manifestErrors("spec.workload.manifests[0]")
	rules := []rule[*placement.Work]{
		{"manifests are identified", with(`{}`), empty},
		{"manifests are objects", with(`[]`), none},
		{"server-side apply is configured for server-side apply", func(w *placement.Work) {
			w.Spec.ApplyStrategy = &placement.ApplyStrategy{ServerSideApplyConfig: &placement.ServerSideApplyConfig{}}
		}, []string{"spec.applyStrategy.serverSideApplyConfig: Forbidden: serverSideApplyConfig is only valid for ServerSideApply strategy type"}},
		{"a mirror has a destination", func(w *placement.Work) {
			w.Spec.ReportBackStrategy = &placement.ReportBackStrategy{Type: placement.ReportBackStrategyTypeMirror}
		}, []string{"spec.reportBackStrategy.destination: Required value: when reportBackStrategy.type is 'Mirror', a destination must be specified"}},
	}
	check(t, works, ValidateWork, rules)
	checkUpdate(t, works, ValidateWorkUpdate, rules)
	checkUpdate(t, works, ValidateWorkStatusUpdate, []rule[*placement.Work]{
		{"conditions are complete", func(w *placement.Work) {
			w.Status.Conditions = []metav1.Condition{incomplete("Applied")}
			w.Status.ManifestConditions = []placement.ManifestCondition{{Conditions: w.Status.Conditions}}
		}, []string{"status.conditions[0].reason: Required value", "status.manifestConditions[0].conditions[0].reason: Required value"}},
	})
	applied := []*placement.AppliedWork{{Spec: placement.AppliedWorkSpec{WorkName: "w", WorkNamespace: "fleet-member-member1"}}}
	check(t, applied, ValidateAppliedWork, nil)
	checkUpdate(t, applied, ValidateAppliedWorkUpdate, []rule[*placement.AppliedWork]{
		{"the Work stays", func(a *placement.AppliedWork) { a.Spec.WorkName = "other" }, []string{stays}},
	})
}

func TestEviction(t *testing.T) {
	evictions := []*placement.ClusterResourcePlacementEviction{{Spec: placement.PlacementEvictionSpec{PlacementName: "p", ClusterName: "c"}}}
	check(t, evictions, ValidateEviction, nil)
	checkUpdate(t, evictions, ValidateEvictionUpdate, []rule[*placement.ClusterResourcePlacementEviction]{
		{"what is asked stays", func(e *placement.ClusterResourcePlacementEviction) {
			e.Spec = placement.PlacementEvictionSpec{PlacementName: "p2", ClusterName: "c2"}
		}, []string{
			`spec.placementName: Invalid value: "p2": The PlacementName field is immutable`,
			`spec.clusterName: Invalid value: "c2": The ClusterName field is immutable`,
		}},
	})
	checkUpdate(t, evictions, ValidateEvictionStatusUpdate, []rule[*placement.ClusterResourcePlacementEviction]{
		{"conditions are complete", func(e *placement.ClusterResourcePlacementEviction) {
			e.Status.Conditions = []metav1.Condition{incomplete("Valid")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestDisruptionBudget(t *testing.T) {
	const regex = ": If supplied value is String should match regex '^(100|[0-9]{1,2})%$' or If supplied value is Integer must be greater than or equal to 0"
	budgets := []*placement.ClusterResourcePlacementDisruptionBudget{{Spec: placement.PlacementDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(0))}}}
	with := func(maxUnavailable, minAvailable *intstr.IntOrString) func(*placement.ClusterResourcePlacementDisruptionBudget) {
		return func(b *placement.ClusterResourcePlacementDisruptionBudget) {
			b.Spec = placement.PlacementDisruptionBudgetSpec{MaxUnavailable: maxUnavailable, MinAvailable: minAvailable}
		}
	}
	rules := []rule[*placement.ClusterResourcePlacementDisruptionBudget]{
		{"percent", with(nil, ptr.To(intstr.FromString("100%"))), nil},
		{"one of the two", with(ptr.To(intstr.FromInt32(1)), ptr.To(intstr.FromInt32(1))), []string{
			"spec: Forbidden: Both MaxUnavailable and MinAvailable cannot be specified",
		}},
		{"not negative", with(ptr.To(intstr.FromInt32(-1)), nil), []string{`spec.maxUnavailable: Invalid value: "-1"` + regex}},
		{"not over all", with(nil, ptr.To(intstr.FromString("101%"))), []string{`spec.minAvailable: Invalid value: "101%"` + regex}},
		{"text is a percentage", with(nil, ptr.To(intstr.FromString("5"))), []string{`spec.minAvailable: Invalid value: "5"` + regex}},
	}
	check(t, budgets, ValidateDisruptionBudget, rules)
	checkUpdate(t, budgets, ValidateDisruptionBudgetUpdate, rules)
}

func TestEnvelopes(t *testing.T) {
	many := map[string]runtime.RawExtension{}
	for i := range 51 {
		many[strings.Repeat("x", i+1)] = manifest("v1", "ConfigMap", "", "x")
	}
	empty, none := manifestErrors("data[x.yaml]")
	cluster := []*placement.ClusterResourceEnvelope{{Data: map[string]runtime.RawExtension{"x.yaml": manifest("v1", "Namespace", "", "x")}}}
	clusterRules := []rule[*placement.ClusterResourceEnvelope]{
		{"not empty", func(e *placement.ClusterResourceEnvelope) { e.Data = nil }, []string{"data: Required value: must have at least 1 item"}},
		{"not too full", func(e *placement.ClusterResourceEnvelope) { e.Data = many }, []string{"data: Too many: 51: must have at most 50 items"}},
		{"objects are identified", func(e *placement.ClusterResourceEnvelope) { e.Data["x.yaml"] = runtime.RawExtension{Raw: []byte(`{}`)} }, empty},
		{"objects are objects", func(e *placement.ClusterResourceEnvelope) { e.Data["x.yaml"] = runtime.RawExtension{Raw: []byte(`[]`)} }, none},
		{"objects are cluster-scoped", func(e *placement.ClusterResourceEnvelope) { e.Data["x.yaml"] = manifest("v1", "ConfigMap", "a", "x") }, []string{
			`data[x.yaml].metadata.namespace: Invalid value: "a": a ClusterResourceEnvelope holds cluster-scoped objects only; use a ResourceEnvelope in the namespace of the object`,
		}},
	}
	check(t, cluster, ValidateClusterResourceEnvelope, clusterRules)
	checkUpdate(t, cluster, ValidateClusterResourceEnvelopeUpdate, clusterRules)

	namespaced := []*placement.ResourceEnvelope{{ObjectMeta: metav1.ObjectMeta{Namespace: "a"}, Data: map[string]runtime.RawExtension{"x.yaml": manifest("v1", "ConfigMap", "a", "x")}}}
	namespacedRules := []rule[*placement.ResourceEnvelope]{
		{"objects are in the namespace", func(e *placement.ResourceEnvelope) { e.Data["x.yaml"] = manifest("v1", "ConfigMap", "b", "x") }, []string{
			`data[x.yaml].metadata.namespace: Invalid value: "b": must be the namespace of the envelope, a`,
		}},
	}
	check(t, namespaced, ValidateResourceEnvelope, namespacedRules)
	checkUpdate(t, namespaced, ValidateResourceEnvelopeUpdate, namespacedRules)
}

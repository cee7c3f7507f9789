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

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
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
	resources := v1beta1.ResourceSnapshotSpec{SelectedResources: []v1beta1.ResourceContent{{RawExtension: manifest("v1", "Namespace", "", "test-namespace")}}}
	snapshots := []v1beta1.ResourceSnapshotObject{
		&v1beta1.ClusterResourceSnapshot{Spec: resources},
		&v1beta1.ResourceSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace"}, Spec: resources},
	}
	with := func(raw string) func(v1beta1.ResourceSnapshotObject) {
		return func(s v1beta1.ResourceSnapshotObject) { s.SnapshotSpec().SelectedResources[0].Raw = []byte(raw) }
	}
	empty, none := manifestErrors("spec.selectedResources[0]")
	check(t, snapshots, ValidateResourceSnapshot, []rule[v1beta1.ResourceSnapshotObject]{
		{"objects are identified", with(`{}`), empty},
		{"objects are objects", with(`[]`), none},
		{"and no text that has one", with(`"kind: Namespace"`), []string{`spec.selectedResources[0]: Invalid value: "": must be a Kubernetes object and not text: ` +
			"write the object itself here, without the | of a text in YAML"}},
	})
	checkUpdate(t, snapshots, ValidateResourceSnapshotUpdate, []rule[v1beta1.ResourceSnapshotObject]{
		{"it stays", with(`{"a": 1}`), []string{stays}},
		{"labels change", func(s v1beta1.ResourceSnapshotObject) { s.SetLabels(map[string]string{"a": "b"}) }, nil},
	})
	checkUpdate(t, snapshots, ValidateResourceSnapshotStatusUpdate, []rule[v1beta1.ResourceSnapshotObject]{
		{"conditions are complete", func(s v1beta1.ResourceSnapshotObject) {
			s.SnapshotStatus().Conditions = []metav1.Condition{incomplete("X")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestPolicySnapshot(t *testing.T) {
	// A snapshot of PickN is without its number.
	spec := v1beta1.SchedulingPolicySnapshotSpec{Policy: &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickNPlacementType}}
	snapshots := []v1beta1.PolicySnapshotObject{
		&v1beta1.ClusterSchedulingPolicySnapshot{Spec: spec},
		&v1beta1.SchedulingPolicySnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace"}, Spec: spec},
	}
	check(t, snapshots, ValidatePolicySnapshot, []rule[v1beta1.PolicySnapshotObject]{
		{"no policy", func(s v1beta1.PolicySnapshotObject) { s.PolicySnapshotSpec().Policy = nil }, nil},
		{"tolerations are looked at", func(s v1beta1.PolicySnapshotObject) {
			s.PolicySnapshotSpec().Policy.Tolerations = []v1beta1.Toleration{{Operator: "Equal"}}
		}, []string{`spec.policy.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when key is empty`}},
	})
	checkUpdate(t, snapshots, ValidatePolicySnapshotUpdate, []rule[v1beta1.PolicySnapshotObject]{
		{"it stays", func(s v1beta1.PolicySnapshotObject) { s.PolicySnapshotSpec().PolicyHash = []byte("x") }, []string{stays}},
	})
	checkUpdate(t, snapshots, ValidatePolicySnapshotStatusUpdate, []rule[v1beta1.PolicySnapshotObject]{
		{"conditions are complete", func(s v1beta1.PolicySnapshotObject) {
			s.PolicySnapshotStatus().Conditions = []metav1.Condition{incomplete("Scheduled")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestApprovalRequest(t *testing.T) {
	spec := v1beta1.ApprovalRequestSpec{TargetUpdateRun: "example-run", TargetStage: "canary"}
	owners := []metav1.OwnerReference{{Kind: "Run", Name: "example-run", UID: "run"}}
	requests := []v1beta1.ApprovalRequestObject{
		&v1beta1.ClusterApprovalRequest{ObjectMeta: metav1.ObjectMeta{OwnerReferences: owners}, Spec: spec},
		&v1beta1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", OwnerReferences: owners}, Spec: spec},
	}
	check(t, requests, ValidateApprovalRequest, nil)
	checkUpdate(t, requests, ValidateApprovalRequestUpdate, []rule[v1beta1.ApprovalRequestObject]{
		{"what is asked stays", func(r v1beta1.ApprovalRequestObject) { r.RequestSpec().TargetStage = "prod" }, []string{stays}},
		{"another run does not take it over", func(r v1beta1.ApprovalRequestObject) { r.GetOwnerReferences()[0].UID = "another" }, []string{
			`metadata.ownerReferences[0]: Forbidden: an approval request belongs to the run that made it, and no other owner can be added`,
		}},
		{"another run does not share it", func(r v1beta1.ApprovalRequestObject) {
			r.SetOwnerReferences(append(r.GetOwnerReferences(), metav1.OwnerReference{UID: "another"}))
		}, []string{
			`metadata.ownerReferences[1]: Forbidden: an approval request belongs to the run that made it, and no other owner can be added`,
		}},
		{"its run lets it go", func(r v1beta1.ApprovalRequestObject) { r.SetOwnerReferences(nil) }, nil},
		{"its run is not waited for", func(r v1beta1.ApprovalRequestObject) { r.GetOwnerReferences()[0].BlockOwnerDeletion = ptr.To(false) }, nil},
	})
	checkUpdate(t, requests, ValidateApprovalRequestStatusUpdate, []rule[v1beta1.ApprovalRequestObject]{
		{"conditions are complete", func(r v1beta1.ApprovalRequestObject) {
			r.RequestStatus().Conditions = []metav1.Condition{incomplete("Approved")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestBinding(t *testing.T) {
	spec := v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateScheduled, TargetCluster: "member1"}
	bindings := []v1beta1.BindingObject{
		&v1beta1.ClusterResourceBinding{Spec: spec},
		&v1beta1.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace"}, Spec: spec},
	}
	rules := []rule[v1beta1.BindingObject]{
		{"Bound", func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateBound }, nil},
		{"Unscheduled", func(b v1beta1.BindingObject) { b.BindingSpec().State = v1beta1.BindingStateUnscheduled }, nil},
		{"no other state", func(b v1beta1.BindingObject) { b.BindingSpec().State = "Gone" }, []string{
			`spec.state: Unsupported value: "Gone": supported values: "Bound", "Scheduled", "Unscheduled"`,
		}},
		{"server-side apply is configured for server-side apply", func(b v1beta1.BindingObject) {
			b.BindingSpec().ApplyStrategy = &v1beta1.ApplyStrategy{ServerSideApplyConfig: &v1beta1.ServerSideApplyConfig{}}
		}, []string{"spec.applyStrategy.serverSideApplyConfig: Forbidden: serverSideApplyConfig is only valid for ServerSideApply strategy type"}},
	}
	check(t, bindings, ValidateBinding, append(rules, rule[v1beta1.BindingObject]{
		"nothing is said", func(b v1beta1.BindingObject) { *b.BindingSpec() = v1beta1.ResourceBindingSpec{} }, nil,
	}))
	checkUpdate(t, bindings, ValidateBindingUpdate, append(rules,
		rule[v1beta1.BindingObject]{"the cluster stays", func(b v1beta1.BindingObject) { b.BindingSpec().TargetCluster = "member2" }, []string{
			`spec.targetCluster: Invalid value: "member2": targetCluster is immutable`,
		}},
		rule[v1beta1.BindingObject]{"the cluster and the state are not taken away", func(b v1beta1.BindingObject) {
			*b.BindingSpec() = v1beta1.ResourceBindingSpec{}
		}, []string{
			`spec.targetCluster: Invalid value: "": targetCluster is immutable`,
			`spec.state: Required value: a binding that has a state keeps one`,
		}},
		rule[v1beta1.BindingObject]{"labels change", func(b v1beta1.BindingObject) { b.SetLabels(map[string]string{"a": "b"}) }, nil},
	))
	for _, b := range bindings {
		unsaid := b.DeepCopyObject().(v1beta1.BindingObject)
		*unsaid.BindingSpec() = v1beta1.ResourceBindingSpec{}
		expect(t, ValidateBindingUpdate(b, unsaid))
	}
	checkUpdate(t, bindings, ValidateBindingStatusUpdate, []rule[v1beta1.BindingObject]{
		{"conditions are complete", func(b v1beta1.BindingObject) {
			b.BindingStatus().Conditions = []metav1.Condition{incomplete("Applied")}
			b.BindingStatus().FailedPlacements = []v1beta1.FailedResourcePlacement{{Condition: incomplete("Applied")}}
		}, []string{"status.conditions[0].reason: Required value", "status.failedPlacements[0].condition.reason: Required value"}},
	})
}

func TestWork(t *testing.T) {
	works := []*v1beta1.Work{{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet-member-member1"}, Spec: v1beta1.WorkSpec{
		Workload: v1beta1.WorkloadTemplate{Manifests: []v1beta1.Manifest{{RawExtension: manifest("v1", "Namespace", "", "test-namespace")}}},
	}}}
	with := func(raw string) func(*v1beta1.Work) {
		return func(w *v1beta1.Work) { w.Spec.Workload.Manifests[0].Raw = []byte(raw) }
	}
	empty, none := manifestErrors("spec.workload.manifests[0]")
	rules := []rule[*v1beta1.Work]{
		{"manifests are identified", with(`{}`), empty},
		{"manifests are objects", with(`[]`), none},
		{"server-side apply is configured for server-side apply", func(w *v1beta1.Work) {
			w.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{ServerSideApplyConfig: &v1beta1.ServerSideApplyConfig{}}
		}, []string{"spec.applyStrategy.serverSideApplyConfig: Forbidden: serverSideApplyConfig is only valid for ServerSideApply strategy type"}},
		{"a mirror has a destination", func(w *v1beta1.Work) {
			w.Spec.ReportBackStrategy = &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror}
		}, []string{"spec.reportBackStrategy.destination: Required value: when reportBackStrategy.type is 'Mirror', a destination must be specified"}},
	}
	check(t, works, ValidateWork, rules)
	checkUpdate(t, works, ValidateWorkUpdate, rules)
	checkUpdate(t, works, ValidateWorkStatusUpdate, []rule[*v1beta1.Work]{
		{"conditions are complete", func(w *v1beta1.Work) {
			w.Status.Conditions = []metav1.Condition{incomplete("Applied")}
			w.Status.ManifestConditions = []v1beta1.ManifestCondition{{Conditions: w.Status.Conditions}}
		}, []string{"status.conditions[0].reason: Required value", "status.manifestConditions[0].conditions[0].reason: Required value"}},
	})
	applied := []*v1beta1.AppliedWork{{Spec: v1beta1.AppliedWorkSpec{WorkName: "w", WorkNamespace: "fleet-member-member1"}}}
	check(t, applied, ValidateAppliedWork, nil)
	checkUpdate(t, applied, ValidateAppliedWorkUpdate, []rule[*v1beta1.AppliedWork]{
		{"the Work stays", func(a *v1beta1.AppliedWork) { a.Spec.WorkName = "other" }, []string{stays}},
	})
}

func TestEviction(t *testing.T) {
	evictions := []*v1beta1.ClusterResourcePlacementEviction{{Spec: v1beta1.PlacementEvictionSpec{PlacementName: "p", ClusterName: "c"}}}
	check(t, evictions, ValidateEviction, nil)
	checkUpdate(t, evictions, ValidateEvictionUpdate, []rule[*v1beta1.ClusterResourcePlacementEviction]{
		{"what is asked stays", func(e *v1beta1.ClusterResourcePlacementEviction) {
			e.Spec = v1beta1.PlacementEvictionSpec{PlacementName: "p2", ClusterName: "c2"}
		}, []string{
			`spec.placementName: Invalid value: "p2": The PlacementName field is immutable`,
			`spec.clusterName: Invalid value: "c2": The ClusterName field is immutable`,
		}},
	})
	checkUpdate(t, evictions, ValidateEvictionStatusUpdate, []rule[*v1beta1.ClusterResourcePlacementEviction]{
		{"conditions are complete", func(e *v1beta1.ClusterResourcePlacementEviction) {
			e.Status.Conditions = []metav1.Condition{incomplete("Valid")}
		}, []string{"status.conditions[0].reason: Required value"}},
	})
}

func TestDisruptionBudget(t *testing.T) {
	const regex = ": If supplied value is String should match regex '^(100|[0-9]{1,2})%$' or If supplied value is Integer must be greater than or equal to 0"
	budgets := []*v1beta1.ClusterResourcePlacementDisruptionBudget{{Spec: v1beta1.PlacementDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(0))}}}
	with := func(maxUnavailable, minAvailable *intstr.IntOrString) func(*v1beta1.ClusterResourcePlacementDisruptionBudget) {
		return func(b *v1beta1.ClusterResourcePlacementDisruptionBudget) {
			b.Spec = v1beta1.PlacementDisruptionBudgetSpec{MaxUnavailable: maxUnavailable, MinAvailable: minAvailable}
		}
	}
	rules := []rule[*v1beta1.ClusterResourcePlacementDisruptionBudget]{
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
	check := func(t *testing.T, data map[string]runtime.RawExtension, want ...string) {
		t.Helper()
		judge := func(key string, manifest []byte) error {
			if strings.Contains(string(manifest), "bad") {
				return fmt.Errorf("%s is bad", key)
			}
			return nil
		}
		expect(t, ValidateEnvelope(data, judge), want...)
		expect(t, ValidateEnvelopeUpdate(data, map[string]runtime.RawExtension{"a": manifest("v1", "ConfigMap", "", "bad")}, judge), want...)
		// What was stored under other rules may be labeled.
		expect(t, ValidateEnvelopeUpdate(data, data, judge))
	}
	of := func(m runtime.RawExtension) map[string]runtime.RawExtension {
		return map[string]runtime.RawExtension{"x.yaml": m}
	}
	for name, tc := range map[string]struct {
		data map[string]runtime.RawExtension
		want []string
	}{
		"sound":                  {of(manifest("v1", "Namespace", "", "x")), nil},
		"not empty":              {nil, []string{"data: Required value: must have at least 1 item"}},
		"not too full":           {many, []string{"data: Too many: 51: must have at most 50 items"}},
		"objects are identified": {of(runtime.RawExtension{Raw: []byte(`{}`)}), empty},
		"objects are objects":    {of(runtime.RawExtension{Raw: []byte(`[]`)}), none},
		"objects are checked":    {of(manifest("v1", "Namespace", "", "bad")), []string{"data[x.yaml]: Forbidden: x.yaml is bad"}},
	} {
		t.Run(name, func(t *testing.T) { check(t, tc.data, tc.want...) })
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
)

func TestAppliesAndReportsInOnePass(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	work := b.pass(t)

	at := metav1.NewTime(testTime)
	manifestConditions := []metav1.Condition{
		{Type: "Applied", Status: "True", Reason: "Applied", Message: "Manifest has been applied successfully", LastTransitionTime: at, ObservedGeneration: 1},
		{Type: "Available", Status: "True", Reason: "Available", Message: "Manifest is available", LastTransitionTime: at, ObservedGeneration: 1},
	}
	want := v1beta1.WorkStatus{
		Conditions: []metav1.Condition{
			{Type: "Applied", Status: "True", Reason: "AllManifestsApplied", Message: "All the specified manifests have been applied", LastTransitionTime: at, ObservedGeneration: 1},
			{Type: "Available", Status: "True", Reason: "AllManifestsAvailable", Message: "All of the applied manifests are available", LastTransitionTime: at, ObservedGeneration: 1},
		},
		ManifestConditions: []v1beta1.ManifestCondition{
			{Identifier: v1beta1.WorkResourceIdentifier{Ordinal: 0, Kind: "Namespace", Name: "test-namespace", Resource: "namespaces", Version: "v1"}, Conditions: manifestConditions},
			{Identifier: v1beta1.WorkResourceIdentifier{Ordinal: 1, Kind: "ConfigMap", Name: "test-cm", Namespace: "test-namespace", Resource: "configmaps", Version: "v1"}, Conditions: manifestConditions},
		},
		LeftGeneration: 1,
	}
	if diff := cmp.Diff(want, work.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"create namespaces/test-namespace", "create configmaps/test-cm"}, b.member.writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	statusWrites := 0
	for _, a := range b.api.Actions() {
		if a.Matches("update", "works") {
			statusWrites++
		}
	}
	if statusWrites != 1 {
		t.Errorf("the Work was written %d times, want once", statusWrites)
	}

	applied := b.member.get(t, appliedWorks, "", "web-work")
	if applied == nil {
		t.Fatal("no AppliedWork")
	}
	wantAnnotations := map[string]string{
		wellknown.WorkGenerationAnnotation: "1", workUIDAnnotation: "work-uid", wellknown.StoreIDAnnotation: testStore,
		wellknown.HubUIDAnnotation: testHub,
	}
	if diff := cmp.Diff(wantAnnotations, applied.GetAnnotations()); diff != "" {
		t.Errorf("annotations of the AppliedWork (-want +got):\n%s", diff)
	}
	refs := b.member.get(t, configMaps, "test-namespace", "test-cm").GetOwnerReferences()
	if len(refs) != 1 || refs[0].Kind != "AppliedWork" || refs[0].UID != applied.GetUID() {
		t.Errorf("owners of the object: %v", refs)
	}
}

func TestNamespacesComeBeforeWhatIsInThem(t *testing.T) {
	var manifests []string
	for i := range 4 * parallelism {
		manifests = append(manifests, strings.Replace(configMapYAML, "test-cm", fmt.Sprintf("cm-%d", i), 1))
	}
	b := newBench(t, newWork(t, append(manifests, namespaceYAML)...))
	b.pass(t)
	if writes := b.member.writes(); len(writes) != len(manifests)+1 || writes[0] != "create namespaces/test-namespace" {
		t.Errorf("writes: %v", writes)
	}
}

func TestWhatIsAppliedIsListedBefore(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	listed := false
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "create" && resource == "configmaps" {
			owner := b.member.get(t, appliedWorks, "", "web-work")
			resources, _, _ := unstructured.NestedSlice(owner.Object, "status", "appliedResources")
			listed = len(resources) == 1
		}
		return nil
	})
	b.pass(t)
	if !listed {
		t.Error("the AppliedWork did not list the object when it was made")
	}
}

func TestNothingChangedWritesNothing(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	b.member.ClearActions()
	b.api.ClearActions()
	b.pass(t)
	if writes := b.member.writes(); len(writes) != 0 {
		t.Errorf("writes to the member: %v", writes)
	}
	for _, a := range b.api.Actions() {
		if a.GetVerb() != "get" {
			t.Errorf("write to the API: %v", a)
		}
	}
}

func TestThreeWayMerge(t *testing.T) {
	const before = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns, labels: {keep: a, go: b}}, data: {keep: "1", go: "1", edit: "1"}}`
	const after = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns, labels: {keep: a}}, data: {keep: "1", edit: "2"}}`
	const widgetBefore = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: c, namespace: ns}, spec: {keep: 1, go: 1, edit: [a]}}`
	const widgetAfter = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: c, namespace: ns}, spec: {keep: 1, edit: [a, b]}}`
	const deploymentBefore = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: c, namespace: ns}, spec: {template: {spec: {containers: [{name: a, image: a:1}, {name: b, image: b:1}]}}}}`
	const deploymentAfter = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: c, namespace: ns}, spec: {template: {spec: {containers: [{name: a, image: a:2}]}}}}`

	for _, tc := range []struct {
		name          string
		before, after string
		// others is what somebody else adds on the member.
		others func(map[string]any)
		want   string
	}{
		{
			name: "what is dropped from the manifest goes and what others added stays", before: before, after: after,
			others: func(o map[string]any) { o["data"].(map[string]any)["theirs"] = "x" },
			want:   `{keep: "1", edit: "2", theirs: x}`,
		},
		{
			name: "what others changed is put back", before: before, after: before,
			others: func(o map[string]any) { o["data"].(map[string]any)["keep"] = "theirs" },
			want:   `{keep: "1", go: "1", edit: "1"}`,
		},
		{
			name: "kinds that are not built in merge as JSON", before: widgetBefore, after: widgetAfter,
			others: func(o map[string]any) { o["spec"].(map[string]any)["theirs"] = "x" },
			want:   `{keep: 1, edit: [a, b], theirs: x}`,
		},
		{
			name: "lists of built-in kinds merge by their key", before: deploymentBefore, after: deploymentAfter,
			others: func(o map[string]any) {
				pod := o["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
				pod["containers"] = append(pod["containers"].([]any), map[string]any{"name": "sidecar", "image": "s:1"})
			},
			want: `{template: {spec: {containers: [{name: a, image: a:2}, {name: sidecar, image: s:1}]}}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, newWork(t, tc.before))
			b.pass(t)
			object := parse(t, tc.before)
			gvr := b.member.gvr(t, object)
			b.member.change(t, gvr, "ns", "c", func(o *unstructured.Unstructured) { tc.others(o.Object) })
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.Workload.Manifests = raw(t, tc.after)
				w.Generation++
			})
			b.pass(t)

			live := b.member.get(t, gvr, "ns", "c")
			got := live.Object["spec"]
			if got == nil {
				got = live.Object["data"]
			}
			var want any
			if err := yaml.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestServerSideApply(t *testing.T) {
	for _, force := range []bool{false, true} {
		work := newWork(t, configMapYAML)
		work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{
			Type: v1beta1.ApplyStrategyTypeServerSideApply, ServerSideApplyConfig: &v1beta1.ServerSideApplyConfig{ForceConflicts: force},
		}
		b := newBench(t, work)
		b.pass(t)
		var options []metav1.PatchOptions
		for _, a := range b.member.Actions() {
			if patch, ok := a.(clienttesting.PatchActionImpl); ok && patch.GetPatchType() == types.ApplyPatchType {
				options = append(options, patch.PatchOptions)
			}
		}
		if len(options) != 1 || options[0].FieldManager != "work-api-agent" || *options[0].Force != force {
			t.Errorf("force %t: applied with %+v", force, options)
		}
		if a := b.member.get(t, configMaps, "test-namespace", "test-cm").GetAnnotations(); a[wellknown.LastAppliedAnnotation] != "" {
			t.Errorf("force %t: the object carries what was last applied", force)
		}
	}
}

func TestTooLargeForTheAnnotationIsAppliedServerSide(t *testing.T) {
	b := newBench(t, newWork(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}, data: {big: `+strings.Repeat("x", 300<<10)+`}}`))
	work := b.pass(t)
	if got := condition(work.Status.Conditions, "Applied"); got != "True AllManifestsApplied" {
		t.Errorf("Applied: %s", got)
	}
	if diff := cmp.Diff([]string{"patch configmaps/c"}, b.member.writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestWhatAServerSideApplyHadGoesBeforeAClientSideOne(t *testing.T) {
	managed := func(operation string) string {
		return `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace, managedFields: [{manager: work-api-agent, operation: ` + operation +
			`, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:data": {"f:dropped": {}}}}]}, data: {dropped: x}}`
	}
	for name, tc := range map[string]struct {
		live string
		want []types.PatchType
	}{
		"recorded by the server": {managed("Apply"), []types.PatchType{types.ApplyPatchType, types.StrategicMergePatchType}},
		"recorded by nobody":     {managed("Update"), []types.PatchType{types.StrategicMergePatchType}},
		"recorded in the annotation too": {
			strings.Replace(managed("Apply"), "metadata: {", `metadata: {annotations: {`+wellknown.LastAppliedAnnotation+`: "{}"}, `, 1), []types.PatchType{types.StrategicMergePatchType},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newWork(t, configMapYAML))
			b.member.put(t, tc.live)
			b.member.ClearActions()
			b.pass(t)
			var got []types.PatchType
			for _, a := range b.member.Actions() {
				patch, ok := a.(clienttesting.PatchActionImpl)
				if !ok || patch.GetResource() != configMaps {
					continue
				}
				got = append(got, patch.GetPatchType())
				if patch.GetPatchType() == types.ApplyPatchType && !*patch.PatchOptions.Force {
					t.Error("the apply may meet a conflict")
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("patches (-want +got):\n%s", diff)
			}
			b.member.ClearActions()
			if b.pass(t); len(b.member.writes()) > 0 {
				t.Errorf("the next pass writes %v", b.member.writes())
			}
		})
	}
}

func TestManifestsThatAreNeverApplied(t *testing.T) {
	for _, tc := range []struct {
		name      string
		manifests []string
		want      []string
	}{
		{"not an object", []string{`[1]`}, []string{"False DecodingErred"}},
		{"generateName", []string{`{apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-, namespace: ns}}`}, []string{"False FoundGenerateName"}},
		{"no name", []string{`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: ns}}`}, []string{"False DecodingErred"}},
		{"twice the same", []string{configMapYAML, configMapYAML}, []string{"True Applied", "False Duplicated"}},
		{"namespaced without namespace", []string{`{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}`}, []string{"False ManifestApplyFailed"}},
		{"cluster-scoped with namespace", []string{`{apiVersion: v1, kind: Namespace, metadata: {name: c, namespace: ns}}`}, []string{"False ManifestApplyFailed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, newWork(t, tc.manifests...))
			work := b.pass(t)
			var got []string
			for _, c := range work.Status.ManifestConditions {
				got = append(got, condition(c.Conditions, "Applied"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Applied (-want +got):\n%s", diff)
			}
			if got := condition(work.Status.Conditions, "Applied"); got != "False SomeManifestsAreNotApplied" {
				t.Errorf("Applied of the Work: %s", got)
			}
			if got := condition(work.Status.Conditions, "Available"); got != "" {
				t.Errorf("Available of a Work that is not applied: %s", got)
			}
		})
	}
}

func TestTakeOver(t *testing.T) {
	const (
		same     = `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace}, data: {key: value1, theirs: x}}`
		differs  = `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace}, data: {key: theirs}}`
		owned    = `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: d, uid: u}]}}`
		placed   = `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace, ownerReferences: [{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, name: other, uid: u}]}}`
		leftover = `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace, ownerReferences: [{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, name: web-work, uid: earlier}]}}`
	)
	for _, tc := range []struct {
		name     string
		existing string
		strategy v1beta1.ApplyStrategy
		want     string
		diffs    []v1beta1.PatchDetail
	}{
		{name: "always by default", existing: differs, want: "True Applied"},
		{name: "never", existing: same, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "Never"}, want: "False NotTakenOver"},
		{name: "if no diff and none", existing: same, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "IfNoDiff"}, want: "True Applied"},
		{
			name: "if no diff and one", existing: differs, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "IfNoDiff"},
			want: "False FailedToTakeOver", diffs: []v1beta1.PatchDetail{{Path: "/data/key", ValueInMember: "theirs", ValueInHub: "value1"}},
		},
		{
			name: "full comparison counts what others added", existing: same,
			strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "IfNoDiff", ComparisonOption: "FullComparison"},
			want:     "False FailedToTakeOver", diffs: []v1beta1.PatchDetail{{Path: "/data/theirs", ValueInMember: "x"}},
		},
		{name: "owned by others", existing: owned, want: "False FailedToTakeOver"},
		{name: "owned by others with co-ownership", existing: owned, strategy: v1beta1.ApplyStrategy{AllowCoOwnership: true}, want: "True Applied"},
		{name: "of another placement, even with co-ownership", existing: placed, strategy: v1beta1.ApplyStrategy{AllowCoOwnership: true}, want: "False FailedToTakeOver"},
		{name: "of our own earlier AppliedWork", existing: leftover, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "Never"}, want: "True Applied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			work := newWork(t, configMapYAML)
			work.Spec.ApplyStrategy = &tc.strategy
			b := newBench(t, work)
			b.member.put(t, tc.existing)
			b.member.ClearActions()
			work = b.pass(t)
			manifest := work.Status.ManifestConditions[0]
			if got := condition(manifest.Conditions, "Applied"); got != tc.want {
				t.Errorf("Applied is %s, want %s", got, tc.want)
			}
			var diffs []v1beta1.PatchDetail
			if manifest.DiffDetails != nil {
				diffs = manifest.DiffDetails.ObservedDiffs
			}
			if diff := cmp.Diff(tc.diffs, diffs); diff != "" {
				t.Errorf("diffs (-want +got):\n%s", diff)
			}
			if wrote := len(b.member.writes()) > 0; wrote != strings.HasPrefix(tc.want, "True") {
				t.Errorf("writes: %v", b.member.writes())
			}
		})
	}
}

func TestCoOwnershipIsAskedForAfterTakeOverToo(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	b.pass(t)
	b.member.change(t, configMaps, "test-namespace", "test-cm", func(o *unstructured.Unstructured) {
		o.SetOwnerReferences(append(o.GetOwnerReferences(), metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", UID: "u"}))
	})
	work := b.pass(t)
	if got := condition(work.Status.ManifestConditions[0].Conditions, "Applied"); got != "False ManifestApplyFailed" {
		t.Errorf("Applied: %s", got)
	}
}

func TestDriftBlocksWhereWanted(t *testing.T) {
	work := newWork(t, configMapYAML)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}
	b := newBench(t, work)
	b.pass(t)
	b.member.change(t, configMaps, "test-namespace", "test-cm", func(o *unstructured.Unstructured) {
		o.Object["data"] = map[string]any{"key": "drifted"}
	})
	b.member.ClearActions()
	work = b.pass(t)
	m := work.Status.ManifestConditions[0]
	if got := condition(m.Conditions, "Applied"); got != "False FoundDrifts" {
		t.Errorf("Applied: %s", got)
	}
	want := &v1beta1.DriftDetails{
		ObservationTime: metav1.NewTime(testTime), FirstDriftedObservedTime: metav1.NewTime(testTime), ObservedInMemberClusterGeneration: 1,
		ObservedDrifts: []v1beta1.PatchDetail{{Path: "/data/key", ValueInMember: "drifted", ValueInHub: "value1"}},
	}
	if diff := cmp.Diff(want, m.DriftDetails); diff != "" {
		t.Errorf("drifts (-want +got):\n%s", diff)
	}
	if writes := b.member.writes(); len(writes) > 0 {
		t.Errorf("writes: %v", writes)
	}

	// A manifest that has changed since is applied over the drift.
	b.edit(t, func(w *v1beta1.Work) {
		w.Spec.Workload.Manifests = raw(t, strings.Replace(configMapYAML, "value1", "value2", 1))
		w.Generation++
	})
	work = b.pass(t)
	if got := condition(work.Status.ManifestConditions[0].Conditions, "Applied"); got != "True Applied" {
		t.Errorf("Applied after an edit: %s", got)
	}
}

func TestFullComparisonReportsDriftsWithoutBlocking(t *testing.T) {
	work := newWork(t, configMapYAML)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{ComparisonOption: v1beta1.ComparisonOptionTypeFullComparison}
	b := newBench(t, work)
	b.pass(t)
	b.member.change(t, configMaps, "test-namespace", "test-cm", func(o *unstructured.Unstructured) {
		o.Object["data"] = map[string]any{"key": "drifted", "more": "x"}
	})
	m := b.pass(t).Status.ManifestConditions[0]
	if got := condition(m.Conditions, "Applied"); got != "True Applied" {
		t.Errorf("Applied: %s", got)
	}
	want := []v1beta1.PatchDetail{{Path: "/data/more", ValueInMember: "x"}}
	if m.DriftDetails == nil {
		t.Fatal("no drifts")
	}
	if diff := cmp.Diff(want, m.DriftDetails.ObservedDrifts); diff != "" {
		t.Errorf("drifts (-want +got):\n%s", diff)
	}
}

func TestReportDiffWritesNothing(t *testing.T) {
	const secret = `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: ns}, data: {password: aHViCg==}}`
	work := newWork(t, configMapYAML, secret, namespaceYAML)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	b := newBench(t, work)
	b.member.put(t, configMapYAML)
	b.member.put(t, strings.Replace(secret, "aHViCg==", "bWVtYmVyCg==", 1))
	b.member.ClearActions()
	work = b.pass(t)

	var got []string
	var diffs [][]v1beta1.PatchDetail
	for _, m := range work.Status.ManifestConditions {
		got = append(got, condition(m.Conditions, "DiffReported")+condition(m.Conditions, "Applied"))
		if m.DiffDetails != nil {
			diffs = append(diffs, m.DiffDetails.ObservedDiffs)
		}
	}
	if diff := cmp.Diff([]string{"True NoDiffFound", "True FoundDiff", "True FoundDiff"}, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	wantDiffs := [][]v1beta1.PatchDetail{
		{{Path: "/data/password", ValueInMember: secretvalue.Redacted, ValueInHub: secretvalue.Redacted}},
		{{Path: "/", ValueInHub: "(the whole object)"}},
	}
	if diff := cmp.Diff(wantDiffs, diffs); diff != "" {
		t.Errorf("diffs (-want +got):\n%s", diff)
	}
	if got := condition(work.Status.Conditions, "DiffReported"); got != "True AllManifestsDiffReported" {
		t.Errorf("DiffReported: %s", got)
	}
	if writes := b.member.writes(); len(writes) > 0 || b.member.get(t, appliedWorks, "", "web-work") != nil {
		t.Errorf("something was written: %v", writes)
	}
}

func TestDroppedManifests(t *testing.T) {
	for _, tc := range []struct {
		name string
		// others changes the object that is dropped, before it is.
		others  func(*unstructured.Unstructured)
		stays   bool
		wantRef []string
	}{
		{name: "go from the member"},
		{
			name: "stay with those who own them too", stays: true, wantRef: []string{"d"},
			others: func(o *unstructured.Unstructured) {
				o.SetOwnerReferences(append(o.GetOwnerReferences(), metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", UID: "u"}))
			},
		},
		{
			name: "stay where they are not ours any more", stays: true,
			others: func(o *unstructured.Unstructured) { o.SetOwnerReferences(nil) },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
			b.pass(t)
			if tc.others != nil {
				b.member.change(t, configMaps, "test-namespace", "test-cm", tc.others)
			}
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.Workload.Manifests = raw(t, namespaceYAML)
				w.Generation++
			})
			work := b.pass(t)
			live := b.member.get(t, configMaps, "test-namespace", "test-cm")
			if (live != nil) != tc.stays {
				t.Fatalf("the object is on the member: %t, want %t", live != nil, tc.stays)
			}
			if live != nil {
				var refs []string
				for _, ref := range live.GetOwnerReferences() {
					refs = append(refs, ref.Name)
				}
				if diff := cmp.Diff(tc.wantRef, refs); diff != "" {
					t.Errorf("owners (-want +got):\n%s", diff)
				}
			}
			if n := len(work.Status.ManifestConditions); n != 1 {
				t.Errorf("%d manifest conditions, want 1", n)
			}
			owner, err := b.owner(t.Context(), "web-work")
			if err != nil || len(owner.Status.AppliedResources) != 1 {
				t.Errorf("AppliedWork lists %v (%v), want the namespace", owner.Status.AppliedResources, err)
			}
		})
	}
}

func TestDroppedBeforeAnyStatusWasWritten(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.api.PrependReactor("update", "works", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("the API is away")
	})
	if _, err := b.tryPass(t); err == nil {
		t.Fatal("the status was written")
	}
	b.api.ReactionChain = b.api.ReactionChain[1:]
	b.edit(t, func(w *v1beta1.Work) {
		w.Spec.Workload.Manifests = raw(t, namespaceYAML)
		w.Generation++
	})
	b.pass(t)
	if b.member.get(t, configMaps, "test-namespace", "test-cm") != nil {
		t.Error("the object stays on the member")
	}
}

func TestUnreadableManifestDropsNothing(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	b.edit(t, func(w *v1beta1.Work) {
		w.Spec.Workload.Manifests = raw(t, namespaceYAML, `{}`)
		w.Generation++
	})
	b.pass(t)
	if b.member.get(t, configMaps, "test-namespace", "test-cm") == nil {
		t.Error("the object is gone from the member")
	}
}

func TestMissingWorkRemovesNothing(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	work := b.pass(t)
	if err := b.informer.GetStore().Delete(work); err != nil {
		t.Fatal(err)
	}
	b.member.ClearActions()
	if _, err := b.reconcileWork(t.Context(), work.Name); err != nil {
		t.Fatal(err)
	}
	for _, a := range b.member.Actions() {
		if a.GetVerb() != "watch" && a.GetVerb() != "list" {
			t.Errorf("action on the member: %v", a)
		}
	}
}

func TestFencing(t *testing.T) {
	for _, tc := range []struct {
		name string
		// change happens after the cache was filled.
		change func(t *testing.T, b *bench)
		writes bool
		reason string
	}{
		{name: "nothing in the way", change: func(*testing.T, *bench) {}, writes: true, reason: "True AllManifestsApplied"},
		{
			name: "the Work was edited meanwhile",
			change: func(t *testing.T, b *bench) {
				b.edit(t, func(w *v1beta1.Work) { w.Generation++ })
			},
		},
		{
			name: "the Work was recreated meanwhile",
			change: func(t *testing.T, b *bench) {
				b.edit(t, func(w *v1beta1.Work) { w.UID = "another" })
			},
		},
		{
			name: "the Work is gone meanwhile",
			change: func(t *testing.T, b *bench) {
				if err := b.works.Delete(t.Context(), "web-work", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "the member has seen a later generation",
			change: func(t *testing.T, b *bench) {
				b.member.put(t, `{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, metadata: {name: web-work, annotations: {`+
					workUIDAnnotation+`: work-uid, `+wellknown.WorkGenerationAnnotation+`: "7"}}, spec: {workName: web-work, workNamespace: `+testNamespace+`}}`)
			},
			reason: "False SomeManifestsAreNotApplied",
		},
		{
			name: "the member has seen a later generation of an earlier Work",
			change: func(t *testing.T, b *bench) {
				b.member.put(t, `{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, metadata: {name: web-work, annotations: {`+
					workUIDAnnotation+`: earlier, `+wellknown.WorkGenerationAnnotation+`: "7"}}, spec: {workName: web-work, workNamespace: `+testNamespace+`}}`)
			},
			writes: true, reason: "True AllManifestsApplied",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, newWork(t, configMapYAML))
			b.cacheUp(t)
			tc.change(t, b)
			b.member.ClearActions()
			// A change of the Work is on its way as an event; what else is in the way is tried again.
			if _, err := b.reconcileWork(t.Context(), "web-work"); (err != nil) != strings.HasPrefix(tc.reason, "False") {
				t.Errorf("the pass returns %v", err)
			}
			if wrote := len(b.member.writes()) > 0; wrote != tc.writes {
				t.Errorf("writes to the member: %v", b.member.writes())
			}
			if work := b.work(t); work != nil {
				if got := condition(work.Status.Conditions, "Applied"); got != tc.reason {
					t.Errorf("Applied is %q, want %q", got, tc.reason)
				}
			}
		})
	}
}

func TestRemoving(t *testing.T) {
	deleting := func(t *testing.T, b *bench, change func(*v1beta1.Work)) {
		b.edit(t, func(w *v1beta1.Work) {
			now := metav1.NewTime(testTime)
			w.DeletionTimestamp = &now
			if change != nil {
				change(w)
			}
		})
	}
	for _, tc := range []struct {
		name   string
		change func(*v1beta1.Work)
		want   metav1.DeletionPropagation
	}{
		{"takes what was applied along where that is wanted", func(w *v1beta1.Work) {
			w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Delete"}
		}, metav1.DeletePropagationForeground},
		{"leaves what was applied where the Work only disappears", nil, metav1.DeletePropagationOrphan},
		{"leaves what was applied where that is wanted", func(w *v1beta1.Work) {
			w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Abandon"}
		}, metav1.DeletePropagationOrphan},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, newWork(t, configMapYAML))
			b.pass(t)
			deleting(t, b, tc.change)
			b.member.ClearActions()
			b.pass(t)
			var policies []metav1.DeletionPropagation
			for _, a := range b.member.Actions() {
				if d, ok := a.(clienttesting.DeleteActionImpl); ok && a.GetResource() == appliedWorks {
					policies = append(policies, *d.DeleteOptions.PropagationPolicy)
				}
			}
			if diff := cmp.Diff([]metav1.DeletionPropagation{tc.want}, policies); diff != "" {
				t.Errorf("deletions (-want +got):\n%s", diff)
			}
			if work := b.work(t); work == nil || len(work.Finalizers) != 1 {
				t.Fatal("the finalizer is gone before the AppliedWork was seen to be")
			}
			if work := b.pass(t); work != nil && len(work.Finalizers) > 0 {
				t.Errorf("finalizers: %v", work.Finalizers)
			}
		})
	}

	t.Run("leaves another Work's AppliedWork alone", func(t *testing.T) {
		b := newBench(t, newWork(t, configMapYAML))
		b.pass(t)
		b.member.change(t, appliedWorks, "", "web-work", func(o *unstructured.Unstructured) {
			o.SetAnnotations(map[string]string{workUIDAnnotation: "of another store"})
		})
		deleting(t, b, nil)
		b.pass(t)
		if b.member.get(t, appliedWorks, "", "web-work") == nil {
			t.Error("the AppliedWork is gone")
		}
	})
}

func TestKindThatAnEarlierWaveDefines(t *testing.T) {
	const crd = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.example.com}}`
	const widget = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: ns}, spec: {}}`
	b := newBench(t, newWork(t, widget, crd))
	b.member.mapper.hidden["Widget"] = true
	work, err := b.tryPass(t)
	if err == nil {
		t.Error("an unknown kind is not tried again")
	}
	if got := condition(work.Status.ManifestConditions[0].Conditions, "Applied"); got != "False ManifestApplyFailed" {
		t.Errorf("Applied of an unknown kind: %s", got)
	}
	if b.member.mapper.resets != 1 {
		t.Errorf("discovery was asked afresh %d times in a pass, want once", b.member.mapper.resets)
	}

	b.member.mapper.reveal["Widget"] = true
	work = b.pass(t)
	if got := condition(work.Status.ManifestConditions[0].Conditions, "Applied"); got != "True Applied" {
		t.Errorf("Applied of a kind that is known now: %s", got)
	}
	owner, err := b.owner(t.Context(), "web-work")
	if err != nil {
		t.Fatal(err)
	}
	if got := owner.Status.AppliedResources[0].Resource; got != "widgets" {
		t.Errorf("the AppliedWork lists resource %q, want widgets", got)
	}
}

func TestDiscoveryIsAskedAfreshOnceInAPass(t *testing.T) {
	const (
		widget     = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: ns}, spec: {}}`
		deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns}, spec: {}}`
		nameless   = `{apiVersion: example.com/v1, kind: Widget, metadata: {generateName: w-, namespace: ns}, spec: {}}`
	)
	for name, tc := range map[string]struct {
		manifests []string
		want      int
	}{
		"every kind is known": {[]string{configMapYAML}, 0},
		"one is not":          {[]string{configMapYAML, widget}, 1},
		"two are not":         {[]string{widget, deployment}, 1},
		"one is not, of a manifest that is refused": {[]string{nameless}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newWork(t, tc.manifests...))
			b.member.mapper.hidden["Widget"], b.member.mapper.hidden["Deployment"] = true, true
			_, _ = b.tryPass(t)
			if got := b.member.mapper.resets; got != tc.want {
				t.Errorf("discovery was asked afresh %d times in a pass, want %d", got, tc.want)
			}
		})
	}
}

// TestMemberThatStopsAnsweringInAPassChangesNoStatus has the member answer until the first manifest is read.
func TestMemberThatStopsAnsweringInAPassChangesNoStatus(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	b.member.fail(func(_, resource, _ string) error {
		if resource == "configmaps" {
			return &url.Error{Op: "Get", URL: "https://member1", Err: errors.New("connection refused")}
		}
		return nil
	})
	work, err := b.tryPass(t)
	if !isUnreachable(err) {
		t.Errorf("the pass ended with %v, want that the member does not answer", err)
	}
	if len(work.Status.Conditions) > 0 || len(work.Status.ManifestConditions) > 0 {
		t.Errorf("status: %v", work.Status)
	}
}

func TestMemberThatDoesNotAnswerChangesNoStatus(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	b.member.fail(func(string, string, string) error {
		return &url.Error{Op: "Get", URL: "https://member1", Err: errors.New("connection refused")}
	})
	b.cacheUp(t)
	doubts := 0
	b.options.Doubt = func() { doubts++ }
	for _, want := range []time.Duration{firstPause, 2 * firstPause} {
		// As many Works as there may be try at that time, and have one pause.
		for range 10 {
			pause, err := b.Applier.reconcile(t.Context(), reconcile.Key{Name: "web-work"})
			if err != nil || pause != want {
				t.Errorf("reconcile: %v, %v; want a pause of %v", pause, err, want)
			}
		}
		b.clock.SetTime(b.clock.Now().Add(want))
	}
	if work := b.work(t); len(work.Status.Conditions) > 0 {
		t.Errorf("status: %v", work.Status)
	}
	if doubts != 1 {
		t.Errorf("the member is doubted %d times, want once", doubts)
	}
	b.member.fail(nil)
	if _, err := b.Applier.reconcile(t.Context(), reconcile.Key{Name: "web-work"}); err != nil {
		t.Fatal(err)
	}
	if b.reach.pause != 0 {
		t.Error("a member that answers again still counts as away")
	}
}

func TestRefusalOfOneManifestLeavesOthersAlone(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "create" && resource == "configmaps" {
			return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "test-cm", errors.New("policy"))
		}
		return nil
	})
	work, err := b.tryPass(t)
	if err == nil {
		t.Error("it is not tried again")
	}
	var got []string
	for _, m := range work.Status.ManifestConditions {
		got = append(got, condition(m.Conditions, "Applied"))
	}
	if diff := cmp.Diff([]string{"True Applied", "False ManifestApplyFailed"}, got); diff != "" {
		t.Errorf("Applied (-want +got):\n%s", diff)
	}
	want := "Failed to apply all manifests (1 of 2 manifests are applied)"
	if c := meta.FindStatusCondition(work.Status.Conditions, "Applied"); c.Message != want {
		t.Errorf("message %q, want %q", c.Message, want)
	}
}

func TestAPanicOverOneManifestIsItsFailureAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		strategy *v1beta1.ApplyStrategy
		verb     string
		typ      string
		want     []string
	}{
		"applied": {
			verb: "create", typ: v1beta1.WorkApplied,
			want: []string{"True Applied", "False ManifestApplyFailed"},
		},
		"reported": {
			strategy: &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}, verb: "get", typ: v1beta1.WorkDiffReported,
			want: []string{"True FoundDiff", "False FailedToReportDiff"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := newWork(t, namespaceYAML, configMapYAML)
			work.Spec.ApplyStrategy = tc.strategy
			b := newBench(t, work)
			b.member.fail(func(verb, resource, _ string) error {
				if verb == tc.verb && resource == "configmaps" {
					panic("out of order")
				}
				return nil
			})
			work, err := b.tryPass(t)
			if err == nil {
				t.Error("it is not tried again")
			}
			var got []string
			for _, m := range work.Status.ManifestConditions {
				got = append(got, condition(m.Conditions, tc.typ))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.typ, diff)
			}
			c := meta.FindStatusCondition(work.Status.ManifestConditions[1].Conditions, tc.typ)
			if c == nil || !strings.Contains(c.Message, "(error: panic: out of order)") {
				t.Errorf("the condition is %v", c)
			}
		})
	}
}

func TestReportsStatusBack(t *testing.T) {
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns}, spec: {replicas: 1}}`
	work := newWork(t, deployment)
	work.Spec.ReportBackStrategy = &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror}
	b := newBench(t, work)
	b.pass(t)
	b.member.change(t, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "ns", "d", func(o *unstructured.Unstructured) {
		o.Object["status"] = map[string]any{"replicas": int64(1)}
	})
	work = b.pass(t)
	back := work.Status.ManifestConditions[0].BackReportedStatus
	if back == nil {
		t.Fatal("no status is reported back")
	}
	want := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"ns"},"status":{"replicas":1}}`
	if got := string(back.ObservedStatus.Raw); got != want {
		t.Errorf("status is %s, want %s", got, want)
	}
}

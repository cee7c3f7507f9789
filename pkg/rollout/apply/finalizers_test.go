// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	heldConfigMap = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns, finalizers: [example.com/hub]}, data: {k: v}}`
	heldWidget    = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: c, namespace: ns, finalizers: [example.com/hub]}, spec: {k: v}}`
)

func TestFinalizersOfAManifestAreNotPlaced(t *testing.T) {
	for _, strategy := range bothStrategies {
		for _, manifest := range []string{heldConfigMap, heldWidget} {
			work := newWork(t, manifest)
			work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: strategy}
			b := newBench(t, work)
			b.pass(t)
			object := parse(t, manifest)
			live := b.member.get(t, b.member.gvr(t, object), "ns", "c")
			if got := live.GetFinalizers(); len(got) > 0 {
				t.Errorf("%s of a %s: finalizers %v", strategy, object.GetKind(), got)
			}
			if got := live.GetAnnotations()[wellknown.LastAppliedAnnotation]; strings.Contains(got, "finalizers") {
				t.Errorf("%s of a %s: last applied %s", strategy, object.GetKind(), got)
			}
		}
	}
}

func TestFinalizersOnTheMemberStay(t *testing.T) {
	for _, manifest := range []string{heldConfigMap, heldWidget} {
		b := newBench(t, newWork(t, manifest))
		b.pass(t)
		object := parse(t, manifest)
		gvr := b.member.gvr(t, object)
		lastApplied, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		b.member.change(t, gvr, "ns", "c", func(o *unstructured.Unstructured) {
			// An earlier version has placed one, and a controller of the member has added its own.
			annotations := o.GetAnnotations()
			annotations[wellknown.LastAppliedAnnotation] = strings.TrimSpace(string(lastApplied))
			o.SetAnnotations(annotations)
			o.SetFinalizers([]string{"example.com/hub", "example.com/member"})
		})
		b.pass(t)
		b.edit(t, func(w *v1beta1.Work) {
			w.Spec.Workload.Manifests = raw(t, strings.NewReplacer(", finalizers: [example.com/hub]", "", "k: v", "k: w").Replace(manifest))
			w.Generation++
		})
		b.pass(t)
		if diff := cmp.Diff([]string{"example.com/hub", "example.com/member"}, b.member.get(t, gvr, "ns", "c").GetFinalizers()); diff != "" {
			t.Errorf("finalizers of the %s (-want +got):\n%s", object.GetKind(), diff)
		}
	}
}

func TestAServerSideApplyOwnsNoFinalizers(t *testing.T) {
	const fields = `{"f:data":{"f:k":{}},"f:metadata":{"f:finalizers":{".":{},"v:\"example.com/hub\"":{}},"f:labels":{"f:a":{}}}}`
	const without = `{"f:data":{"f:k":{}},"f:metadata":{"f:labels":{"f:a":{}}}}`
	entry := func(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: operation, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	work := newWork(t, heldConfigMap)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
	b := newBench(t, work)
	b.pass(t)
	b.member.change(t, configMaps, "ns", "c", func(o *unstructured.Unstructured) {
		o.SetFinalizers([]string{"example.com/hub"})
		o.SetManagedFields([]metav1.ManagedFieldsEntry{
			entry(wellknown.FieldManager, metav1.ManagedFieldsOperationApply, fields),
			entry("others", metav1.ManagedFieldsOperationUpdate, fields),
		})
	})
	b.pass(t)
	live := b.member.get(t, configMaps, "ns", "c")
	got := map[string]string{}
	for _, e := range live.GetManagedFields() {
		got[e.Manager] = e.FieldsV1.GetRawString()
	}
	if diff := cmp.Diff(map[string]string{wellknown.FieldManager: without, "others": fields}, got); diff != "" {
		t.Errorf("managed fields (-want +got):\n%s", diff)
	}
	if got := live.GetFinalizers(); len(got) != 1 {
		t.Errorf("finalizers %v", got)
	}
}

func TestFinalizersThatAnotherApplierSetsMeanwhileStay(t *testing.T) {
	const fields = `{"f:metadata":{"f:finalizers":{".":{},"v:\"example.com/hub\"":{}}}}`
	work := newWork(t, heldConfigMap)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
	b := newBench(t, work)
	b.pass(t)
	b.member.change(t, configMaps, "ns", "c", func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"have": "it applied"}) })
	patches := 0
	b.member.fail(func(verb, resource, _ string) error {
		if verb != "patch" || resource != "configmaps" {
			return nil
		}
		if patches++; patches == 1 {
			o := b.member.get(t, configMaps, "ns", "c")
			o.SetFinalizers([]string{"example.com/hub"})
			o.SetManagedFields([]metav1.ManagedFieldsEntry{{
				Manager: wellknown.FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
			}})
			b.member.stamp(o)
			return b.member.Tracker().Update(configMaps, o, "ns")
		}
		return nil
	})
	b.pass(t)
	// The apply that would have taken them away is refused; then they are nobody's, and then the manifest is applied.
	if patches != 3 {
		t.Errorf("%d patches, want 3", patches)
	}
	live := b.member.get(t, configMaps, "ns", "c")
	if got := live.GetManagedFields()[0].FieldsV1.GetRawString(); strings.Contains(got, "f:finalizers") {
		t.Errorf("the finalizers are still ours: %s", got)
	}
}

func TestAManifestWithFinalizersKeepsItsHash(t *testing.T) {
	const object = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {k: v}}`
	with := decode(raw(t, strings.Replace(object, "name: c", "name: c, finalizers: [example.com/hub]", 1)))[0]
	without := decode(raw(t, object))[0]
	// What an earlier version has put on the object: drifts are looked for only where it is the same.
	if want := "f304459d"; with.hash[:8] != want {
		t.Errorf("hash %s, want %s", with.hash[:8], want)
	}
	if with.hash == without.hash {
		t.Error("a manifest without finalizers has the same hash")
	}
	if diff := cmp.Diff(without.object.Object, with.object.Object); diff != "" {
		t.Errorf("what is applied (-without +with):\n%s", diff)
	}
}

func TestFinalizersAreNoDifference(t *testing.T) {
	work := newWork(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns, finalizers: [example.com/hub]}, data: {k: v}}`)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{
		Type: v1beta1.ApplyStrategyTypeReportDiff, ComparisonOption: v1beta1.ComparisonOptionTypeFullComparison,
	}
	b := newBench(t, work)
	b.member.put(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns, finalizers: [example.com/member]}, data: {k: v}}`)
	got := b.pass(t)
	if got := condition(got.Status.ManifestConditions[0].Conditions, v1beta1.WorkDiffReported); got != "True NoDiffFound" {
		t.Errorf("DiffReported: %s", got)
	}
}

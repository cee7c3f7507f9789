// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memberreport

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func manifest(raw string) v1beta1.Manifest {
	return v1beta1.Manifest{RawExtension: runtime.RawExtension{Raw: []byte(raw)}}
}

func of(ordinal int, name string) v1beta1.ManifestCondition {
	return v1beta1.ManifestCondition{
		Identifier: v1beta1.WorkResourceIdentifier{Ordinal: ordinal, Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments", Namespace: "ns", Name: name},
		Conditions: []metav1.Condition{{Type: "Applied", Status: "False", Reason: "ManifestApplyFailed", Message: "denied"}},
	}
}

func everything(*v1beta1.ManifestCondition) bool { return true }

// TestOnlyWhatAWorkCarriesIsSaid holds it to all of an identifier, to one word for each manifest, and to manifests that nobody can read.
func TestOnlyWhatAWorkCarriesIsSaid(t *testing.T) {
	const web = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"ns","name":"web"},"spec":{"x":1}}`
	work := &v1beta1.Work{}
	work.Spec.Workload.Manifests = []v1beta1.Manifest{
		manifest(web), manifest(strings.Replace(web, `"web"`, `"db"`, 1)), manifest("{"), manifest(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"generateName":"x"}}`),
	}
	unread := v1beta1.ManifestCondition{Identifier: v1beta1.WorkResourceIdentifier{Ordinal: 2}}
	generated := v1beta1.ManifestCondition{Identifier: v1beta1.WorkResourceIdentifier{Ordinal: 3, Version: "v1", Kind: "ConfigMap"}}
	honest := []v1beta1.ManifestCondition{of(0, "web"), of(1, "db"), unread, generated}
	lies := []v1beta1.ManifestCondition{of(1, "web"), of(4, "web"), of(-1, "web"), of(0, "other"), of(0, strings.Repeat("n", 1<<20)), of(2, "web"), {}}
	for _, change := range []func(*v1beta1.WorkResourceIdentifier){
		func(id *v1beta1.WorkResourceIdentifier) { id.Group = "" },
		func(id *v1beta1.WorkResourceIdentifier) { id.Version = "v2" },
		func(id *v1beta1.WorkResourceIdentifier) { id.Kind = "Secret" },
		func(id *v1beta1.WorkResourceIdentifier) { id.Namespace = "kube-system" },
	} {
		lie := of(0, "web")
		change(&lie.Identifier)
		lies = append(lies, lie)
	}
	for name, said := range map[string][]v1beta1.ManifestCondition{
		"the truth": honest, "lies before": slices.Concat(lies, honest), "lies after": slices.Concat(honest, lies), "all twice": slices.Concat(honest, honest),
	} {
		work.Status.ManifestConditions = said
		if diff := cmp.Diff(honest, slices.Collect(Conditions(work, everything))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	work.Status.ManifestConditions = honest
	for m := range Conditions(work, func(m *v1beta1.ManifestCondition) bool { return m.Identifier.Ordinal > 0 }) {
		if m.Identifier.Name != "db" {
			t.Errorf("the first that is asked for is %s", m.Identifier.Name)
		}
		break
	}
}

func TestWhatIsSaidIsCut(t *testing.T) {
	long := strings.Repeat("x", 30<<10)
	m := of(0, "web")
	m.Conditions[0].Message, m.Conditions[0].Reason = long, strings.Repeat("R", MaxReason-1)+":"+"R"
	details := slices.Repeat([]v1beta1.PatchDetail{{Path: long, ValueInHub: long, ValueInMember: long}}, 2*MaxDetails)
	m.DriftDetails = &v1beta1.DriftDetails{ObservedDrifts: details, ObservedInMemberClusterGeneration: 4}
	m.DiffDetails = &v1beta1.DiffDetails{ObservedDiffs: details}
	before := m.DeepCopy()
	got := cut(&m)
	if c := got.Conditions[0]; len(c.Message) > MaxMessage || c.Reason != strings.Repeat("R", MaxReason-1) || c.Type != "Applied" {
		t.Errorf("condition %s, reason %s, message of %d bytes", c.Type, c.Reason, len(c.Message))
	}
	for _, details := range [][]v1beta1.PatchDetail{got.DriftDetails.ObservedDrifts, got.DiffDetails.ObservedDiffs} {
		if d := details[0]; len(details) != MaxDetails || len(d.Path) > MaxPath || len(d.ValueInHub) > MaxValue || len(d.ValueInMember) > MaxValue {
			t.Errorf("%d details, of %d, %d and %d bytes", len(details), len(d.Path), len(d.ValueInHub), len(d.ValueInMember))
		}
	}
	if got.DriftDetails.ObservedInMemberClusterGeneration != 4 {
		t.Error("more is cut than texts and lists")
	}
	if diff := cmp.Diff(before, &m); diff != "" {
		t.Error("what a cache shares was changed")
	}
}

// BenchmarkConditions is of a Work of 100 manifests of 10 KiB that all failed, and of one where nobody is asked for anything.
func BenchmarkConditions(b *testing.B) {
	work := &v1beta1.Work{}
	for i := range 100 {
		name := fmt.Sprintf("web-%d", i)
		work.Spec.Workload.Manifests = append(work.Spec.Workload.Manifests, manifest(fmt.Sprintf(
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"namespace":"ns","name":%q},"spec":{"template":[%s"x"]}}`, name, strings.Repeat(`{"key":"value"},`, 640))))
		work.Status.ManifestConditions = append(work.Status.ManifestConditions, of(i, name))
	}
	for name, about := range map[string]func(*v1beta1.ManifestCondition) bool{"failed": everything, "fine": func(*v1beta1.ManifestCondition) bool { return false }} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for range Conditions(work, about) {
					n++
				}
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const definitionYAML = `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.example.com}, spec: {group: example.com}}`

// What contains things of the member, and was there before it was placed, stays when it is not placed any more, however it comes to that.
func TestWhatWasOnTheMemberBeforeStaysThere(t *testing.T) {
	ends := map[string]func(w *v1beta1.Work){
		"a version lacks it": func(w *v1beta1.Work) {
			w.Spec.Workload.Manifests = nil
			w.Generation++
		},
		"its Work goes": func(w *v1beta1.Work) {
			now := metav1.NewTime(testTime)
			w.DeletionTimestamp = &now
			metav1.SetMetaDataAnnotation(&w.ObjectMeta, wellknown.DeletePropagationAnnotation, "Delete")
		},
	}
	for name, end := range ends {
		for _, tc := range []struct {
			name, manifest string
			gvr            schema.GroupVersionResource
			key            string
			before, stays  bool
		}{
			{name: "Namespace", manifest: namespaceYAML, gvr: namespaces, key: "test-namespace", before: true, stays: true},
			{name: "Namespace that was created", manifest: namespaceYAML, gvr: namespaces, key: "test-namespace"},
			{name: "CustomResourceDefinition", manifest: definitionYAML, gvr: definitions, key: "widgets.example.com", before: true, stays: true},
			{name: "ConfigMap", manifest: configMapYAML, gvr: configMaps, key: "test-cm", before: true},
		} {
			for _, strategy := range []v1beta1.ApplyStrategyType{v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeServerSideApply} {
				for _, whenToTakeOver := range []v1beta1.WhenToTakeOverType{v1beta1.WhenToTakeOverTypeIfNoDiff, v1beta1.WhenToTakeOverTypeAlways} {
					t.Run(fmt.Sprintf("%s, %s, %s, %s", name, tc.name, strategy, whenToTakeOver), func(t *testing.T) {
						work := newWork(t, tc.manifest)
						work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: strategy, WhenToTakeOver: whenToTakeOver}
						work.Labels = map[string]string{wellknown.ParentPlacementLabel: "web"}
						work.Annotations = map[string]string{wellknown.NumberOfWorksAnnotation: "1"}
						b := newBench(t, work)
						if tc.before {
							b.member.put(t, tc.manifest)
						}
						taken := b.pass(t)
						if c := meta.FindStatusCondition(taken.Status.ManifestConditions[0].Conditions, "Applied"); c == nil || c.Status != metav1.ConditionTrue ||
							strings.Contains(c.Message, "stays there when it is not placed any more") != tc.stays {
							t.Fatalf("Applied: %v", c)
						}
						// The next version still knows it.
						b.edit(t, func(w *v1beta1.Work) {
							w.Spec.Workload.Manifests = raw(t, strings.Replace(tc.manifest, "metadata: {", "metadata: {labels: {v: '2'}, ", 1))
							w.Generation++
						})
						b.pass(t)
						b.edit(t, end)
						for range 3 {
							_, _ = b.tryPass(t)
							b.member.collectGarbage(t)
						}
						namespace := ""
						if tc.gvr == configMaps {
							namespace = "test-namespace"
						}
						live := b.member.get(t, tc.gvr, namespace, tc.key)
						switch {
						case (live != nil) != tc.stays:
							t.Errorf("on the member: %t, want %t", live != nil, tc.stays)
						case live != nil && len(live.GetOwnerReferences()) > 0:
							t.Errorf("owners: %v", live.GetOwnerReferences())
						}
					})
				}
			}
		}
	}
}

// A write that fails after the others leaves no Namespace owned and without the mark.
func TestATakenOverNamespaceIsMarkedWithTheWriteThatOwnsIt(t *testing.T) {
	for _, strategy := range []v1beta1.ApplyStrategyType{v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeServerSideApply} {
		t.Run(string(strategy), func(t *testing.T) {
			work := newWork(t, namespaceYAML)
			work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: strategy}
			b := newBench(t, work)
			b.member.put(t, namespaceYAML)
			checked := false
			b.member.PrependReactor("patch", "namespaces", func(a clienttesting.Action) (bool, runtime.Object, error) {
				if patch := string(a.(clienttesting.PatchActionImpl).GetPatch()); strings.Contains(patch, "ownerReferences") {
					checked = true
					if !strings.Contains(patch, wellknown.TakenOverAnnotation) {
						t.Errorf("it is owned without a mark: %s", patch)
					}
				}
				return false, nil, nil
			})
			b.pass(t)
			if !checked {
				t.Error("it was not taken over")
			}
		})
	}
}

// A Namespace that loses its AppliedWork and gets it back was not on the member before, and one that was still bears its mark.
func TestTheMarkOfATakenOverNamespaceOutlivesItsAppliedWork(t *testing.T) {
	for _, before := range []bool{false, true} {
		t.Run(fmt.Sprintf("on the member before %t", before), func(t *testing.T) {
			b := newBench(t, newWork(t, namespaceYAML))
			if before {
				b.member.put(t, namespaceYAML)
			}
			b.pass(t)
			b.deleteOwner(t)
			for range 3 {
				_, _ = b.tryPass(t)
				b.member.collectGarbage(t)
			}
			if live := b.member.get(t, namespaces, "", "test-namespace"); live == nil || isTakenOver(live) != before || len(live.GetOwnerReferences()) != 1 {
				t.Errorf("the Namespace: %v", live)
			}
		})
	}
}

func TestATakenOverNamespaceThatCannotBeLeftKeepsTheAppliedWork(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML))
	b.member.put(t, namespaceYAML)
	b.pass(t)
	b.edit(t, func(w *v1beta1.Work) {
		now := metav1.NewTime(testTime)
		w.DeletionTimestamp = &now
		metav1.SetMetaDataAnnotation(&w.ObjectMeta, wellknown.DeletePropagationAnnotation, "Delete")
	})
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "patch" && resource == "namespaces" {
			return apierrors.NewForbidden(namespaces.GroupResource(), "test-namespace", errors.New("denied request"))
		}
		return nil
	})
	if _, err := b.tryPass(t); err == nil {
		t.Error("no failure is told")
	}
	if b.member.get(t, appliedWorks, "", b.name) == nil {
		t.Error("the AppliedWork has gone, and with it the Namespace")
	}
}

// What a manifest says of marks counts for nothing.
func TestAManifestBringsNoMarks(t *testing.T) {
	b := newBench(t, newWork(t, strings.Replace(namespaceYAML, "metadata: {",
		"metadata: {annotations: {kubernetes-fleet.io/taken-over: 'true', kubernetes-fleet.io/kept-for: other-work}, ", 1)))
	b.pass(t)
	live := b.member.get(t, namespaces, "", "test-namespace")
	if isTakenOver(live) || len(keptFor(live)) > 0 {
		t.Errorf("annotations: %v", live.GetAnnotations())
	}
}

// With another placement that has it too a Namespace goes to that one, mark and all.
func TestATakenOverNamespaceKeepsItsMarkWhenItMoves(t *testing.T) {
	owner := &v1beta1.AppliedWork{ObjectMeta: metav1.ObjectMeta{Name: "other-work", UID: "other"}}
	b := newBench(t, newWork(t, namespaceYAML))
	b.member.put(t, namespaceYAML)
	b.pass(t)
	live := b.member.get(t, namespaces, "", "test-namespace")
	moved, err := reown(t.Context(), b.member.Resource(namespaces), live, []string{b.name}, owner)
	if err != nil {
		t.Fatal(err)
	}
	if !isTakenOver(moved) || !isOwnedBy(moved, "other-work") {
		t.Errorf("the Namespace: %v", moved)
	}
}

func isOwnedBy(live *unstructured.Unstructured, name string) bool { return ownersOf(live, name).ours }

// A status that lists a Namespace as something else must not have it treated as that.
func TestAnObjectIsListedAsWhatItIsOrNotAtAll(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML))
	namespace := b.member.put(t, namespaceYAML)
	for kind, want := range map[string]bool{"Namespace": true, "Foo": false} {
		r := v1beta1.AppliedResourceMeta{WorkResourceIdentifier: v1beta1.WorkResourceIdentifier{Version: "v1", Kind: kind, Resource: "namespaces", Name: namespace.GetName()}}
		if _, live, err := b.Applier.member.find(t.Context(), r); err != nil || (live != nil) != want {
			t.Errorf("as %s: found %v, error %v", kind, live, err)
		}
	}
}

// A server-side apply takes off what it does not have, and with it what an object says of the AppliedWork that it is kept for.
func TestWhatAnObjectIsKeptForIsAppliedWithIt(t *testing.T) {
	live := parse(t, configMapYAML)
	live.SetAnnotations(map[string]string{wellknown.KeptForAnnotation: "app-work"})
	m := &manifest{object: parse(t, configMapYAML)}
	for what, want := range map[*unstructured.Unstructured]string{live: "app-work", nil: ""} {
		if got := m.annotated(what, nil).GetAnnotations()[wellknown.KeptForAnnotation]; got != want {
			t.Errorf("kept for %q, want %q", got, want)
		}
	}
}

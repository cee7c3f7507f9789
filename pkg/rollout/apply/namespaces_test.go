// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const refused = `Namespace "test-namespace" of cluster "member1" does not take what is placed from namespace "test-namespace" of the hub: ` +
	`place the Namespace with a ClusterResourcePlacement, or label the Namespace on the cluster or MemberCluster "member1" on the hub with ` +
	`kubernetes-fleet.io/accept-placements=true`

// newTeamWork is the Work of a ResourcePlacement in test-namespace.
func newTeamWork(t *testing.T, manifests ...string) *v1beta1.Work {
	t.Helper()
	work := newWork(t, manifests...)
	work.Name = wellknown.WorkName("test-namespace", "web", "")
	work.Labels = map[string]string{wellknown.ParentNamespaceLabel: "test-namespace", wellknown.ParentPlacementLabel: "web"}
	work.Annotations = map[string]string{wellknown.NumberOfWorksAnnotation: "1"}
	return work
}

// bring has the Work of a cluster-scoped placement own Namespace test-namespace, which is on the member already.
func (b *bench) bring(t *testing.T, work *v1beta1.Work) {
	t.Helper()
	if _, err := b.works.Create(t.Context(), work, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	owner := b.member.put(t, `{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, metadata: {name: `+work.Name+
		`}, spec: {workName: `+work.Name+`, workNamespace: `+testNamespace+`}}`)
	b.own(t, work.Name, owner.GetUID())
}

// own makes an AppliedWork the owner of Namespace test-namespace.
func (b *bench) own(t *testing.T, name string, uid types.UID) {
	t.Helper()
	b.member.change(t, namespaces, "", "test-namespace", func(o *unstructured.Unstructured) {
		o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: v1beta1.SchemeGroupVersion.String(), Kind: "AppliedWork", Name: name, UID: uid}})
	})
}

// keepFor has Namespace test-namespace bear the name of a Work's AppliedWork, the loss of which that notes.
func (b *bench) keepFor(t *testing.T, note string, manifests ...string) {
	t.Helper()
	work := platformWork()
	work.Spec.Workload.Manifests = raw(t, manifests...)
	work.Annotations = map[string]string{wellknown.LostAppliedWorkAnnotation: note}
	if _, err := b.works.Create(t.Context(), work, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.member.change(t, namespaces, "", "test-namespace", func(o *unstructured.Unstructured) {
		o.SetAnnotations(map[string]string{wellknown.KeptForAnnotation: work.Name})
	})
}

func (b *bench) label(t *testing.T, value string) {
	t.Helper()
	b.member.change(t, namespaces, "", "test-namespace", func(o *unstructured.Unstructured) {
		o.SetLabels(map[string]string{wellknown.AcceptPlacementsLabel: value})
	})
}

func platformWork() *v1beta1.Work {
	return &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
		Namespace: testNamespace, Name: "platform-work", Labels: map[string]string{wellknown.ParentPlacementLabel: "platform"},
	}}
}

func TestANamespaceOfAMemberTakesWhatATeamPlacesWhereItIsAllowed(t *testing.T) {
	for name, tc := range map[string]struct {
		work    func(*v1beta1.Work)
		prepare func(t *testing.T, b *bench)
		// missing is that the member does not have the namespace.
		missing bool
		// wantRefused is the reason, empty where it is taken.
		wantRefused string
	}{
		"not the member's own":                   {wantRefused: "NamespaceNotAccepted"},
		"one that is labeled":                    {prepare: func(t *testing.T, b *bench) { b.label(t, "true") }},
		"not one that is labeled otherwise":      {prepare: func(t *testing.T, b *bench) { b.label(t, "false") }, wantRefused: "NamespaceNotAccepted"},
		"each of a MemberCluster that says so":   {work: func(w *v1beta1.Work) { w.Annotations = map[string]string{wellknown.AcceptPlacementsAnnotation: "true"} }},
		"but not of one that says it otherwise":  {work: func(w *v1beta1.Work) { w.Annotations = map[string]string{wellknown.AcceptPlacementsAnnotation: ""} }, wantRefused: "NamespaceNotAccepted"},
		"what a cluster-scoped placement places": {work: func(w *v1beta1.Work) { w.Labels = map[string]string{wellknown.ParentPlacementLabel: "web"} }},
		"one of the hub":                         {prepare: func(_ *testing.T, b *bench) { b.isHub = true }},
		"one that a placement has brought":       {prepare: func(t *testing.T, b *bench) { b.bring(t, platformWork()) }},
		"not one whose owner is gone": {
			prepare: func(t *testing.T, b *bench) { b.own(t, "platform-work", "earlier") }, wantRefused: "NamespaceNotAccepted",
		},
		"not one whose owner is another than it was": {
			prepare: func(t *testing.T, b *bench) {
				b.bring(t, platformWork())
				b.own(t, "platform-work", "earlier")
			},
			wantRefused: "NamespaceNotAccepted",
		},
		"one whose owner was deleted on the member": {prepare: func(t *testing.T, b *bench) { b.keepFor(t, "lost", namespaceYAML) }},
		"not one that only says so":                 {prepare: func(t *testing.T, b *bench) { b.keepFor(t, "", namespaceYAML) }, wantRefused: "NamespaceNotAccepted"},
		"not one of which only a Work's note says so": {
			prepare: func(t *testing.T, b *bench) { b.keepFor(t, "lost") }, wantRefused: "NamespaceNotAccepted",
		},
		"not one whose owner has no Work": {
			prepare: func(t *testing.T, b *bench) {
				b.bring(t, platformWork())
				if err := b.works.Delete(t.Context(), "platform-work", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			wantRefused: "NamespaceNotAccepted",
		},
		"not one whose owner is going": {
			prepare: func(t *testing.T, b *bench) {
				work := platformWork()
				work.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Abandon"}
				b.bring(t, work)
			},
			wantRefused: "NamespaceNotAccepted",
		},
		"not one that another placement in a namespace owns": {
			prepare: func(t *testing.T, b *bench) {
				work := platformWork()
				work.Labels[wellknown.ParentNamespaceLabel] = "test-namespace"
				b.bring(t, work)
			},
			wantRefused: "NamespaceNotAccepted",
		},
		"not one whose owner is of another member": {
			prepare: func(t *testing.T, b *bench) {
				b.bring(t, platformWork())
				b.member.change(t, appliedWorks, "", "platform-work", func(o *unstructured.Unstructured) {
					_ = unstructured.SetNestedField(o.Object, "fleet-member-other", "spec", "workNamespace")
				})
			},
			wantRefused: "NamespaceNotAccepted",
		},
		"not one that something else owns": {
			prepare: func(t *testing.T, b *bench) {
				b.bring(t, platformWork())
				b.member.change(t, namespaces, "", "test-namespace", func(o *unstructured.Unstructured) {
					refs := o.GetOwnerReferences()
					refs[0].APIVersion = "example.com/v1"
					o.SetOwnerReferences(refs)
				})
			},
			wantRefused: "NamespaceNotAccepted",
		},
		"none that is not there": {missing: true, wantRefused: "ManifestApplyFailed"},
	} {
		for _, strategy := range []v1beta1.ApplyStrategyType{
			v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeServerSideApply, v1beta1.ApplyStrategyTypeReportDiff,
		} {
			for _, exists := range []bool{true, false} {
				if exists && tc.missing {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/exists=%t", name, strategy, exists), func(t *testing.T) {
					work := newTeamWork(t, configMapYAML)
					work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: strategy}
					work.Spec.ReportBackStrategy = &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror}
					if tc.work != nil {
						tc.work(work)
					}
					b := newBench(t, work)
					if !tc.missing {
						b.member.put(t, namespaceYAML)
					}
					if exists {
						b.member.put(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace}, data: {key: theirs}, status: {is: theirs}}`)
					}
					if tc.prepare != nil {
						tc.prepare(t, b)
					}
					b.member.ClearActions()
					// Neither the first look nor another one, at what the first has left.
					for range 2 {
						work, err := b.tryPass(t)
						if (err != nil) != (tc.missing && strategy != v1beta1.ApplyStrategyTypeReportDiff) {
							t.Fatalf("pass: %v", err)
						}
						got := work.Status.ManifestConditions[0]
						verdict := v1beta1.WorkApplied
						if strategy == v1beta1.ApplyStrategyTypeReportDiff {
							verdict = v1beta1.WorkDiffReported
						}
						said := meta.FindStatusCondition(got.Conditions, verdict)
						switch {
						case said == nil:
							t.Fatalf("conditions: %+v", got.Conditions)
						case tc.wantRefused == "" || tc.missing && strategy == v1beta1.ApplyStrategyTypeReportDiff:
							if said.Status != metav1.ConditionTrue {
								t.Errorf("condition: %+v", said)
							}
							continue
						case said.Status != metav1.ConditionFalse || said.Reason != tc.wantRefused:
							t.Errorf("condition: %+v", said)
						case tc.missing:
							if want := `Namespace "test-namespace" of cluster "member1" does not exist: place the Namespace with a ClusterResourcePlacement, ` +
								`or create it there with the label kubernetes-fleet.io/accept-placements=true`; said.Message != failedToApply(errors.New(want)) {
								t.Errorf("message: %s", said.Message)
							}
						case said.Message != refused:
							t.Errorf("message: %s", said.Message)
						}
						if got.DiffDetails != nil || got.DriftDetails != nil || got.BackReportedStatus != nil {
							t.Errorf("it tells of what is not the team's: %+v", got)
						}
						if writes := b.member.writes(); len(writes) > 0 {
							t.Errorf("writes: %v", writes)
						}
					}
				})
			}
		}
	}
}

func TestWhatIsDeliveredToANamespaceIsUpdatedAndKept(t *testing.T) {
	other := strings.ReplaceAll(configMapYAML, "test-cm", "other")
	for name, forbid := range map[string]func(t *testing.T, b *bench){
		"its placement goes": func(t *testing.T, b *bench) {
			if err := b.works.Delete(t.Context(), "platform-work", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		"the Namespace is nobody's any more": func(t *testing.T, b *bench) {
			b.member.change(t, namespaces, "", "test-namespace", func(o *unstructured.Unstructured) { o.SetOwnerReferences(nil) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newTeamWork(t, configMapYAML))
			b.member.put(t, namespaceYAML)
			b.bring(t, platformWork())
			b.pass(t)
			forbid(t, b)
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.Workload.Manifests = raw(t, strings.Replace(configMapYAML, "value1", "value2", 1), other)
				w.Generation++
			})
			work := b.pass(t)
			var got []string
			for _, c := range work.Status.ManifestConditions {
				got = append(got, c.Identifier.Name+" "+condition(c.Conditions, "Applied"))
			}
			if diff := cmp.Diff([]string{"test-cm True Applied", "other False NamespaceNotAccepted"}, got); diff != "" {
				t.Errorf("manifests (-want +got):\n%s", diff)
			}
			value, _, _ := unstructured.NestedString(b.member.get(t, configMaps, "test-namespace", "test-cm").Object, "data", "key")
			if value != "value2" || b.has(t, "other") {
				t.Errorf("test-cm has %s, other is there: %t", value, b.has(t, "other"))
			}
			// What differs of it is the team's to know.
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
				w.Generation++
			})
			work = b.pass(t)
			if got := condition(work.Status.ManifestConditions[0].Conditions, "DiffReported"); got != "True NoDiffFound" {
				t.Errorf("DiffReported: %s", got)
			}
			if got := condition(work.Status.ManifestConditions[1].Conditions, "DiffReported"); got != "False NamespaceNotAccepted" {
				t.Errorf("DiffReported of what is not there: %s", got)
			}
			// A placement that no longer has it takes it away, as ever.
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.ApplyStrategy = nil
				w.Spec.Workload.Manifests = nil
				w.Generation++
			})
			b.pass(t)
			if b.has(t, "test-cm") {
				t.Error("what was dropped is still there")
			}
		})
	}
}

func TestWhatAnotherPartHasDeliveredToANamespaceIsHandedOver(t *testing.T) {
	part := newTeamWork(t, configMapYAML)
	part.Name = wellknown.WorkName("test-namespace", "web", "0")
	part.Annotations[wellknown.NumberOfWorksAnnotation] = "2"
	b := newBench(t, part)
	first := newTeamWork(t)
	first.Annotations[wellknown.NumberOfWorksAnnotation] = "2"
	if _, err := b.works.Create(t.Context(), first, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.member.put(t, namespaceYAML)
	owner := b.member.put(t, `{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, metadata: {name: `+first.Name+`, annotations: {`+
		keptNamespacesAnnotation+`: ""}}, spec: {workName: `+first.Name+`, workNamespace: `+testNamespace+`}}`)
	b.member.put(t, strings.Replace(configMapYAML, "namespace: test-namespace", "namespace: test-namespace, ownerReferences: ["+
		"{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, name: "+first.Name+", uid: "+string(owner.GetUID())+"}]", 1))
	work := b.pass(t)
	if got := condition(work.Status.ManifestConditions[0].Conditions, "Applied"); got != "True Applied" {
		t.Errorf("Applied: %s", got)
	}
	if refs := b.member.get(t, configMaps, "test-namespace", "test-cm").GetOwnerReferences(); len(refs) != 1 || refs[0].Name != part.Name {
		t.Errorf("owners: %v", refs)
	}
}

func TestWhatAnEarlierVersionHasPlacedInANamespaceGoesOn(t *testing.T) {
	const owner = `{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, metadata: {name: test-namespace.web-work, annotations: {` +
		workUIDAnnotation + `: work-uid, ` + wellknown.WorkGenerationAnnotation + `: "1", ` + wellknown.StoreIDAnnotation + `: ` + testStore + `, ` +
		wellknown.HubUIDAnnotation + `: ` + testHub + `}}, spec: {workName: test-namespace.web-work, workNamespace: ` + testNamespace + `}, status: {appliedResources: [LISTED]}}`
	const listed = `{ordinal: 0, version: v1, kind: ConfigMap, resource: configmaps, namespace: test-namespace, name: test-cm}`
	other := strings.ReplaceAll(configMapYAML, "test-cm", "other")
	for name, tc := range map[string]struct {
		// owner is the AppliedWork that is there, empty for none.
		owner string
		want  string
		kept  string
	}{
		"where it has objects":      {owner: strings.Replace(owner, "LISTED", listed, 1), want: "True Applied", kept: "test-namespace"},
		"but not where it has none": {owner: strings.Replace(owner, "LISTED", "", 1), want: "False NamespaceNotAccepted"},
		"nor where it is new":       {want: "False NamespaceNotAccepted"},
	} {
		// Whichever write is the last before the server ends, what is listed for the first time since counts for nothing.
		for _, kill := range []string{"", "create", "update", "update status"} {
			t.Run(name+"/killed at "+kill, func(t *testing.T) {
				b := newBench(t, newTeamWork(t, configMapYAML, other))
				b.member.put(t, namespaceYAML)
				if tc.owner != "" {
					b.member.put(t, tc.owner)
				}
				writes := 0
				b.member.fail(func(verb, resource, _ string) error {
					if verb = strings.TrimSpace(verb); resource != "appliedworks" || verb != "create" && verb != "update" {
						return nil
					}
					if writes++; kill != "" && writes == map[string]int{"create": 1, "update": 2, "update status": 3}[kill] {
						return &url.Error{Op: verb, URL: "https://member1", Err: errors.New("killed")}
					}
					return nil
				})
				for range 4 {
					if _, err := b.tryPass(t); err != nil && !isUnreachable(err) {
						t.Fatal(err)
					}
					b.records = map[string]*record{}
				}
				work := b.pass(t)
				for _, c := range work.Status.ManifestConditions {
					if got := condition(c.Conditions, "Applied"); got != tc.want {
						t.Errorf("%s: %s, want %s", c.Identifier.Name, got, tc.want)
					}
				}
				if kept, said := b.member.get(t, appliedWorks, "", b.name).GetAnnotations()[keptNamespacesAnnotation]; !said || kept != tc.kept {
					t.Errorf("kept namespaces %q (said: %t), want %q", kept, said, tc.kept)
				}
			})
		}
	}
	t.Run("until somebody takes it back", func(t *testing.T) {
		b := newBench(t, newTeamWork(t, configMapYAML))
		b.member.put(t, namespaceYAML)
		b.member.put(t, strings.Replace(owner, "LISTED", listed, 1))
		b.pass(t)
		b.member.change(t, appliedWorks, "", b.name, func(o *unstructured.Unstructured) {
			annotations := o.GetAnnotations()
			annotations[keptNamespacesAnnotation] = ""
			o.SetAnnotations(annotations)
		})
		b.edit(t, func(w *v1beta1.Work) {
			w.Spec.Workload.Manifests = raw(t, configMapYAML, other)
			w.Generation++
		})
		work := b.pass(t)
		if got := condition(work.Status.ManifestConditions[1].Conditions, "Applied"); got != "False NamespaceNotAccepted" {
			t.Errorf("Applied: %s", got)
		}
	})
	t.Run("in a part that is new", func(t *testing.T) {
		work := newTeamWork(t, other)
		work.Name = wellknown.WorkName("test-namespace", "web", "0")
		b := newBench(t, work)
		b.member.put(t, namespaceYAML)
		b.member.put(t, strings.Replace(owner, "LISTED", listed, 1))
		work = b.pass(t)
		if got := condition(work.Status.ManifestConditions[0].Conditions, "Applied"); got != "True Applied" {
			t.Errorf("Applied: %s", got)
		}
	})
}

// Whoever has the token of the agent writes the note.
func TestANoteOfALossIsNoConsent(t *testing.T) {
	for name, note := range map[string]string{
		"that the namespace is kept":               `{"annotations":{"kubernetes-fleet.io/kept-namespaces":"test-namespace"}}`,
		"of objects there, as from before":         `{"resources":[{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"x"}]}`,
		"of objects there that are not the Work's": `{"objects":[{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"x"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newTeamWork(t, configMapYAML))
			b.member.put(t, namespaceYAML)
			b.member.put(t, strings.Replace(configMapYAML, "name: test-cm", `name: x, annotations: {kubernetes-fleet.io/kept-for: test-namespace.other-work/namespace}`, 1))
			b.edit(t, func(w *v1beta1.Work) { noted(t, w, note) })
			for range 2 {
				if got := condition(b.pass(t).Status.ManifestConditions[0].Conditions, "Applied"); got != "False NamespaceNotAccepted" {
					t.Errorf("Applied: %s", got)
				}
			}
			if kept := b.member.get(t, appliedWorks, "", b.name).GetAnnotations()[keptNamespacesAnnotation]; kept != "" {
				t.Errorf("kept namespaces %q", kept)
			}
		})
	}
}

// What a namespace takes is the same after the AppliedWork was deleted on the member as before, whatever the Work notes.
func TestALossChangesNothingAboutWhatANamespaceTakes(t *testing.T) {
	other := strings.ReplaceAll(configMapYAML, "test-cm", "other")
	lie := func(t *testing.T, b *bench) {
		b.edit(t, func(w *v1beta1.Work) {
			noted(t, w, `{"objects":[{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"test-cm"}]}`)
		})
	}
	for _, kept := range []bool{true, false} {
		for name, change := range map[string]func(*testing.T, *bench){"an honest note": func(*testing.T, *bench) {}, "a note that was changed": lie} {
			t.Run(fmt.Sprintf("kept %t, %s", kept, name), func(t *testing.T) {
				b := newBench(t, newTeamWork(t, configMapYAML))
				b.member.put(t, namespaceYAML)
				b.label(t, "true")
				b.pass(t)
				b.label(t, "false")
				want := "False NamespaceNotAccepted"
				if kept {
					want = "True Applied"
					b.member.change(t, appliedWorks, "", b.name, func(o *unstructured.Unstructured) {
						annotations := o.GetAnnotations()
						annotations[keptNamespacesAnnotation] = "test-namespace"
						o.SetAnnotations(annotations)
					})
				}
				b.deleteOwner(t)
				if _, err := b.surrender(t.Context(), b.work(t), b.ownerOf(t)); err != nil {
					t.Fatal(err)
				}
				change(t, b)
				b.edit(t, func(w *v1beta1.Work) {
					w.Spec.Workload.Manifests = raw(t, configMapYAML, other)
					w.Generation++
				})
				for range 2 {
					b.pass(t)
				}
				work := b.work(t)
				for i, want := range []string{"True Applied", want} {
					if got := condition(work.Status.ManifestConditions[i].Conditions, "Applied"); got != want {
						t.Errorf("manifest %d: %s, want %s", i, got, want)
					}
				}
				if hasLost(work) || len(keptFor(b.member.get(t, configMaps, "test-namespace", "test-cm"))) > 0 {
					t.Error("the loss is not over")
				}
			})
		}
	}
}

func TestANamespaceIsAskedAgainWhenItChanges(t *testing.T) {
	for name, allow := range map[string]func(t *testing.T, b *bench){
		"labeled": func(t *testing.T, b *bench) { b.label(t, "true") },
		"brought": func(t *testing.T, b *bench) {
			work := platformWork()
			work.Spec.Workload.Manifests = raw(t, namespaceYAML)
			if _, err := b.works.Create(t.Context(), work, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		// The Work that comes back claims the AppliedWork, and changes nothing of the Namespace.
		"its placement comes back": func(t *testing.T, b *bench) {
			if _, err := b.works.Create(t.Context(), platformWork(), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		"the MemberCluster is labeled": func(t *testing.T, b *bench) {
			b.edit(t, func(w *v1beta1.Work) {
				w.Annotations = map[string]string{wellknown.AcceptPlacementsAnnotation: "true"}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newTeamWork(t, configMapYAML))
			b.member.put(t, namespaceYAML)
			if name == "its placement comes back" {
				b.bring(t, platformWork())
				if err := b.works.Delete(t.Context(), "platform-work", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- b.Run(ctx) }()
			defer func() {
				stop()
				if err := <-done; err != nil {
					t.Errorf("Run: %v", err)
				}
			}()
			eventually(t, "it is refused", func() bool {
				conditions := b.work(t).Status.ManifestConditions
				return len(conditions) == 1 && condition(conditions[0].Conditions, "Applied") == "False NamespaceNotAccepted"
			})
			eventually(t, "the Namespace is watched", func() bool {
				version, synced := b.watches.version(namespaces, keyOf("test-namespace"))
				return synced && version == b.member.get(t, namespaces, "", "test-namespace").GetResourceVersion()
			})
			allow(t, b)
			eventually(t, "it is delivered", func() bool {
				if name == "the MemberCluster is labeled" && b.work(t).Annotations[wellknown.AcceptPlacementsAnnotation] == "" {
					// The API here takes a status of the Work as it was before, with all of its metadata.
					allow(t, b)
				}
				return b.has(t, "test-cm")
			})
		})
	}
}

func TestTheOwnerOfANamespaceIsWatchedBeforeItIsLookedAt(t *testing.T) {
	b := newBench(t, newTeamWork(t, configMapYAML))
	b.member.put(t, namespaceYAML)
	b.own(t, "platform-work", "uid")
	looks := 0
	b.member.fail(func(verb, resource, name string) error {
		if verb == "get" && resource == appliedWorks.Resource && name == "platform-work" {
			looks++
			b.watches.mu.Lock()
			defer b.watches.mu.Unlock()
			if !b.watches.wishes[b.name][appliedWorks].Has(keyOf(name)) {
				t.Error("a change after the look would not be heard of")
			}
		}
		return nil
	})
	b.pass(t)
	b.pass(t)
	if looks != 2 {
		t.Errorf("looked %d times, want once in each pass", looks)
	}
}

func TestAReservedNamespaceIsNeverDeleted(t *testing.T) {
	reserved := strings.ReplaceAll(namespaceYAML, "test-namespace", wellknown.SystemNamespace)
	now := metav1.NewTime(testTime)
	for name, end := range map[string]func(w *v1beta1.Work){
		"a version lacks it": func(w *v1beta1.Work) {
			w.Spec.Workload.Manifests = nil
			w.Generation++
		},
		"its Work goes": func(w *v1beta1.Work) {
			w.DeletionTimestamp = &now
			w.Annotations[wellknown.DeletePropagationAnnotation] = "Delete"
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := newWork(t, reserved, namespaceYAML)
			work.Labels = map[string]string{wellknown.ParentPlacementLabel: "web"}
			work.Annotations = map[string]string{wellknown.NumberOfWorksAnnotation: "1"}
			b := newBench(t, work)
			b.pass(t)
			owned := func(name string) bool {
				live := b.member.get(t, namespaces, "", name)
				return live != nil && len(live.GetOwnerReferences()) > 0
			}
			if !owned(wellknown.SystemNamespace) || !owned("test-namespace") {
				t.Fatal("the Namespaces are not owned, as those are that an earlier version has placed")
			}
			b.edit(t, end)
			b.pass(t)
			if live := b.member.get(t, namespaces, "", wellknown.SystemNamespace); live == nil || owned(wellknown.SystemNamespace) {
				t.Errorf("the reserved one: %v, owned: %t", live, owned(wellknown.SystemNamespace))
			}
			// What is owned when its AppliedWork goes is for the garbage collector to delete.
			if ended := b.member.get(t, appliedWorks, "", b.name) == nil; !ended && b.member.get(t, namespaces, "", "test-namespace") != nil {
				t.Error("the other one is still there")
			}
		})
	}
}

// TestAMissingNamespaceIsNamedWithItsCluster has the answers of a member to the creation of an object in namespace shop.
func TestAMissingNamespaceIsNamedWithItsCluster(t *testing.T) {
	notFound := apierrors.NewNotFound(namespaces.GroupResource(), "shop")
	for name, tc := range map[string]struct {
		err  error
		team bool
		want string
	}{
		"the namespace, for the platform": {notFound, false, `Namespace "shop" of cluster "member1" does not exist: place the Namespace with a ClusterResourcePlacement, or create it there`},
		"the namespace, for a team": {notFound, true, `Namespace "shop" of cluster "member1" does not exist: place the Namespace with a ClusterResourcePlacement, ` +
			`or create it there with the label kubernetes-fleet.io/accept-placements=true`},
		"another namespace": {apierrors.NewNotFound(namespaces.GroupResource(), "other"), false, `namespaces "other" not found`},
		"the object":        {apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, "shop"), false, `configmaps "shop" not found`},
		"something else":    {errors.New("refused"), false, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			work := &v1beta1.Work{}
			if tc.team {
				work.Labels = map[string]string{wellknown.ParentNamespaceLabel: "shop"}
			}
			got := (&pass{Applier: &Applier{options: Options{Cluster: "member1"}}, work: work}).explained(tc.err, "shop")
			if got.Error() != tc.want {
				t.Errorf("got %v, want %s", got, tc.want)
			}
			if apierrors.IsNotFound(got) != apierrors.IsNotFound(tc.err) {
				t.Errorf("%v is another answer than %v", got, tc.err)
			}
		})
	}
}

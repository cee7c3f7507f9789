// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const preciousYAML = `{apiVersion: v1, kind: ConfigMap, metadata: {name: precious, namespace: test-namespace}, data: {key: value1}}`

// placedBefore has a member on which an AppliedWork lists and owns an object that the Work does not have. Its annotations are those of a
// Work of this store and hub but for what edit changes.
func placedBefore(t *testing.T, b *bench, edit func(owner *v1beta1.AppliedWork)) {
	t.Helper()
	owner := &v1beta1.AppliedWork{
		ObjectMeta: metav1.ObjectMeta{Name: "web-work", Annotations: map[string]string{
			workUIDAnnotation: "work-uid", wellknown.WorkGenerationAnnotation: "1",
			wellknown.StoreIDAnnotation: testStore, wellknown.HubUIDAnnotation: testHub,
		}},
		Spec: v1beta1.AppliedWorkSpec{WorkName: "web-work", WorkNamespace: testNamespace},
		Status: v1beta1.AppliedWorkStatus{AppliedResources: []v1beta1.AppliedResourceMeta{{WorkResourceIdentifier: v1beta1.WorkResourceIdentifier{
			Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "test-namespace", Name: "precious",
		}}}},
	}
	edit(owner)
	object, err := fromAppliedWork(owner)
	if err != nil {
		t.Fatal(err)
	}
	created, err := b.member.Resource(appliedWorks).Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.member.put(t, strings.Replace(preciousYAML, "namespace: test-namespace",
		"namespace: test-namespace, ownerReferences: [{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, name: web-work, uid: "+string(created.GetUID())+"}]", 1))
	b.member.ClearActions()
}

func (b *bench) has(t *testing.T, name string) bool {
	t.Helper()
	return b.member.get(t, configMaps, "test-namespace", name) != nil
}

func TestWhatWasPlacedBeforeAnAdoptionStays(t *testing.T) {
	for _, tc := range []struct {
		name string
		// before is how the AppliedWork was left by whoever was there before.
		before func(owner *v1beta1.AppliedWork)
		work   func(work *v1beta1.Work)
		keeps  bool
	}{
		{name: "not an adoption", before: func(*v1beta1.AppliedWork) {}},
		{name: "of an earlier version of the server", before: func(o *v1beta1.AppliedWork) { delete(o.Annotations, wellknown.HubUIDAnnotation) }},
		{name: "of another store", keeps: true, before: func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.StoreIDAnnotation] = "that-store" }},
		{name: "of another hub", keeps: true, before: func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.HubUIDAnnotation] = "that-hub" }},
		{name: "of another Work", keeps: true, before: func(o *v1beta1.AppliedWork) { o.Annotations[workUIDAnnotation] = "that-work" }},
		{name: "of another implementation", keeps: true, before: func(o *v1beta1.AppliedWork) { o.Annotations = nil }},
		{
			name: "of another hub, and somebody has let go of it for this version",
			before: func(o *v1beta1.AppliedWork) {
				o.Annotations[wellknown.HubUIDAnnotation] = "that-hub"
			},
			work: func(w *v1beta1.Work) {
				w.Annotations = map[string]string{
					wellknown.ParentSnapshotNameAnnotation: "web-1-snapshot", wellknown.PruneAnnotation: "web-1-snapshot",
					wellknown.PruneTimeAnnotation: testTime.Format(time.RFC3339),
				}
			},
		},
		{
			name: "of another hub, and somebody has let go of it before the adoption", keeps: true,
			before: func(o *v1beta1.AppliedWork) {
				o.Annotations[wellknown.HubUIDAnnotation] = "that-hub"
			},
			work: func(w *v1beta1.Work) {
				w.Annotations = map[string]string{
					wellknown.ParentSnapshotNameAnnotation: "web-1-snapshot", wellknown.PruneAnnotation: "web-1-snapshot",
					wellknown.PruneTimeAnnotation: testTime.Add(-time.Second).Format(time.RFC3339),
				}
			},
		},
		{
			name: "of another hub, and somebody has let go of it for another version", keeps: true,
			before: func(o *v1beta1.AppliedWork) {
				o.Annotations[wellknown.HubUIDAnnotation] = "that-hub"
			},
			work: func(w *v1beta1.Work) {
				w.Annotations = map[string]string{wellknown.ParentSnapshotNameAnnotation: "web-2-snapshot", wellknown.PruneAnnotation: "web-1-snapshot"}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			work := newWork(t, configMapYAML)
			if tc.work != nil {
				tc.work(work)
			}
			b := newBench(t, work)
			placedBefore(t, b, tc.before)
			work = b.pass(t)
			if b.has(t, "precious") != tc.keeps {
				t.Errorf("the object is on the member: %t, want %t", !tc.keeps, tc.keeps)
			}
			if got := condition(work.Status.Conditions, "Applied"); got != "True AllManifestsApplied" {
				t.Errorf("Applied: %s", got)
			}
			c := meta.FindStatusCondition(work.Status.Conditions, v1beta1.WorkObjectsKept)
			if (c != nil) != tc.keeps {
				t.Fatalf("ObjectsKept: %v", c)
			}
			if isCleared(work) == tc.keeps {
				t.Errorf("the Work says that nothing is left: %t, want %t", tc.keeps, !tc.keeps)
			}
			if c != nil && !strings.Contains(c.Message, "ConfigMap test-namespace/precious") {
				t.Errorf("%q does not name the object", c.Message)
			}
			// To compare does not look, and tells it still.
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
				w.Generation++
			})
			if told := meta.IsStatusConditionTrue(b.pass(t).Status.Conditions, v1beta1.WorkObjectsKept); told != tc.keeps {
				t.Errorf("while it compares the Work tells of what is kept: %t, want %t", told, tc.keeps)
			}
			// It stays kept with the next version, whatever that has.
			b.edit(t, func(w *v1beta1.Work) {
				w.Spec.ApplyStrategy = nil
				w.Spec.Workload.Manifests = raw(t, namespaceYAML)
				w.Generation++
			})
			b.pass(t)
			if b.has(t, "precious") != tc.keeps {
				t.Errorf("after the next version the object is on the member: %t, want %t", !tc.keeps, tc.keeps)
			}
		})
	}
}

func TestWhatIsBeingDeletedIsNotKeptSinceAnAdoption(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.HubUIDAnnotation] = "that-hub" })
	b.member.change(t, configMaps, "test-namespace", "precious", holdBy("example.com/hold"))
	if err := b.member.Resource(configMaps).Namespace("test-namespace").Delete(t.Context(), "precious", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	work := b.pass(t)
	if c := meta.FindStatusCondition(work.Status.Conditions, v1beta1.WorkObjectsKept); c != nil {
		t.Errorf("ObjectsKept: %v", c)
	}
}

func TestAnAdoptionIsOverOnceAVersionOfTheHubHasEverything(t *testing.T) {
	work := newWork(t, configMapYAML)
	b := newBench(t, work)
	placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.HubUIDAnnotation] = "that-hub" })
	hold := func(hub string, manifests ...string) {
		b.edit(t, func(w *v1beta1.Work) {
			w.Annotations = map[string]string{wellknown.HubUIDAnnotation: hub}
			w.Spec.Workload.Manifests = raw(t, manifests...)
			w.Generation++
		})
		b.pass(t)
	}
	b.pass(t)
	// The version of before the adoption has everything, which says nothing of the hub that is there now.
	hold("that-hub", configMapYAML, preciousYAML)
	hold(testHub, configMapYAML)
	if !b.has(t, "precious") {
		t.Fatal("an object is gone that no version of this hub has had")
	}
	hold(testHub, configMapYAML, preciousYAML)
	hold(testHub, configMapYAML)
	if b.has(t, "precious") {
		t.Error("an object stays that a version of this hub has dropped")
	}
}

func TestAWorkOfAnAdoptedAppliedWorkThatIsDeletedLeavesWhatWasKept(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.StoreIDAnnotation] = "that-store" })
	b.pass(t)
	b.edit(t, func(w *v1beta1.Work) {
		now := metav1.NewTime(testTime)
		w.DeletionTimestamp = &now
		w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Delete"}
	})
	b.pass(t)
	if refs := b.member.get(t, configMaps, "test-namespace", "precious").GetOwnerReferences(); len(refs) > 0 {
		t.Errorf("the object goes with the AppliedWork: %v", refs)
	}
	if refs := b.member.get(t, configMaps, "test-namespace", "test-cm").GetOwnerReferences(); len(refs) != 1 {
		t.Errorf("the object of the Work does not go with the AppliedWork: %v", refs)
	}
}

func TestAnAppliedWorkOfAnotherMemberIsNeverTouched(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Spec.WorkNamespace = "fleet-member-oslo" })
	before := b.member.get(t, appliedWorks, "", "web-work")
	work, err := b.tryPass(t)
	var other *storeid.OtherMemberError
	if !errors.As(err, &other) {
		t.Errorf("pass: %v, want an OtherMemberError", err)
	}
	if got := condition(work.Status.Conditions, "Applied"); got != "False SomeManifestsAreNotApplied" {
		t.Errorf("Applied: %s", got)
	}
	if said := work.Status.ManifestConditions[0].Conditions[0].Message; !strings.Contains(said, "fleet-member-oslo") {
		t.Errorf("%q does not name the other member", said)
	}
	now := metav1.NewTime(testTime)
	b.edit(t, func(w *v1beta1.Work) {
		w.DeletionTimestamp = &now
		w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Delete"}
	})
	b.pass(t)
	if writes := b.member.writes(); len(writes) > 0 {
		t.Errorf("writes to the member: %v", writes)
	}
	if diff := cmp.Diff(before, b.member.get(t, appliedWorks, "", "web-work")); diff != "" {
		t.Errorf("the AppliedWork was changed:\n%s", diff)
	}
}

func TestFenceAfterARestoreHoldsForWorksThatWereRecreated(t *testing.T) {
	at := func(d time.Duration) string { return testTime.Add(d).Format(time.RFC3339) }
	for _, tc := range []struct {
		name, store, created string
		refused              bool
	}{
		{name: "the member has seen a Work that was created later", store: testStore, created: at(time.Hour), refused: true},
		{name: "the member has seen a Work that was created earlier", store: testStore, created: at(-time.Hour)},
		{name: "the member has seen a Work of an earlier version of the server", store: testStore},
		{name: "the member has seen a Work of another store", store: "that-store", created: at(time.Hour)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			work := newWork(t, configMapYAML)
			work.CreationTimestamp = metav1.NewTime(testTime)
			b := newBench(t, work)
			placedBefore(t, b, func(o *v1beta1.AppliedWork) {
				o.Annotations[workUIDAnnotation], o.Annotations[wellknown.StoreIDAnnotation] = "that-work", tc.store
				if tc.created != "" {
					o.Annotations[workCreatedAnnotation] = tc.created
				}
			})
			work, err := b.tryPass(t)
			if (err != nil) != tc.refused || b.has(t, "test-cm") == tc.refused {
				t.Fatalf("pass: %v, applied: %t", err, b.has(t, "test-cm"))
			}
			if said := work.Status.ManifestConditions[0].Conditions[0].Message; tc.refused && !strings.Contains(said, "remove the annotation kubernetes-fleet.io/work-created from AppliedWork web-work") {
				t.Errorf("%q does not say what to do", said)
			}
		})
	}
}

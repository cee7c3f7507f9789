// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	hubfake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// After an adoption a version made from an emptier hub has fewer parts. The part that goes takes its objects along.
func TestAPartThatGoesAfterAnAdoptionKeepsItsObjects(t *testing.T) {
	for _, seen := range []bool{true, false} {
		t.Run(fmt.Sprintf("passed since the adoption %t", seen), func(t *testing.T) {
			f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.applier.options.Ruler.Hub = "old-hub"
			f.write(1, version{"web-work": {"a"}, "web-0": {"b"}})
			f.settle()
			// The hub was rebuilt and adopted; b is not back on it yet.
			f.restart()
			if seen {
				f.settle()
			}
			for !f.write(2, version{"web-work": {"a"}}) {
				f.settle()
			}
			f.settle()
			if f.member.get(t, configMaps, "ns", "b") == nil {
				t.Error("b was removed by itself after an adoption")
			}
		})
	}
}

// A Work that goes before the applier has looked at it since the adoption takes along what was placed before.
func TestAWorkThatGoesBeforeTheFirstPassSinceAnAdoptionLeavesWhatWasKept(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.HubUIDAnnotation] = "that-hub" })
	b.edit(t, func(w *v1beta1.Work) {
		now := metav1.NewTime(testTime)
		w.DeletionTimestamp = &now
		w.Finalizers = []string{wellknown.WorkCleanupFinalizer}
		w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Delete"}
	})
	b.pass(t)
	if refs := b.member.get(t, configMaps, "test-namespace", "precious").GetOwnerReferences(); len(refs) > 0 {
		t.Errorf("the object goes with the AppliedWork: %v", refs)
	}
}

// Between the read and the delete of an object another Work (another worker or leader) receives it.
func TestAnObjectThatIsHandedOverBetweenReadAndDeleteStays(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a"}, "web-0": {"b", "c"}})
	f.settle()
	for !f.write(2, version{"web-work": {"a"}, "web-0": {"b"}}) {
	}
	uid := f.member.get(t, configMaps, "ns", "c").GetUID()
	done := false
	f.onDelete(func(action clienttesting.DeleteActionImpl) error {
		if done {
			return nil
		}
		done = true
		// Version 3 has c in web-work, which the other worker applies now.
		f.write(3, version{"web-work": {"a", "c"}, "web-0": {"b"}})
		live := f.member.get(t, configMaps, "ns", "c")
		live.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "placement.kubernetes-fleet.io/v1beta1", Kind: "AppliedWork", Name: "web-work", UID: "x"}})
		f.member.mu.Lock()
		f.member.stamp(live)
		f.member.mu.Unlock()
		if err := f.member.Tracker().Update(configMaps, live, "ns"); err != nil {
			t.Error(err)
		}
		p := action.DeleteOptions.Preconditions
		if p != nil && p.ResourceVersion != nil && *p.ResourceVersion != live.GetResourceVersion() {
			return apierrors.NewConflict(configMaps.GroupResource(), "c", nil)
		}
		return nil
	})
	f.pass("web-0")
	if !done {
		t.Fatal("nothing was deleted")
	}
	if live := f.member.get(t, configMaps, "ns", "c"); live == nil || live.GetUID() != uid {
		t.Error("c was deleted although web-work owns it")
	}
}

// A part goes, and the part that has its object now refuses it (generateName). The one that goes waits for ever, and with it every
// version that needs its name.
func TestAnObjectIsHandedOverToAWorkThatRefusesIt(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a"}, "web-0": {"b"}})
	f.settle()
	for i := 0; !f.write(2, version{"web-work": {"a", "b, generateName: b-"}}); i++ {
		f.settle()
	}
	f.settle()
	mended := false
	for range 10 {
		if mended = f.write(3, version{"web-work": {"a"}, "web-0": {"b"}}); mended {
			break
		}
		f.settle()
	}
	if !mended {
		t.Error("no version that has a Work web-0 can be written any more")
	}
}

// A placement was pruned after a first adoption, which left the request on its Work. After a second adoption the old request ends
// it at the first pass, and an emptier version removes what was placed before.
func TestAnEarlierRequestToPruneEndsNoLaterAdoption(t *testing.T) {
	work := newWork(t, configMapYAML, preciousYAML)
	work.Annotations = map[string]string{
		wellknown.ParentSnapshotNameAnnotation: "web-1-snapshot", wellknown.PruneAnnotation: "web-1-snapshot",
		wellknown.HubUIDAnnotation: "that-hub",
	}
	b := newBench(t, work)
	placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.HubUIDAnnotation] = "that-hub" })
	b.pass(t)
	b.edit(t, func(w *v1beta1.Work) {
		w.Annotations = map[string]string{
			wellknown.ParentSnapshotNameAnnotation: "web-2-snapshot", wellknown.PruneAnnotation: "", wellknown.HubUIDAnnotation: testHub,
		}
		w.Spec.Workload.Manifests = raw(t, configMapYAML)
		w.Generation++
	})
	b.pass(t)
	if !b.has(t, "precious") {
		t.Error("an object went by itself after an adoption, since somebody had pruned the placement after an earlier one")
	}
}

// A Work of the placement that no binding has keeps those that go waiting for ever.
func TestAWorkOfNoBindingKeepsNoOtherWaiting(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a"}, "web-7": {"z"}})
	f.settle()
	for _, w := range f.works() {
		if w.Name == "web-7" {
			w.Labels[wellknown.ParentBindingLabel] = "gone"
			if _, err := f.api.PlacementV1beta1().Works(testNamespace).Update(t.Context(), &w, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if w.Name == "web-work" {
			f.delete(&w)
		}
	}
	f.settle()
	for _, w := range f.works() {
		if w.Name == "web-work" && len(w.Finalizers) > 0 {
			t.Error("web-work waits for ever")
		}
	}
}

// The hub as a member, with a CustomResourceDefinition of AppliedWorks on it, is treated as any other member.
func TestTheHubIsKnownByItsUID(t *testing.T) {
	m := newFakeMember()
	add := func(gvr schema.GroupVersionResource, text string) {
		if err := m.Tracker().Create(gvr, parse(t, text), ""); err != nil {
			t.Fatal(err)
		}
	}
	add(namespaces, `{apiVersion: v1, kind: Namespace, metadata: {name: kube-system, uid: `+testHub+`}}`)
	add(definitions, `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: `+storeid.MemberCRD+`, annotations: {`+
		wellknown.StoreIDAnnotation+`: `+testStore+`, `+wellknown.HubUIDAnnotation+`: `+testHub+`, `+wellknown.MemberNameAnnotation+`: `+testCluster+`}}}`)
	hub := hubfake.NewClientset(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: testHub}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: storeid.ConfigMapName},
			Data: map[string]string{storeid.ConfigMapKey: testStore, storeid.ConfigMapHubKey: testHub}})
	isHub, err := identify(t.Context(), m.member(), hub, Options{
		Cluster: testCluster, Ruler: storeid.Ruler{Store: testStore, Hub: testHub}, ClusterUID: testHub,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !isHub {
		t.Error("the hub, by its uid, is written to and removed from like any other member")
	}
}

// What a user deletes on a hub that is its own member is back at once, from the Work's old manifest.
func TestWhatAUserDeletesOnTheHubStaysDeleted(t *testing.T) {
	work := newWork(t, configMapYAML)
	b := newBench(t, work)
	b.isHub = true
	b.member.put(t, configMapYAML)
	b.pass(t)
	if err := b.member.Resource(configMaps).Namespace("test-namespace").Delete(t.Context(), "test-cm", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.pass(t)
	if b.has(t, "test-cm") {
		t.Error("the object that a user has deleted on the hub is back, before any version without it could be made")
	}
}

// A kill after an object of a kind that was unknown at first was applied, and before the list of the AppliedWork has its resource.
// When the Work then goes, the object is not handed over and goes along.
func TestAnObjectOfAKindThatWasUnknownIsHandedOver(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	// The CustomResourceDefinition of the kind comes with an earlier wave of the same pass.
	f.member.mapper.hidden["ConfigMap"], f.member.mapper.reveal["ConfigMap"] = true, true
	f.write(1, version{"web-0": {"b"}, "web-work": {}})
	// The AppliedWork is made and its list written, the object is created; then the applier is killed.
	f.left = 3
	f.pass("web-0")
	f.restart()
	uid := f.member.get(t, configMaps, "ns", "b").GetUID()
	owner, err := f.applier.owner(t.Context(), "web-0")
	if err != nil {
		t.Fatal(err)
	}
	if got := owner.Status.AppliedResources; len(got) != 1 || got[0].Resource != "" {
		t.Fatalf("listed: %+v", got)
	}
	for !f.write(2, version{"web-work": {"b"}}) {
	}
	f.pass("web-0")
	f.settle()
	if live := f.member.get(t, configMaps, "ns", "b"); live == nil || live.GetUID() != uid {
		t.Error("b was deleted although web-work holds it")
	}
}

// Who prunes a placement cannot see all that goes.
func TestWhoWantsToKnowAllThatIsKeptIsToldWhere(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Hub = "old-hub"
	v := version{"web-work": {"a"}}
	for i := range 12 {
		v["web-work"] = append(v["web-work"], fmt.Sprintf("old-%02d", i))
	}
	f.write(1, v)
	f.settle()
	f.restart()
	f.write(2, version{"web-work": {"a"}})
	f.settle()
	kept := meta.FindStatusCondition(f.works()[0].Status.Conditions, v1beta1.WorkObjectsKept)
	if kept == nil || !strings.Contains(kept.Message, "and 2 more") || !strings.Contains(kept.Message, "AppliedWork web-work lists all") {
		t.Errorf("ObjectsKept does not say where all are listed: %v", kept)
	}
}

func TestAnObjectOfAKindThatWasUnknownIsDropped(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.member.mapper.hidden["ConfigMap"], f.member.mapper.reveal["ConfigMap"] = true, true
	f.write(1, version{"web-work": {"b"}})
	f.left = 3
	f.pass("web-work")
	f.restart()
	f.write(2, version{"web-work": {"c"}})
	f.settle()
	if f.member.get(t, configMaps, "ns", "b") != nil {
		t.Errorf("b stays, owned by %v and listed nowhere", f.owners("b"))
	}
}

// After the loss of the store, what an old part had and the new version has not stays, but nobody names it or can let go of it.
func TestWhatAPartOfALostStoreHadIsKeptByTheFirstWork(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Store = "old-store"
	f.write(1, version{"web-work": {"a"}, "web-0": {"b"}})
	f.settle()
	for _, w := range f.works() {
		if err := f.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), w.Namespace, w.Name); err != nil {
			t.Fatal(err)
		}
	}
	f.restart()
	f.write(2, version{"web-work": {"a"}})
	f.settle()
	kept := meta.FindStatusCondition(f.works()[0].Status.Conditions, v1beta1.WorkObjectsKept)
	if kept == nil || !strings.Contains(kept.Message, "ConfigMap ns/b") {
		t.Errorf("b is on the member: %t, ObjectsKept: %v", f.member.get(t, configMaps, "ns", "b") != nil, kept)
	}
}

// What a part has kept is not forgotten when the part goes with a later version.
func TestWhatAPartHasKeptIsStillNamedWhenThePartGoes(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Hub = "old-hub"
	f.write(1, version{"web-work": {"a"}, "web-0": {"b", "c"}})
	f.settle()
	f.restart()
	f.write(2, version{"web-work": {"a"}, "web-0": {"c"}})
	f.settle()
	for !f.write(3, version{"web-work": {"a", "c"}}) {
		f.settle()
	}
	f.settle()
	named := false
	for _, w := range f.works() {
		kept := meta.FindStatusCondition(w.Status.Conditions, v1beta1.WorkObjectsKept)
		named = named || kept != nil && strings.Contains(kept.Message, "ConfigMap ns/b")
	}
	if !named {
		t.Errorf("nobody names b, which is on the member (%t) with owners %v", f.member.get(t, configMaps, "ns", "b") != nil, f.owners("b"))
	}
}

// Two servers take themselves for the leader: a part goes, after an adoption, whose name the version has that is being written.
func TestAPartThatGoesAfterAnAdoptionWhileAVersionIsHalfWrittenIsForgottenByNobody(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Hub = "old-hub"
	f.write(1, version{"web-work": {"a"}, "web-0": {"b"}, "web-1": {"c"}})
	f.settle()
	uid := f.member.get(t, configMaps, "ns", "c").GetUID()
	f.restart()
	second := version{"web-work": {"a"}, "web-0": {"b"}, "web-1": {"c"}}
	f.left = 1
	f.write(2, second)
	f.left = -1
	for _, w := range f.works() {
		if w.Name == "web-1" {
			f.delete(&w)
		}
	}
	f.settle()
	if owners := f.owners("c"); len(owners) != 1 || owners[0] != "web-work" {
		t.Errorf("c is owned by %v, want the first Work", owners)
	}
	for i := 0; !f.write(2, second); i++ {
		if i > 10 {
			t.Fatal("the version cannot be written any more")
		}
		f.settle()
	}
	f.settle()
	if live := f.member.get(t, configMaps, "ns", "c"); live == nil || live.GetUID() != uid || len(f.owners("c")) != 1 || f.owners("c")[0] != "web-1" {
		t.Errorf("c is %v, owned by %v", live, f.owners("c"))
	}
}

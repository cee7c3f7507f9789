// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// A first Work that only reports differences never claims its AppliedWork.
func TestAPartThatGoesUnderReportDiffAfterAnAdoptionIsReleased(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Hub = "old-hub"
	f.write(1, version{"web-work": {"a"}, "web-0": {"b"}})
	f.settle()
	f.restart()
	// After the adoption the user first looks at what differs.
	f.strategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	for i := 0; !f.write(2, version{"web-work": {"a"}}) && i < 10; i++ {
		f.settle()
	}
	f.settle()
	// And then wants all back, with everything on the hub.
	f.strategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeClientSideApply}
	for range 10 {
		if f.write(3, version{"web-work": {"a"}, "web-0": {"b"}}) {
			return
		}
		f.settle()
	}
	for _, w := range f.works() {
		t.Logf("%s going %t finalizers %v strategy %s", w.Name, w.DeletionTimestamp != nil, w.Finalizers, w.Spec.ApplyStrategy.Type)
	}
	t.Error("no version with a Work web-0 can be written any more, not even one of another strategy")
}

// hooked calls before each patch of a ConfigMap.
type hooked struct {
	dynamic.Interface
	before func()
}

type hookedKind struct {
	dynamic.NamespaceableResourceInterface
	before func()
}

type hookedIn struct {
	dynamic.ResourceInterface
	before func()
}

func (h hooked) Resource(r schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	if r != configMaps {
		return h.Interface.Resource(r)
	}
	return hookedKind{h.Interface.Resource(r), h.before}
}

func (h hookedKind) Namespace(ns string) dynamic.ResourceInterface {
	return hookedIn{h.NamespaceableResourceInterface.Namespace(ns), h.before}
}

func (h hookedIn) Patch(ctx context.Context, name string, pt types.PatchType, data []byte, o metav1.PatchOptions, sub ...string) (*unstructured.Unstructured, error) {
	h.before()
	return h.ResourceInterface.Patch(ctx, name, pt, data, o, sub...)
}

// The first Work is looked at by another worker while it inherits.
func TestWhatIsInheritedWhileTheHeirIsLookedAtIsNotForgotten(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Hub = "old-hub"
	f.write(1, version{"web-work": {"a"}, "web-0": {"b"}})
	f.settle()
	f.restart()
	for !f.write(2, version{"web-work": {"a"}}) {
		f.settle()
	}
	f.pass("web-work")
	// inherit writes AppliedWork web-work, which wakes Work web-work; the other worker takes it at once.
	busy := false
	f.applier.member.objects = hooked{f.member, func() {
		if !busy {
			busy = true
			f.pass("web-work")
		}
	}}
	f.pass("web-0")
	if !busy {
		t.Fatal("nothing was patched")
	}
	f.applier.member.objects = f.member
	f.settle()
	f.restart()
	f.settle()
	w := f.works()[0]
	kept := meta.FindStatusCondition(w.Status.Conditions, v1beta1.WorkObjectsKept)
	owner, _ := f.applier.owner(t.Context(), "web-work")
	t.Logf("b owned by %v, AppliedWork lists %v, adopted %t", f.owners("b"), owner.Status.AppliedResources, isAdopted(owner))
	if kept == nil || !strings.Contains(kept.Message, "ns/b") {
		t.Errorf("b is owned by %v and named and listed nowhere: %v", f.owners("b"), kept)
	}
	// What was kept at an adoption stays when the placement goes.
	f.delete(&w)
	f.settle()
	if f.member.get(t, configMaps, "ns", "b") == nil {
		t.Error("b, which was kept at an adoption, went with the placement")
	}
}

// An AppliedWork is claimed before it lists what its Work has.
func TestAnObjectIsNotHandedOverBeforeItIsListed(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a"}, "web-0": {"b"}})
	f.settle()
	for !f.write(2, version{"web-work": {"a", "b"}}) {
		f.settle()
	}
	// The AppliedWork is claimed, then the applier is killed (or the other worker is in between): the list is not written.
	f.left = 1
	f.pass("web-work")
	f.restart()
	f.pass("web-0")
	f.pass("web-0")
	owner, _ := f.applier.owner(t.Context(), "web-work")
	t.Logf("b owned by %v, AppliedWork web-work lists %v", f.owners("b"), owner.Status.AppliedResources)
	// The next version has b no more, before web-work was looked at again.
	f.write(3, version{"web-work": {"a"}})
	f.settle()
	if f.member.get(t, configMaps, "ns", "b") != nil {
		t.Errorf("b stays for ever, owned by %v and listed nowhere", f.owners("b"))
	}
}

func TestTheHubHasAVersionWhoseKindIsGone(t *testing.T) {
	work := newWork(t, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: test-namespace}}`)
	b := newBench(t, work)
	b.isHub = true
	// The user has deleted the CustomResourceDefinition, and with it the objects; a rollback brings the old version.
	b.member.mapper.hidden["Widget"] = true
	work, err := b.tryPass(t)
	t.Log(err)
	if got := condition(work.Status.Conditions, "Applied"); got != "True AllManifestsApplied" {
		t.Errorf("Applied: %s: %s", got, work.Status.ManifestConditions[0].Conditions[0].Message)
	}
}

// The Work of a part is deleted before the applier has looked at it since the store was lost.
func TestWhatAPartOfALostStoreHadIsNamedThoughItsWorkGoesUnseen(t *testing.T) {
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
	f.write(2, version{"web-work": {"a"}, "web-0": {"b"}})
	f.pass("web-work")
	// web-0 goes before it was looked at.
	f.write(3, version{"web-work": {"a"}})
	f.settle()
	kept := meta.FindStatusCondition(f.works()[0].Status.Conditions, v1beta1.WorkObjectsKept)
	if kept == nil || !strings.Contains(kept.Message, "ConfigMap ns/b") {
		t.Errorf("b is on the member (%t), owned by %v; ObjectsKept: %v", f.member.get(t, configMaps, "ns", "b") != nil, f.owners("b"), kept)
	}
}

// A request to prune is under way while the first Work inherits.
func TestAPruneLetsGoOfNothingInheritedLater(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Hub = "old-hub"
	f.write(1, version{"web-work": {"a", "x"}, "web-0": {"b"}})
	f.settle()
	f.restart()
	f.write(2, version{"web-work": {"a"}})
	f.pass("web-work")
	kept := meta.FindStatusCondition(f.works()[1].Status.Conditions, v1beta1.WorkObjectsKept)
	if kept == nil || strings.Contains(kept.Message, "ns/b") || !strings.Contains(kept.Message, "ns/x") {
		t.Fatalf("kept: %v", kept)
	}
	// Somebody sees x, and lets go of it, a minute after the adoption.
	asked := testTime.Add(time.Minute)
	f.clock.SetTime(asked)
	for _, w := range f.works() {
		if w.Name == "web-work" {
			w.Annotations[wellknown.PruneAnnotation] = w.Annotations[wellknown.ParentSnapshotNameAnnotation]
			w.Annotations[wellknown.PruneTimeAnnotation] = asked.Format(time.RFC3339)
			if _, err := f.api.PlacementV1beta1().Works(testNamespace).Update(t.Context(), &w, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The removal fails for a while (a webhook that is down), in which web-0, which was held up, goes.
	f.onDelete(func(clienttesting.DeleteActionImpl) error { return errors.New("webhook is down") })
	f.clock.SetTime(asked.Add(time.Minute))
	f.pass("web-work")
	f.pass("web-0")
	f.pass("web-0")
	f.onDelete(nil)
	f.settle()
	if f.member.get(t, configMaps, "ns", "b") == nil {
		t.Error("b went, which nobody had seen when they asked for the removal of x")
	}
}

func TestAFailedInheritanceLeavesTheRestNamed(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Store = "old-store"
	f.write(1, version{"web-work": {"a", "x"}, "web-0": {"b"}})
	f.settle()
	for _, w := range f.works() {
		if err := f.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), w.Namespace, w.Name); err != nil {
			t.Fatal(err)
		}
	}
	f.restart()
	f.member.fail(func(verb, resource, name string) error {
		if verb == "patch" && resource == "configmaps" && name == "b" {
			return errors.New("denied")
		}
		return nil
	})
	f.write(2, version{"web-work": {"a"}})
	f.settle()
	kept := meta.FindStatusCondition(f.works()[0].Status.Conditions, v1beta1.WorkObjectsKept)
	if kept == nil || !strings.Contains(kept.Message, "ConfigMap ns/x") {
		t.Errorf("x is kept and not named, since b cannot be inherited: %v", kept)
	}
}

// The time of ObjectsKept is what a request to prune is compared with (work/prune.go pruneOf, registry prune.go covers). It stays when
// a version, or an inheritance, adds to what is kept.
func TestObjectsKeptHasTheTimeOfWhatIsKeptLast(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.applier.options.Ruler.Hub = "old-hub"
	f.write(1, version{"web-work": {"a", "c", "x"}})
	f.settle()
	f.restart()
	f.write(2, version{"web-work": {"a", "c"}})
	f.settle()
	// Another cluster has version 3 already and keeps x: somebody prunes version 3.
	asked := metav1.NewTime(testTime.Add(time.Minute))
	// This cluster gets version 3 only then, and keeps c as well from now on.
	f.clock.SetTime(asked.Add(time.Minute))
	f.write(3, version{"web-work": {"a"}})
	f.settle()
	kept := meta.FindStatusCondition(f.works()[0].Status.Conditions, v1beta1.WorkObjectsKept)
	if kept == nil || !strings.Contains(kept.Message, "ns/c") {
		t.Fatalf("kept: %v", kept)
	}
	if !kept.LastTransitionTime.After(asked.Time) {
		t.Errorf("c is named since %s, but a request of %s counts for it (ObjectsKept since %s)", f.clock.Now(), asked, kept.LastTransitionTime)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// fleetOfParts is a member and the Works of one placement on it, as the controller of Works writes them. Writes to the member and to
// the API can be cut off after any of them.
type fleetOfParts struct {
	t        *testing.T
	member   *fakeMember
	api      *fake.Clientset
	applier  *Applier
	strategy *v1beta1.ApplyStrategy
	clock    *clocktesting.FakePassiveClock
	uids     int
	// left is how many writes are let through before all fail; negative for no limit. Objects are written in parallel.
	mu   sync.Mutex
	left int
	// deleting, where it is set, is asked first when a ConfigMap is deleted on the member.
	deleting func(clienttesting.DeleteActionImpl) error
}

var errKilled = errors.New("killed")

func newFleetOfParts(t *testing.T, strategy v1beta1.ApplyStrategyType) *fleetOfParts {
	t.Helper()
	f := &fleetOfParts{
		t: t, member: newFakeMember(), api: fake.NewClientset(), left: -1,
		strategy: &v1beta1.ApplyStrategy{Type: strategy, WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever},
		clock:    clocktesting.NewFakePassiveClock(testTime),
	}
	f.member.fail(func(verb, _, _ string) error {
		if verb == "get" || verb == "list" || verb == "watch" {
			return nil
		}
		return f.spend()
	})
	f.member.PrependReactor("delete", "*", f.collectGarbage)
	f.api.PrependReactor("*", "works", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if verb := action.GetVerb(); verb == "get" || verb == "list" || verb == "watch" {
			return false, nil, nil
		}
		if err := f.spend(); err != nil {
			return true, nil, err
		}
		return false, nil, nil
	})
	f.restart()
	return f
}

// spend uses up one write.
func (f *fleetOfParts) spend() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return &url.Error{Op: "Patch", URL: "https://member1", Err: errKilled}
	}
	if f.left > 0 {
		f.left--
	}
	return nil
}

// collectGarbage does what the garbage collector does when an AppliedWork is deleted.
func (f *fleetOfParts) collectGarbage(action clienttesting.Action) (bool, runtime.Object, error) {
	a := action.(clienttesting.DeleteActionImpl)
	f.mu.Lock()
	deleting := f.deleting
	f.mu.Unlock()
	if deleting != nil && a.GetResource() == configMaps {
		if err := deleting(a); err != nil {
			return true, nil, err
		}
	}
	if err := f.spend(); err != nil {
		return true, nil, err
	}
	if a.GetResource() != appliedWorks {
		return true, nil, f.member.Tracker().Delete(a.GetResource(), a.GetNamespace(), a.GetName())
	}
	policy := metav1.DeletePropagationBackground
	if a.DeleteOptions.PropagationPolicy != nil {
		policy = *a.DeleteOptions.PropagationPolicy
	}
	collect := func(gvr schema.GroupVersionResource, namespace, name string) {
		live := f.member.get(f.t, gvr, namespace, name)
		if live == nil {
			return
		}
		refs := live.GetOwnerReferences()
		kept := withoutOwners(refs, a.GetName())
		switch {
		case len(kept) == len(refs):
		case len(kept) == 0 && policy != metav1.DeletePropagationOrphan:
			if err := f.member.Tracker().Delete(gvr, namespace, name); err != nil {
				f.t.Error(err)
			}
		default:
			live.SetOwnerReferences(kept)
			f.member.mu.Lock()
			f.member.stamp(live)
			f.member.mu.Unlock()
			if err := f.member.Tracker().Update(gvr, live, namespace); err != nil {
				f.t.Error(err)
			}
		}
	}
	for _, name := range f.objectNames() {
		collect(configMaps, "ns", name)
	}
	collect(namespaces, "", "ns")
	return true, nil, f.member.Tracker().Delete(appliedWorks, "", a.GetName())
}

// onDelete sets what is asked first when a ConfigMap is deleted on the member; nil for nothing.
func (f *fleetOfParts) onDelete(do func(clienttesting.DeleteActionImpl) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleting = do
}

// restart begins with an applier that remembers nothing.
func (f *fleetOfParts) restart() {
	f.left = -1
	if f.applier != nil {
		f.applier.watches.stopAll()
	}
	b := New(listing{f.api.PlacementV1beta1().Works(testNamespace)}, &rest.Config{}, Options{
		Cluster: testCluster, Ruler: storeid.Ruler{Store: testStore, Hub: testHub}, Clock: f.clock,
	})
	b.member = f.member.member()
	b.watches = newWatches(f.t.Context(), b.member.informer, func(string) {})
	f.applier = b
}

func (f *fleetOfParts) objectNames() []string {
	list, err := f.member.Tracker().List(configMaps, configMaps.GroupVersion().WithKind("ConfigMap"), "ns")
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, item := range list.(*unstructured.UnstructuredList).Items {
		names = append(names, item.GetName())
	}
	return names
}

func (f *fleetOfParts) works() []v1beta1.Work {
	list, err := f.api.PlacementV1beta1().Works(testNamespace).List(f.t.Context(), metav1.ListOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return list.Items
}

// version is what a version of the placement has in each Work.
type version map[string][]string

func (v version) objects() []string {
	var all []string
	for _, names := range v {
		all = append(all, names...)
	}
	slices.Sort(all)
	return all
}

// write writes a version as the controller of Works does: it waits for names that are not free, writes all Works that are wanted, and
// then marks and deletes the others. It reports whether all is written.
func (f *fleetOfParts) write(number int, v version) bool { return f.writeOf("", "web", number, v) }

// writeOf writes a version of a placement, whose namespace is empty where it is cluster-scoped.
func (f *fleetOfParts) writeOf(namespace, placement string, number int, v version) bool {
	client := f.api.PlacementV1beta1().Works(testNamespace)
	existing := map[string]*v1beta1.Work{}
	for _, w := range f.works() {
		if w.Labels[wellknown.ParentPlacementLabel] == placement && w.Labels[wellknown.ParentNamespaceLabel] == namespace {
			existing[w.Name] = &w
		}
	}
	for name := range v {
		if w := existing[name]; w != nil && isGoing(w) {
			if w.DeletionTimestamp == nil {
				f.delete(w)
			}
			return false
		}
	}
	// The first Work is written first.
	names, first := slices.Sorted(maps.Keys(v)), ""
	slices.SortStableFunc(names, func(a, b string) int { return order(namespace, placement, a) - order(namespace, placement, b) })
	var envelopes []string
	for _, name := range names {
		if hash := wellknown.EnvelopeHash(namespace, placement, name); hash != "" {
			envelopes = append(envelopes, hash)
		}
	}
	if len(names) > 0 {
		first = names[0]
	}
	for _, name := range names {
		var manifests []string
		for _, object := range v[name] {
			if object == "ns" {
				manifests = append(manifests, `{apiVersion: v1, kind: Namespace, metadata: {name: ns}}`)
				continue
			}
			manifests = append(manifests, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: ns}, data: {key: %sv%d}}`, object, f.prefix(namespace), number))
		}
		work := existing[name]
		if work == nil {
			f.uids++
			work = &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{
				Namespace: testNamespace, Name: name, UID: types.UID(fmt.Sprintf("work-%d", f.uids)),
				Labels:     map[string]string{wellknown.ParentPlacementLabel: placement, wellknown.ParentBindingLabel: placement + "-member1"},
				Finalizers: []string{wellknown.WorkCleanupFinalizer},
			}}
			if namespace != "" {
				work.Labels[wellknown.ParentNamespaceLabel] = namespace
			}
		}
		work = work.DeepCopy()
		work.Generation++
		work.Annotations = map[string]string{
			wellknown.ParentSnapshotNameAnnotation: fmt.Sprintf("web-%d-snapshot", number),
			wellknown.NumberOfWorksAnnotation:      fmt.Sprint(len(v)),
			wellknown.HubUIDAnnotation:             f.applier.options.Ruler.Hub,
		}
		if name == first {
			work.Annotations[wellknown.EnvelopeWorksAnnotation] = strings.Join(envelopes, ",")
		}
		work.Spec.ApplyStrategy = f.strategy
		work.Spec.Workload.Manifests = raw(f.t, manifests...)
		var err error
		if existing[name] == nil {
			_, err = client.Create(f.t.Context(), work, metav1.CreateOptions{})
		} else {
			_, err = client.Update(f.t.Context(), work, metav1.UpdateOptions{})
		}
		if err != nil {
			return false
		}
	}
	for name, work := range existing {
		if _, wanted := v[name]; wanted || work.DeletionTimestamp != nil {
			continue
		}
		if !f.delete(work) {
			return false
		}
	}
	return true
}

// order is when a Work is written: the first, the parts, the envelopes.
func order(namespace, placement, name string) int {
	part, _ := wellknown.WorkPart(namespace, placement, name)
	switch part {
	case wellknown.FirstWork:
		return 0
	case wellknown.EnvelopeWork:
		return 2
	}
	return 1
}

// envelopeWork and otherEnvelopeWork are Works of placement web with what two envelopes carry.
var (
	envelopeWork      = wellknown.WorkName("", "web", wellknown.EnvelopePart("ResourceEnvelope", "ns", "e"))
	otherEnvelopeWork = wellknown.WorkName("", "web", wellknown.EnvelopePart("ResourceEnvelope", "ns", "other"))
)

// prefix tells what a placement of a namespace writes from what a cluster-scoped one does.
func (f *fleetOfParts) prefix(namespace string) string {
	if namespace == "" {
		return ""
	}
	return namespace + "-"
}

// delete marks and deletes a Work, as the controller of Works does.
func (f *fleetOfParts) delete(work *v1beta1.Work) bool {
	client := f.api.PlacementV1beta1().Works(testNamespace)
	work = work.DeepCopy()
	metav1.SetMetaDataAnnotation(&work.ObjectMeta, wellknown.DeletePropagationAnnotation, "Delete")
	if _, err := client.Update(f.t.Context(), work, metav1.UpdateOptions{}); err != nil {
		return false
	}
	now := metav1.NewTime(testTime)
	work.DeletionTimestamp = &now
	_, err := client.Update(f.t.Context(), work, metav1.UpdateOptions{})
	return err == nil
}

// pass has the applier look at one Work, once it has heard of all that has happened on the member.
func (f *fleetOfParts) pass(name string) {
	f.hear()
	for _, obj := range f.applier.informer.GetStore().List() {
		_ = f.applier.informer.GetStore().Delete(obj)
	}
	for _, w := range f.works() {
		if w.DeletionTimestamp != nil && len(w.Finalizers) == 0 {
			// The API server deletes what nobody holds any more.
			if err := f.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), w.Namespace, w.Name); err != nil {
				f.t.Fatal(err)
			}
			continue
		}
		_ = f.applier.informer.GetStore().Add(&w)
	}
	_, _ = f.applier.reconcileWork(f.t.Context(), name)
}

// hear waits until the applier has heard of what has happened on the member, as far as it watches.
func (f *fleetOfParts) hear() {
	f.t.Helper()
	heard := func(gvr schema.GroupVersionResource, kind string) bool {
		list, err := f.member.Tracker().List(gvr, gvr.GroupVersion().WithKind(kind), metav1.NamespaceAll)
		if err != nil {
			f.t.Fatal(err)
		}
		versions := map[types.NamespacedName]string{}
		for _, item := range list.(*unstructured.UnstructuredList).Items {
			versions[types.NamespacedName{Namespace: item.GetNamespace(), Name: item.GetName()}] = item.GetResourceVersion()
		}
		return f.applier.watches.has(gvr, versions)
	}
	err := wait.PollUntilContextTimeout(f.t.Context(), time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return heard(appliedWorks, "AppliedWork") && heard(configMaps, "ConfigMap"), nil
	})
	if err != nil {
		f.t.Fatalf("the applier has not heard of what is on the member: %v", err)
	}
}

// has reports whether the watch of a kind, if there is one, knows these objects in these versions and no others.
func (w *watches) has(gvr schema.GroupVersionResource, versions map[types.NamespacedName]string) bool {
	w.mu.Lock()
	kind := w.kinds[gvr]
	w.mu.Unlock()
	if kind == nil {
		return true
	}
	known := map[types.NamespacedName]string{}
	for _, obj := range kind.informer.GetStore().List() {
		o := obj.(metav1.Object)
		known[types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}] = o.GetResourceVersion()
	}
	return kind.informer.HasSynced() && maps.Equal(known, versions)
}

// settle makes passes over all Works until they have what they want.
func (f *fleetOfParts) settle() {
	for range 6 {
		for _, w := range f.works() {
			f.pass(w.Name)
		}
	}
}

// owners are the owners of an object.
func (f *fleetOfParts) owners(name string) []string {
	live := f.member.get(f.t, configMaps, "ns", name)
	if live == nil {
		return nil
	}
	var found []string
	for _, ref := range live.GetOwnerReferences() {
		found = append(found, ref.Name)
	}
	return found
}

var bothStrategies = []v1beta1.ApplyStrategyType{v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeServerSideApply}

func TestAnObjectThatMovesBetweenPartsIsHandedOver(t *testing.T) {
	for _, strategy := range bothStrategies {
		for _, tc := range []struct {
			name          string
			before, after version
		}{
			{"parts grow", version{"web-work": {"a", "b"}}, version{"web-work": {"a"}, "web-0": {"b"}}},
			{"parts shrink", version{"web-work": {"a"}, "web-0": {"b"}}, version{"web-work": {"a", "b"}}},
			{"parts swap", version{"web-work": {"a"}, "web-0": {"b"}}, version{"web-work": {"b"}, "web-0": {"a"}}},
			{"one in the middle goes", version{"web-work": {"a"}, "web-0": {"b"}, "web-1": {"c"}}, version{"web-work": {"a", "b"}, "web-0": {"c"}}},
			{"into an envelope", version{"web-work": {"a", "b"}}, version{"web-work": {"a"}, envelopeWork: {"b"}}},
			{"out of an envelope", version{"web-work": {"a"}, envelopeWork: {"b"}}, version{"web-work": {"a", "b"}, envelopeWork: nil}},
			{"out of an envelope that goes", version{"web-work": {"a"}, envelopeWork: {"b"}}, version{"web-work": {"a", "b"}}},
			{"between envelopes", version{"web-work": nil, envelopeWork: {"a", "b"}}, version{"web-work": nil, envelopeWork: {"a"}, otherEnvelopeWork: {"b"}}},
			{"between envelopes, one goes", version{"web-work": nil, envelopeWork: {"a"}}, version{"web-work": nil, otherEnvelopeWork: {"a"}}},
			{"a part becomes an envelope", version{"web-work": {"a"}, "web-0": {"b"}}, version{"web-work": {"a"}, envelopeWork: {"b"}}},
		} {
			t.Run(string(strategy)+"/"+tc.name, func(t *testing.T) {
				f := newFleetOfParts(t, strategy)
				f.write(1, tc.before)
				f.settle()
				uids := map[string]types.UID{}
				for _, name := range tc.before.objects() {
					uids[name] = f.member.get(t, configMaps, "ns", name).GetUID()
				}
				// The applier sees each write by itself.
				for writes := 1; ; writes++ {
					f.left = writes
					done := f.write(2, tc.after)
					f.left = -1
					f.settle()
					if done {
						break
					}
				}
				f.settle()
				for part, names := range tc.after {
					for _, name := range names {
						live := f.member.get(t, configMaps, "ns", name)
						if live == nil || live.GetUID() != uids[name] {
							t.Errorf("%s was deleted", name)
							continue
						}
						if diff := cmp.Diff([]string{part}, f.owners(name)); diff != "" {
							t.Errorf("owners of %s (-want +got):\n%s", name, diff)
						}
						if value, _, _ := unstructured.NestedString(live.Object, "data", "key"); value != "v2" {
							t.Errorf("%s has %q, want the second version", name, value)
						}
					}
				}
			})
		}
	}
}

// A Work is read as a whole, and may be large: however many objects move, no more Works are read for it.
func TestReadsOfWorksDoNotGrowWithTheObjectsThatMove(t *testing.T) {
	objects := func(prefix string, n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("%s%02d", prefix, i))
		}
		return names
	}
	for _, tc := range []struct {
		name string
		// versions move n objects.
		versions func(n int) (before, after version)
	}{
		{"to another part", func(n int) (before, after version) {
			return version{"web-work": objects("a", n), "web-0": {"b"}}, version{"web-work": {"c"}, "web-0": append(objects("a", n), "b")}
		}},
		{"from a part that stays", func(n int) (before, after version) {
			return version{"web-work": {"b"}, "web-0": append(objects("a", n), "c")}, version{"web-work": append(objects("a", n), "b"), "web-0": {"c"}}
		}},
		{"from a part that goes", func(n int) (before, after version) {
			return version{"web-work": {"b"}, "web-0": objects("a", n)}, version{"web-work": append(objects("a", n), "b")}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			reads := map[int]int{}
			for _, n := range []int{2, 20} {
				f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
				before, after := tc.versions(n)
				f.write(1, before)
				f.settle()
				f.write(2, after)
				f.api.ClearActions()
				f.settle()
				for _, action := range f.api.Actions() {
					if action.Matches("get", "works") {
						reads[n]++
					}
				}
				for part, names := range after {
					for _, name := range names {
						if diff := cmp.Diff([]string{part}, f.owners(name)); diff != "" {
							t.Errorf("owners of %s (-want +got):\n%s", name, diff)
						}
					}
				}
			}
			if reads[2] != reads[20] {
				t.Errorf("2 objects that move take %d reads of a Work, 20 take %d", reads[2], reads[20])
			}
		})
	}
}

func TestWhatNoPartHoldsGoesOnceAllAgree(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a"}, "web-0": {"b", "c"}})
	f.settle()
	f.left = 1
	f.write(2, version{"web-0": {"b"}, "web-work": {"a"}})
	f.left = -1
	f.settle()
	if f.member.get(t, configMaps, "ns", "c") == nil {
		t.Error("an object went before all Works were of the version without it")
	}
	f.write(2, version{"web-0": {"b"}, "web-work": {"a"}})
	f.settle()
	if f.member.get(t, configMaps, "ns", "c") != nil {
		t.Error("an object that the version has not stays")
	}
}

func TestAWorkWaitsForOthersUntilAllAgree(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	waiting := func() []string {
		var names []string
		for _, work := range f.works() {
			names = append(names, f.applier.wokenBy(&work)...)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	f.write(1, version{"web-work": {"a", "c"}, "web-0": {"b"}})
	f.settle()
	if got := waiting(); len(got) > 0 {
		t.Errorf("%v wait although all Works are of one version", got)
	}
	f.left = 1
	f.write(2, version{"web-0": {"b"}, "web-work": {"a"}})
	f.left = -1
	f.settle()
	if diff := cmp.Diff([]string{"web-work"}, waiting()); diff != "" {
		t.Errorf("what the Work of the earlier version wakes (-want +got):\n%s", diff)
	}
	f.write(2, version{"web-0": {"b"}, "web-work": {"a"}})
	f.settle()
	if got := waiting(); len(got) > 0 {
		t.Errorf("%v still wait although all Works are of one version again", got)
	}
}

func TestWorksOfAnEarlierVersionOfTheServerDropNothing(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a", "b"}})
	f.settle()
	f.write(2, version{"web-work": {"a"}})
	work := f.works()[0]
	delete(work.Annotations, wellknown.NumberOfWorksAnnotation)
	if _, err := f.api.PlacementV1beta1().Works(testNamespace).Update(t.Context(), &work, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if f.member.get(t, configMaps, "ns", "b") == nil {
		t.Fatal("an object went without anybody knowing of how many Works its version has")
	}
	f.write(2, version{"web-work": {"a"}})
	f.settle()
	if f.member.get(t, configMaps, "ns", "b") != nil {
		t.Error("the object stays although the Work says that it is the only one")
	}
}

func TestHowAnObjectComesToBeInOneWork(t *testing.T) {
	of := func(name, kind, namespace string) *v1beta1.Work {
		w := &v1beta1.Work{}
		w.Labels = map[string]string{wellknown.EnvelopeTypeLabel: kind, wellknown.EnvelopeNameLabel: name, wellknown.EnvelopeNamespaceLabel: namespace}
		return w
	}
	long := of("", "ClusterResourceEnvelope", "")
	long.Annotations = map[string]string{wellknown.EnvelopeNameAnnotation: "long"}
	for want, works := range map[string][]*v1beta1.Work{
		"have the placement select it once":                                               {{}, {}},
		"take it out of ResourceEnvelope shop/e, or do not select the object itself":      {of("e", "ResourceEnvelope", "shop"), {}},
		"take it out of ClusterResourceEnvelope long, or do not select the object itself": {{}, long},
		"take it out of ResourceEnvelope shop/e or of ResourceEnvelope shop/f":            {of("e", "ResourceEnvelope", "shop"), of("f", "ResourceEnvelope", "shop")},
	} {
		if got := onlyOnce(works...); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestAnotherPlacementHandsNothingOver(t *testing.T) {
	f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a"}})
	f.settle()
	work := f.works()[0]
	other := work.DeepCopy()
	other.Name, other.UID, other.ResourceVersion = "web-2-work", "other", ""
	other.Labels = map[string]string{wellknown.ParentPlacementLabel: "web-2"}
	if _, err := f.api.PlacementV1beta1().Works(testNamespace).Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if diff := cmp.Diff([]string{"web-work"}, f.owners("a")); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	for _, w := range f.works() {
		if w.Name == other.Name {
			if got := condition(w.Status.ManifestConditions[0].Conditions, "Applied"); got != "False FailedToTakeOver" {
				t.Errorf("Applied: %s", got)
			}
		}
	}
}

var (
	handoverRuns = flag.Int("handover.runs", 60, "how many random placements the test of handing over plays")
	handoverSeed = flag.Uint64("handover.seed", 0, "the seed of a failure to repeat, 0 for a random one")
)

// TestNothingThatIsSelectedIsEverDeleted plays random versions of a placement, divided over its Works at random, with kills of server
// and applier between any two writes. An object that all versions since it was placed have keeps its uid.
func TestNothingThatIsSelectedIsEverDeleted(t *testing.T) {
	seed := *handoverSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for run := range randomRuns(*handoverRuns) {
		strategy := bothStrategies[run%len(bothStrategies)]
		name := fmt.Sprintf("seed %d, run %d, %s", seed, run, strategy)
		playParts(t, name, rand.New(rand.NewPCG(seed, uint64(run))), strategy)
		if t.Failed() {
			return
		}
	}
}

// randomRuns is how many of the random fleets are played. With -short, as the race detector has it, it is a fraction: it slows them down
// tenfold, and they are about what the applier decides.
func randomRuns(n int) int {
	if testing.Short() {
		return max(1, n/5)
	}
	return n
}

func playParts(t *testing.T, name string, random *rand.Rand, strategy v1beta1.ApplyStrategyType) {
	f := newFleetOfParts(t, strategy)
	defer func() { f.applier.watches.stopAll() }()
	uids := map[string]types.UID{}
	var story []string
	check := func(wanted []string) {
		for object, uid := range uids {
			if !slices.Contains(wanted, object) {
				continue
			}
			if live := f.member.get(t, configMaps, "ns", object); live == nil || live.GetUID() != uid {
				t.Fatalf("%s: %s was deleted:\n%s", name, object, strings.Join(story, "\n"))
			}
		}
	}
	// An object that is dropped and wanted again at once may go in between or not.
	var last version
	for number := range 2 + random.IntN(5) {
		v := randomVersion(random)
		story = append(story, fmt.Sprintf("version %d: %v", number, v))
		for object := range uids {
			if !slices.Contains(v.objects(), object) {
				delete(uids, object)
			}
		}
		for try := 0; ; try++ {
			if try < 10 {
				f.left = random.IntN(5)
			}
			done := f.write(number, v)
			f.left = -1
			if done && random.IntN(2) == 0 || try > 50 {
				break
			}
			for range random.IntN(6) {
				works := f.works()
				if len(works) == 0 {
					break
				}
				work := works[random.IntN(len(works))].Name
				if random.IntN(2) == 0 {
					f.left = random.IntN(4)
				}
				f.pass(work)
				killed := f.left == 0
				f.left = -1
				if killed || random.IntN(4) == 0 {
					f.restart()
				}
				story = append(story, fmt.Sprintf("  pass of %s, killed %t", work, killed))
				check(v.objects())
			}
		}
		if random.IntN(3) > 0 {
			for !f.write(number, v) {
				f.settle()
			}
			f.settle()
			story = append(story, "  settled")
			check(v.objects())
			for _, object := range v.objects() {
				live := f.member.get(t, configMaps, "ns", object)
				if live == nil {
					t.Fatalf("%s: %s is not on the member:\n%s", name, object, strings.Join(story, "\n"))
				}
				uids[object] = live.GetUID()
			}
		}
		last = v
	}
	for !f.write(100, last) {
		f.settle()
	}
	f.settle()
	check(last.objects())
	got := f.objectNames()
	slices.Sort(got)
	if diff := cmp.Diff(last.objects(), got); diff != "" {
		t.Errorf("%s: objects on the member (-want +got):\n%s\n%s", name, diff, strings.Join(story, "\n"))
		for _, object := range got {
			t.Logf("%s is owned by %v", object, f.owners(object))
		}
	}
	for _, w := range f.works() {
		f.delete(&w)
	}
	f.settle()
	if left := f.objectNames(); len(left) > 0 {
		t.Errorf("%s: left when all Works are deleted: %v\n%s", name, left, strings.Join(story, "\n"))
	}
}

func randomVersion(random *rand.Rand) version {
	parts := []string{"web-work", "web-0", "web-1"}[:1+random.IntN(3)]
	for _, envelope := range []string{envelopeWork, otherEnvelopeWork} {
		if random.IntN(2) == 0 {
			parts = append(parts, envelope)
		}
	}
	v := version{}
	for _, part := range parts {
		v[part] = nil
	}
	for _, object := range []string{"a", "b", "c", "d", "e", "f"} {
		if random.IntN(6) > 0 {
			part := parts[random.IntN(len(parts))]
			v[part] = append(v[part], object)
		}
	}
	return v
}

// TestAWorkThatGoesWhileAVersionIsHalfWritten has two servers that both take themselves for the leader: one has deleted a Work while the
// other writes a version.
func TestAWorkThatGoesWhileAVersionIsHalfWritten(t *testing.T) {
	for _, tc := range []struct {
		name string
		// second is the version of which the first Work is written when the Work goes.
		second version
		goes   string
		// waits reports whether the Work waits for the rest, and is not just let go with its objects left.
		waits bool
	}{
		{"waits for the Works that are to come", version{"web-work": {"a"}, "web-0": {"b"}}, "web-1", true},
		{"leaves its objects to the Work of its name that is to come", version{"web-work": {"a"}, "web-0": {"b"}, "web-1": {"c"}}, "web-1", false},
		{"counts no envelope as a part", version{"web-work": {"a"}, "web-0": {"b"}, envelopeWork: nil, otherEnvelopeWork: nil}, "web-1", true},
		{"an envelope waits", version{"web-work": {"a"}, "web-0": {"b"}, otherEnvelopeWork: nil}, envelopeWork, true},
		{"an envelope that is to come is left to its Work", version{"web-work": {"a"}, "web-0": {"b"}, envelopeWork: {"c"}}, envelopeWork, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFleetOfParts(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.write(1, version{"web-work": {"a"}, "web-0": {"b"}, tc.goes: {"c"}})
			f.settle()
			f.left = 1
			f.write(2, tc.second)
			f.left = -1
			for _, w := range f.works() {
				if w.Name == tc.goes {
					f.delete(&w)
				}
			}
			f.settle()
			if f.member.get(t, configMaps, "ns", "c") == nil {
				t.Error("an object is gone that the version may have")
			}
			waits := slices.ContainsFunc(f.works(), func(w v1beta1.Work) bool { return w.Name == tc.goes && len(w.Finalizers) > 0 })
			if waits != tc.waits {
				t.Errorf("the Work waits: %t, want %t", waits, tc.waits)
			}
			for !f.write(2, tc.second) {
				f.settle()
			}
			f.settle()
			if _, wanted := tc.second[tc.goes]; (f.member.get(t, configMaps, "ns", "c") != nil) != wanted {
				t.Errorf("the object is on the member: %t, want %t", !wanted, wanted)
			}
		})
	}
}

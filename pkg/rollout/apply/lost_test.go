// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
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

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
	"github.com/stagegate/stagegate/pkg/rules/loss"
)

// collectGarbage deletes what the garbage collector of a member deletes: objects all of whose owners are gone.
func (m *fakeMember) collectGarbage(t *testing.T) {
	t.Helper()
	uids := map[types.UID]bool{}
	all, err := m.Tracker().List(appliedWorks, v1beta1.SchemeGroupVersion.WithKind(appliedWorkKind), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := meta.EachListItem(all, func(o runtime.Object) error {
		uids[o.(*unstructured.Unstructured).GetUID()] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for gvr, kind := range map[schema.GroupVersionResource]string{configMaps: "ConfigMap", namespaces: "Namespace", definitions: "CustomResourceDefinition"} {
		list, err := m.Tracker().List(gvr, gvr.GroupVersion().WithKind(kind), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(*unstructured.Unstructured)
			refs := object.GetOwnerReferences()
			if len(refs) == 0 || slices.ContainsFunc(refs, func(ref metav1.OwnerReference) bool { return uids[ref.UID] }) {
				return nil
			}
			return m.Tracker().Delete(gvr, object.GetNamespace(), object.GetName())
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// deleteOwner deletes the AppliedWork on the member, in the background, as somebody does there.
func (b *bench) deleteOwner(t *testing.T) {
	t.Helper()
	if err := b.member.Resource(appliedWorks).Delete(t.Context(), b.name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.member.collectGarbage(t)
}

// holdings are what is on the member of the objects of a test, with their uids and owners.
func (b *bench) holdings(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	owner := b.member.get(t, appliedWorks, "", b.name)
	for _, o := range []struct {
		gvr             schema.GroupVersionResource
		namespace, name string
	}{{namespaces, "", "test-namespace"}, {configMaps, "test-namespace", "test-cm"}, {configMaps, "test-namespace", "precious"}} {
		live := b.member.get(t, o.gvr, o.namespace, o.name)
		if live == nil {
			continue
		}
		whose := "nobody's"
		for _, ref := range live.GetOwnerReferences() {
			whose = "of another"
			if owner != nil && ref.UID == owner.GetUID() {
				whose = "owned"
			}
		}
		if kept := keptFor(live); len(kept) > 0 {
			whose += ", kept for " + strings.Join(kept, " ")
		}
		found[o.name] = string(live.GetUID()) + " " + whose
	}
	return found
}

// never is a strategy that takes nothing over and compares.
func never(whenToTakeOver v1beta1.WhenToTakeOverType) *v1beta1.ApplyStrategy {
	return &v1beta1.ApplyStrategy{WhenToTakeOver: whenToTakeOver, WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}
}

func TestADeletedAppliedWorkTakesNothingAlong(t *testing.T) {
	for _, strategy := range []v1beta1.ApplyStrategyType{v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeServerSideApply} {
		for _, earlier := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, AppliedWork of an earlier version %t", strategy, earlier), func(t *testing.T) {
				work := newWork(t, namespaceYAML, configMapYAML)
				work.Spec.ApplyStrategy = never(v1beta1.WhenToTakeOverTypeNever)
				work.Spec.ApplyStrategy.Type = strategy
				b := newBench(t, work)
				b.pass(t)
				before := b.holdings(t)
				uid := b.member.get(t, appliedWorks, "", b.name).GetUID()
				if earlier {
					b.member.change(t, appliedWorks, "", b.name, func(o *unstructured.Unstructured) { o.SetFinalizers(nil) })
					b.pass(t)
				}
				// Somebody has changed it since, which must be no reason to refuse it.
				b.member.change(t, configMaps, "test-namespace", "test-cm", func(o *unstructured.Unstructured) {
					_ = unstructured.SetNestedField(o.Object, "changed", "data", "key")
				})
				b.pass(t)
				b.deleteOwner(t)
				// Nothing is done on the word of a cache that has not seen it; the next pass does it.
				b.pass(t)
				b.member.collectGarbage(t)
				b.pass(t)
				if diff := cmp.Diff(before, b.holdings(t)); diff != "" {
					t.Errorf("on the member (-before +after):\n%s", diff)
				}
				owner := b.member.get(t, appliedWorks, "", b.name)
				if owner == nil || owner.GetUID() == uid || owner.GetDeletionTimestamp() != nil || !slices.Contains(owner.GetFinalizers(), wellknown.AppliedWorkFinalizer) {
					t.Errorf("the AppliedWork was not recreated: %v", owner)
				}
				after := b.work(t)
				if hasLost(after) {
					t.Error("the Work still notes the loss")
				}
				for i, want := range []string{"True Applied", "False FoundDrifts"} {
					if got := condition(after.Status.ManifestConditions[i].Conditions, "Applied"); got != want {
						t.Errorf("manifest %d: %s, want %s", i, got, want)
					}
				}
			})
		}
	}
}

// What is done between a deletion and the return of the AppliedWork may end after any write.
func TestADeletedAppliedWorkTakesNothingAlongAfterAKill(t *testing.T) {
	for kill := 0; ; kill++ {
		b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
		b.edit(t, func(w *v1beta1.Work) { w.Spec.ApplyStrategy = never(v1beta1.WhenToTakeOverTypeNever) })
		placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.HubUIDAnnotation] = "that-hub" })
		b.pass(t)
		before := b.holdings(t)
		adopted := b.member.get(t, appliedWorks, "", b.name).GetAnnotations()[wellknown.AdoptedAnnotation]
		if len(before) != 3 || adopted == "" {
			t.Fatalf("before: %v, adopted %q", before, adopted)
		}
		b.deleteOwner(t)
		writes, killed := 0, false
		limit := func(verb string) error {
			if verb == "get" || verb == "list" || verb == "watch" {
				return nil
			}
			if killed = killed || writes == kill; killed {
				return &url.Error{Op: "Patch", URL: "https://member1", Err: errKilled}
			}
			writes++
			return nil
		}
		b.member.fail(func(verb, _, _ string) error { return limit(verb) })
		armed := true
		b.api.PrependReactor("update", "works", func(clienttesting.Action) (bool, runtime.Object, error) {
			if armed {
				if err := limit("update"); err != nil {
					return true, nil, err
				}
			}
			return false, nil, nil
		})
		for range 4 {
			_, _ = b.tryPass(t)
			b.member.collectGarbage(t)
		}
		b.member.fail(nil)
		armed = false
		// Somebody else goes on who remembers nothing.
		b.records = map[string]*record{}
		for range 4 {
			if _, err := b.tryPass(t); err != nil {
				t.Logf("after a kill at write %d: %v", kill, err)
			}
			b.member.collectGarbage(t)
		}
		if diff := cmp.Diff(before, b.holdings(t)); diff != "" {
			t.Errorf("killed at write %d: on the member (-before +after):\n%s", kill, diff)
		}
		owner, err := b.owner(t.Context(), b.name)
		if err != nil || owner == nil {
			t.Fatalf("killed at write %d: AppliedWork: %v %v", kill, owner, err)
		}
		if owner.Annotations[wellknown.AdoptedAnnotation] != adopted || !lists(owner, identity{kind: "ConfigMap", namespace: "test-namespace", name: "precious"}) {
			t.Errorf("killed at write %d: the AppliedWork has forgotten what it kept: %v", kill, owner)
		}
		if hasLost(b.work(t)) {
			t.Errorf("killed at write %d: the Work still notes the loss", kill)
		}
		if !killed {
			if kill < 9 {
				t.Errorf("only %d writes were tried", kill)
			}
			return
		}
	}
}

func TestAnObjectThatCannotBeLetGoOfKeepsTheAppliedWork(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	before := b.holdings(t)
	b.deleteOwner(t)
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "patch" && resource == "configmaps" {
			return apierrors.NewForbidden(configMaps.GroupResource(), "test-cm", errors.New("denied request"))
		}
		return nil
	})
	if _, err := b.tryPass(t); err == nil {
		t.Error("no failure is told")
	}
	b.member.collectGarbage(t)
	if owner := b.member.get(t, appliedWorks, "", b.name); owner == nil {
		t.Fatal("the AppliedWork has gone, and with it what it owns")
	}
	b.member.fail(nil)
	for range 3 {
		_, _ = b.tryPass(t)
		b.member.collectGarbage(t)
	}
	if diff := cmp.Diff(before, b.holdings(t)); diff != "" {
		t.Errorf("on the member (-before +after):\n%s", diff)
	}
}

// A deletion in the foreground does not wait: what takes most along is let go of first.
func TestContainersAreLetGoOfFirst(t *testing.T) {
	var manifests []string
	for i := range 4 * parallelism {
		manifests = append(manifests, strings.Replace(configMapYAML, "test-cm", fmt.Sprintf("cm-%d", i), 1))
	}
	b := newBench(t, newWork(t, append(manifests, namespaceYAML)...))
	b.pass(t)
	b.deleteOwner(t)
	b.member.ClearActions()
	b.pass(t)
	if i := slices.Index(b.member.writes(), "patch namespaces/test-namespace"); i != 0 {
		t.Errorf("the Namespace is write %d", i)
	}
}

// The cache says nothing of a Work's deletion that another server is carrying out.
func TestAStaleCacheDoesNotKeepWhatIsBeingRemoved(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	b.edit(t, func(w *v1beta1.Work) {
		now := metav1.NewTime(testTime)
		w.DeletionTimestamp = &now
		w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Delete"}
	})
	b.deleteOwner(t)
	b.watchesUp(t)
	b.member.ClearActions()
	if _, err := b.reconcileWork(t.Context(), b.name); err != nil {
		t.Fatal(err)
	}
	if writes := b.member.writes(); len(writes) > 0 {
		t.Errorf("writes: %v", writes)
	}
}

// A Work that goes while its AppliedWork is lost takes its objects along all the same.
func TestARemovalAfterALossRemovesAll(t *testing.T) {
	for _, passes := range []int{0, 1} {
		t.Run(fmt.Sprintf("%d passes since the loss", passes), func(t *testing.T) {
			b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
			b.pass(t)
			b.deleteOwner(t)
			b.member.fail(func(verb, resource, _ string) error {
				if verb == "create" && resource == appliedWorks.Resource {
					return apierrors.NewMethodNotSupported(appliedWorks.GroupResource(), "create")
				}
				return nil
			})
			for range passes {
				_, _ = b.tryPass(t)
			}
			b.edit(t, func(w *v1beta1.Work) {
				now := metav1.NewTime(testTime)
				w.DeletionTimestamp = &now
				metav1.SetMetaDataAnnotation(&w.ObjectMeta, wellknown.DeletePropagationAnnotation, "Delete")
			})
			for range 3 {
				_, _ = b.tryPass(t)
			}
			if work := b.work(t); work == nil || len(work.Finalizers) == 0 {
				t.Fatal("the Work has gone before its objects")
			}
			b.member.fail(nil)
			for range 3 {
				_, _ = b.tryPass(t)
				b.member.collectGarbage(t)
			}
			if left := b.holdings(t); len(left) > 0 {
				t.Errorf("left on the member: %v", left)
			}
			if work := b.work(t); work != nil && len(work.Finalizers) > 0 {
				t.Errorf("the Work does not go: %v", work.Finalizers)
			}
		})
	}
}

func TestAnAppliedWorkWithoutAWorkCanBeDeleted(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.watches.pin(appliedWorks)
	b.pass(t)
	if err := b.works.Delete(t.Context(), b.name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.informer.GetStore().Delete(newWork(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.reconcileWork(t.Context(), b.name); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 10)
	b.watches.mu.Lock()
	b.watches.notify = func(work string) { told <- work }
	b.watches.mu.Unlock()
	b.deleteOwner(t)
	select {
	case name := <-told:
		if name != b.name {
			t.Errorf("told of %s", name)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody is told of the deletion")
	}
	if _, err := b.reconcileWork(t.Context(), b.name); err != nil {
		t.Fatal(err)
	}
	b.member.collectGarbage(t)
	if b.member.get(t, appliedWorks, "", b.name) != nil {
		t.Error("the AppliedWork is held for ever")
	}
	for name, whose := range b.holdings(t) {
		if !strings.HasSuffix(whose, "nobody's") {
			t.Errorf("%s: %s", name, whose)
		}
	}
	if !b.has(t, "test-cm") {
		t.Error("the objects have gone")
	}
}

// A member whose kind AppliedWork is away is asked soon, and an event of the definition wakes the Work.
func TestTheReturnOfTheKindIsAwaited(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	doubts := 0
	b.options.Doubt = func() { doubts++ }
	b.pass(t)
	before := b.holdings(t)
	b.deleteOwner(t)
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "create" && resource == appliedWorks.Resource {
			return apierrors.NewMethodNotSupported(appliedWorks.GroupResource(), "create")
		}
		return nil
	})
	b.cacheUp(t)
	b.watchesUp(t)
	for range 2 {
		again, err := b.reconcileOnce(t.Context())
		if err != nil || again != lostPause {
			t.Errorf("looks again in %v, err %v; want in %v", again, err, lostPause)
		}
	}
	if doubts != 2 {
		t.Errorf("%d doubts", doubts)
	}
	if !b.watches.wishes[b.name][definitions].Has(keyOf(storeid.MemberCRD)) {
		t.Error("nothing is heard of the definition")
	}
	if c := meta.FindStatusCondition(b.work(t).Status.ManifestConditions[0].Conditions, "Applied"); c == nil || !strings.Contains(c.Message, storeid.MemberCRD) {
		t.Errorf("Applied: %v", c)
	}
	b.member.fail(nil)
	for range 2 {
		b.pass(t)
		b.member.collectGarbage(t)
	}
	if diff := cmp.Diff(before, b.holdings(t)); diff != "" {
		t.Errorf("on the member (-before +after):\n%s", diff)
	}
	if b.watches.wishes[b.name][definitions].Len() > 0 {
		t.Error("the definition is watched for ever")
	}
}

func (b *bench) reconcileOnce(ctx context.Context) (time.Duration, error) {
	return b.Applier.reconcile(ctx, reconcile.Key{Name: b.name})
}

// noted gives a Work a note as whoever has the token of the agent may write it, in JSON.
func noted(t *testing.T, work *v1beta1.Work, text string) {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(text))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	metav1.SetMetaDataAnnotation(&work.ObjectMeta, wellknown.LostAppliedWorkAnnotation, base64.StdEncoding.EncodeToString(packed.Bytes()))
}

func TestANoteOfALossIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name               string
		manifests, objects int
		want               int
	}{
		{"room for all", 2, 100, 100},
		{"room for what the Work does not have", 900, 1200, 300},
		{"no room", 0, 20000, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := func(i int) string { return fmt.Sprintf("cm-%x", uint64(i)*0x9E3779B97F4A7C15) }
			var manifests []string
			for i := range tc.manifests {
				manifests = append(manifests, strings.Replace(configMapYAML, "test-cm", name(i), 1))
			}
			b := newBench(t, newWork(t, manifests...))
			owner := &v1beta1.AppliedWork{ObjectMeta: metav1.ObjectMeta{Name: b.name}}
			for i := range tc.objects {
				owner.Status.AppliedResources = append(owner.Status.AppliedResources, v1beta1.AppliedResourceMeta{WorkResourceIdentifier: v1beta1.WorkResourceIdentifier{
					Version: "v1", Kind: "ConfigMap", Namespace: "test-namespace", Name: name(i),
				}})
			}
			work, err := b.noteLost(t.Context(), b.work(t), owner)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(work.Annotations[wellknown.LostAppliedWorkAnnotation]); n > loss.MaxPacked {
				t.Errorf("%d bytes", n)
			}
			note, err := loss.Read(work)
			if err != nil {
				t.Fatal(err)
			}
			if len(note.Objects) != tc.want {
				t.Errorf("the note lists %d objects, want %d", len(note.Objects), tc.want)
			}
		})
	}
}

// What was noted before by whoever has the token of the agent leaves room for what the AppliedWork says.
func TestANoteOfOthersLeavesRoom(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	placedBefore(t, b, func(*v1beta1.AppliedWork) {})
	var many []string
	for i := range loss.MaxObjects {
		many = append(many, fmt.Sprintf(`{"version":"v1","kind":"ConfigMap","namespace":"test-namespace","name":"x%d"}`, i))
	}
	work := b.work(t)
	noted(t, work, `{"jobs":{"a":"`+strings.Repeat("<", loss.MaxUnpacked/2)+`"},"objects":[`+strings.Join(many, ",")+`]}`)
	if _, err := loss.Read(work); err != nil {
		t.Fatal(err)
	}
	work, err := b.noteLost(t.Context(), work, b.ownerOf(t))
	if err != nil {
		t.Fatal(err)
	}
	note, err := loss.Read(work)
	if err != nil || len(note.Objects) != 1 || note.Objects[0].Name != "precious" || len(note.Jobs) > 0 {
		t.Errorf("%d objects and %d Jobs, %v", len(note.Objects), len(note.Jobs), err)
	}
}

// Whoever has the token of the agent may note in a Work what they like, before the Work is applied for the first time.
func TestNoNoteKeepsAWorkFromBeingApplied(t *testing.T) {
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf(`{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"x%d"}`, i))
	}
	for name, note := range map[string]func(t *testing.T, work *v1beta1.Work){
		"unreadable": func(_ *testing.T, work *v1beta1.Work) {
			metav1.SetMetaDataAnnotation(&work.ObjectMeta, wellknown.LostAppliedWorkAnnotation, "nothing")
		},
		"of a later generation": func(t *testing.T, work *v1beta1.Work) {
			noted(t, work, `{"annotations":{"kubernetes-fleet.io/work-generation":"999999","kubernetes-fleet.io/work-uid":"work-uid"}}`)
		},
		"of a later Work": func(t *testing.T, work *v1beta1.Work) {
			noted(t, work, `{"annotations":{"kubernetes-fleet.io/work-created":"2999-01-01T00:00:00Z","kubernetes-fleet.io/store-id":"`+testStore+`"}}`)
		},
		"of very many objects": func(t *testing.T, work *v1beta1.Work) { noted(t, work, `{"objects":[`+strings.Join(many, ",")+`]}`) },
		"of Jobs that the Work does not have": func(t *testing.T, work *v1beta1.Work) {
			noted(t, work, `{"jobs":{"not a key of an annotation":"x"}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := newWork(t, configMapYAML)
			note(t, work)
			b := newBench(t, work)
			b.member.put(t, namespaceYAML)
			after := b.pass(t)
			if got := condition(after.Status.ManifestConditions[0].Conditions, "Applied"); got != "True Applied" {
				t.Errorf("Applied: %s", got)
			}
			if hasLost(b.work(t)) {
				t.Error("the note stays")
			}
			if n := len(b.member.Actions()); n > 100 {
				t.Errorf("%d requests to the member", n)
			}
			owner := b.member.get(t, appliedWorks, "", b.name)
			for key, value := range owner.GetAnnotations() {
				if strings.HasPrefix(key, completedPrefix) || value == "999999" {
					t.Errorf("AppliedWork: %s=%s", key, value)
				}
			}
		})
	}
}

// An object that the member refuses to show is waited for, by nothing but the removal of what the Work does not have any more, and not for ever.
func TestANoteThatCannotBeFulfilledIsGivenUp(t *testing.T) {
	for _, removal := range []bool{false, true} {
		t.Run(fmt.Sprintf("removal %t", removal), func(t *testing.T) {
			b := newBench(t, newWork(t, configMapYAML))
			b.member.put(t, namespaceYAML)
			b.pass(t)
			b.edit(t, func(w *v1beta1.Work) {
				noted(t, w, `{"objects":[{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"hidden"}]}`)
				w.Spec.Workload.Manifests = append(w.Spec.Workload.Manifests, raw(t, strings.Replace(configMapYAML, "test-cm", "other", 1))...)
				w.Generation++
				if removal {
					now := metav1.NewTime(testTime)
					w.DeletionTimestamp = &now
					metav1.SetMetaDataAnnotation(&w.ObjectMeta, wellknown.DeletePropagationAnnotation, "Delete")
				}
			})
			b.member.fail(func(verb, _, name string) error {
				if verb == "get" && name == "hidden" {
					return apierrors.NewServiceUnavailable("an aggregated API is away")
				}
				return nil
			})
			for range 2 {
				if _, err := b.tryPass(t); err == nil || !strings.Contains(err.Error(), "test-namespace/hidden") {
					t.Errorf("error %v", err)
				}
			}
			if work := b.work(t); !removal && condition(work.Status.Conditions, "Applied") != "True AllManifestsApplied" {
				t.Errorf("the Work waits: %v", work.Status.Conditions)
			}
			b.clock.SetTime(testTime.Add(restorePatience))
			for range 3 {
				if _, err := b.tryPass(t); err != nil {
					t.Errorf("error %v", err)
				}
				b.member.collectGarbage(t)
			}
			work := b.work(t)
			if removal && work != nil && len(work.Finalizers) > 0 || !removal && hasLost(work) {
				t.Errorf("the Work does not go on: %v", work.ObjectMeta)
			}
		})
	}
}

// What a note says is no reason to remove what stays since an adoption.
func TestANoteLetsNothingGoThatIsKept(t *testing.T) {
	const note = `{"objects":[{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"precious"}]}`
	for name, before := range map[string]bool{"adopted before the loss": true, "about to be adopted": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
			placedBefore(t, b, func(o *v1beta1.AppliedWork) {
				o.Annotations[wellknown.HubUIDAnnotation] = "that-hub"
				o.Finalizers = []string{wellknown.AppliedWorkFinalizer}
			})
			if before {
				b.pass(t)
			}
			b.deleteOwner(t)
			if _, err := b.surrender(t.Context(), b.work(t), b.ownerOf(t)); err != nil {
				t.Fatal(err)
			}
			b.edit(t, func(w *v1beta1.Work) { noted(t, w, note) })
			for range 3 {
				b.pass(t)
				b.member.collectGarbage(t)
			}
			if !b.has(t, "precious") || b.holdings(t)["precious"] == "" || !strings.HasSuffix(b.holdings(t)["precious"], "owned") {
				t.Errorf("on the member: %v", b.holdings(t))
			}
			if got := b.member.get(t, appliedWorks, "", b.name).GetAnnotations()[wellknown.AdoptedAnnotation]; got != testTime.UTC().Format(time.RFC3339) {
				t.Errorf("adopted %q", got)
			}
		})
	}
}

// What is to be kept is not known before all objects were looked at.
func TestNothingIsRemovedBeforeALossIsOver(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	placedBefore(t, b, func(o *v1beta1.AppliedWork) { o.Annotations[wellknown.HubUIDAnnotation] = "that-hub" })
	b.pass(t)
	said := meta.FindStatusCondition(b.work(t).Status.Conditions, v1beta1.WorkObjectsKept)
	b.deleteOwner(t)
	if _, err := b.surrender(t.Context(), b.work(t), b.ownerOf(t)); err != nil {
		t.Fatal(err)
	}
	b.edit(t, func(w *v1beta1.Work) {
		noted(t, w, `{"objects":[{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"hidden"}]}`)
		// The holder of the token writes the status as well.
		w.Status.ManifestConditions = append(w.Status.ManifestConditions, v1beta1.ManifestCondition{Identifier: v1beta1.WorkResourceIdentifier{
			Ordinal: 2, Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "test-namespace", Name: "precious",
		}})
	})
	b.member.fail(func(verb, _, name string) error {
		if verb == "get" && name == "hidden" {
			return apierrors.NewServiceUnavailable("an aggregated API is away")
		}
		return nil
	})
	b.records = map[string]*record{}
	b.clock.SetTime(testTime.Add(time.Minute))
	if _, err := b.tryPass(t); err == nil {
		t.Error("nothing is wrong")
	}
	if diff := cmp.Diff(said, meta.FindStatusCondition(b.work(t).Status.Conditions, v1beta1.WorkObjectsKept)); said == nil || diff != "" {
		t.Errorf("ObjectsKept (-before +after):\n%s", diff)
	}
	b.member.fail(nil)
	b.pass(t)
	if whose := b.holdings(t)["precious"]; !strings.HasSuffix(whose, "owned") {
		t.Errorf("what was kept: %q", whose)
	}
}

// What objects bear is of the AppliedWork that it names, and of no time that is not there yet.
func TestWhatObjectsBearIsTakenForWhatItIs(t *testing.T) {
	const note = `{"objects":[{"version":"v1","kind":"ConfigMap","resource":"configmaps","namespace":"test-namespace","name":"precious"}]}`
	now := testTime.UTC().Format(time.RFC3339)
	for bears, want := range map[string]string{
		"web-work": "", "web-work/2001-01-01T00:00:00Z": "2001-01-01T00:00:00Z", "web-work/9999-01-01T00:00:00Z": now, "web-work/x": now,
		"web-work/2001-01-01T00:00:00Z/namespace": "2001-01-01T00:00:00Z", "other-work/2001-01-01T00:00:00Z,web-work/namespace": "",
	} {
		t.Run(bears, func(t *testing.T) {
			b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
			b.member.put(t, strings.Replace(preciousYAML, "name: precious", `name: precious, annotations: {kubernetes-fleet.io/kept-for: "`+bears+`"}`, 1))
			b.edit(t, func(w *v1beta1.Work) { noted(t, w, note) })
			b.pass(t)
			if got := b.member.get(t, appliedWorks, "", b.name).GetAnnotations(); got[wellknown.AdoptedAnnotation] != want || got[keptNamespacesAnnotation] != "" {
				t.Errorf("AppliedWork: %v, want it adopted %q", got, want)
			}
			if b.has(t, "precious") != (want != "" || strings.Contains(bears, "other")) {
				t.Errorf("on the member: %t", b.has(t, "precious"))
			}
			if strings.Contains(bears, "other") {
				if got := b.member.get(t, configMaps, "test-namespace", "precious").GetAnnotations()[wellknown.KeptForAnnotation]; got != "other-work/2001-01-01T00:00:00Z" {
					t.Errorf("it bears %q", got)
				}
			}
		})
	}
}

func (b *bench) ownerOf(t *testing.T) *v1beta1.AppliedWork {
	t.Helper()
	owner, err := b.owner(t.Context(), b.name)
	if err != nil || owner == nil {
		t.Fatalf("AppliedWork %v: %v", owner, err)
	}
	return owner
}

// An object is given back as what it is: one of a Namespace as something else would be deleted with all that is in it.
func TestANoteDoesNotPassANamespaceOffAsSomethingElse(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	b.member.put(t, strings.Replace(namespaceYAML, "name: test-namespace", `name: test-namespace, annotations: {kubernetes-fleet.io/kept-for: web-work}`, 1))
	b.edit(t, func(w *v1beta1.Work) {
		noted(t, w, `{"objects":[{"version":"v1","kind":"Other","resource":"namespaces","name":"test-namespace"}]}`)
	})
	b.pass(t)
	if len(b.member.get(t, namespaces, "", "test-namespace").GetOwnerReferences()) > 0 {
		t.Error("the Namespace is owned")
	}
}

// An object that another placement has lost its AppliedWork of is that placement's, unless that is gone.
func TestAnObjectIsKeptForItsPlacementAsLongAsThatExists(t *testing.T) {
	for _, exists := range []bool{true, false} {
		t.Run(fmt.Sprintf("exists %t", exists), func(t *testing.T) {
			b := newBench(t, newWork(t, configMapYAML))
			if exists {
				other := newWork(t)
				other.Name, other.UID = "other-work", "other"
				other.Labels = map[string]string{wellknown.ParentPlacementLabel: "other"}
				if _, err := b.works.Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			b.member.put(t, strings.Replace(configMapYAML, "name: test-cm", `name: test-cm, annotations: {kubernetes-fleet.io/kept-for: other-work}`, 1))
			want := "True Applied"
			if exists {
				want = "False FailedToTakeOver"
			}
			if got := condition(b.pass(t).Status.ManifestConditions[0].Conditions, "Applied"); got != want {
				t.Errorf("Applied: %s, want %s", got, want)
			}
		})
	}
}

// Where an object could not be given back, it is the placement's all the same: it is neither compared nor refused.
func TestAnObjectThatIsKeptForAPlacementIsItsOwn(t *testing.T) {
	work := newWork(t, configMapYAML)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever}
	b := newBench(t, work)
	b.member.put(t, strings.Replace(configMapYAML, "name: test-cm", `name: test-cm, annotations: {kubernetes-fleet.io/kept-for: "other-work,web-work"}`, 1))
	if got := condition(b.pass(t).Status.ManifestConditions[0].Conditions, "Applied"); got != "True Applied" {
		t.Errorf("Applied: %s", got)
	}
}

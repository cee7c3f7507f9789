// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// meanwhile does something on the member once, between the look at an object of a resource and the first write to it.
func (m *fakeMember) meanwhile(resource string, do func()) {
	done := false
	m.fail(func(verb, of, _ string) error {
		if of == resource && (verb == "create" || verb == "patch") && !done {
			done = true
			do()
		}
		return nil
	})
}

// replace puts an object on the member, whatever is there under its name. It is for use in meanwhile.
func (m *fakeMember) replace(t *testing.T, text string) {
	t.Helper()
	object := parse(t, text)
	gvr := m.gvr(t, object)
	object.SetUID("made-by-the-member")
	m.stamp(object)
	err := m.Tracker().Create(gvr, object, object.GetNamespace())
	if apierrors.IsAlreadyExists(err) {
		err = m.Tracker().Update(gvr, object, object.GetNamespace())
	}
	if err != nil {
		t.Error(err)
	}
}

var largeConfigMap = `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}, data: {big: ` + strings.Repeat("x", 300<<10) + `}}`

// An object that somebody makes on the member between the look and the write is one that was there before.
func TestWhatIsMadeOnTheMemberMeanwhileWasThereBefore(t *testing.T) {
	const (
		deployment = `ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: d, uid: u}]`
		rival      = `ownerReferences: [{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: AppliedWork, name: other, uid: u}]`
	)
	large := strings.Replace(largeConfigMap, "big: ", "key: ours, big: ", 1)
	theirs := `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: ns}, data: {key: theirs}}`
	owned := func(object, owner string) string {
		return strings.Replace(object, "metadata: {", "metadata: {"+owner+", ", 1)
	}
	for _, tc := range []struct {
		name, manifest, made string
		strategy             v1beta1.ApplyStrategy
		want                 string
		// marked reports whether the object is to stay when it is not placed any more.
		marked bool
	}{
		{name: "Namespace", manifest: namespaceYAML, made: namespaceYAML, want: "True Applied", marked: true},
		{name: "CustomResourceDefinition", manifest: definitionYAML, made: definitionYAML, want: "True Applied", marked: true},
		{name: "never", manifest: configMapYAML, made: configMapYAML, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "Never"}, want: "False NotTakenOver"},
		{
			name: "if no diff and one", manifest: strings.Replace(theirs, "theirs", "ours", 1), made: theirs,
			strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "IfNoDiff"}, want: "False FailedToTakeOver",
		},
		{name: "owned by somebody", manifest: theirs, made: owned(theirs, deployment), want: "False FailedToTakeOver"},
		{name: "owned by another placement", manifest: theirs, made: owned(theirs, rival), want: "False FailedToTakeOver"},
		{name: "too large for the annotation, never", manifest: large, made: theirs, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "Never"}, want: "False NotTakenOver"},
		{name: "too large for the annotation, owned", manifest: large, made: owned(theirs, deployment), want: "False FailedToTakeOver"},
	} {
		for _, how := range bothStrategies {
			t.Run(fmt.Sprintf("%s, %s", tc.name, how), func(t *testing.T) {
				work := newWork(t, tc.manifest)
				tc.strategy.Type = how
				work.Spec.ApplyStrategy = &tc.strategy
				b := newBench(t, work)
				made := parse(t, tc.made)
				gvr := b.member.gvr(t, made)
				b.member.meanwhile(gvr.Resource, func() { b.member.replace(t, tc.made) })
				got := b.pass(t)
				live := b.member.get(t, gvr, made.GetNamespace(), made.GetName())
				if live == nil || live.GetUID() != "made-by-the-member" {
					t.Fatalf("on the member: %v", live)
				}
				if got := condition(got.Status.ManifestConditions[0].Conditions, "Applied"); got != tc.want {
					t.Errorf("Applied: %s, want %s", got, tc.want)
				}
				if tc.want == "True Applied" {
					if isTakenOver(live) != tc.marked || !isOwnedBy(live, b.name) {
						t.Errorf("marked %t, owners %v", isTakenOver(live), live.GetOwnerReferences())
					}
					return
				}
				made.SetUID(live.GetUID())
				made.SetResourceVersion(live.GetResourceVersion())
				if diff := cmp.Diff(made.Object, live.Object); diff != "" {
					t.Errorf("the member's own object (-made +now):\n%s", diff)
				}
			})
		}
	}
}

// An object that has taken the place of the one that was looked at is not owned on what was seen of that, and not written to.
func TestWhatIsMadeAnewOnTheMemberMeanwhileIsLookedAt(t *testing.T) {
	theirs := strings.Replace(configMapYAML, "value1", "theirs", 1)
	for _, tc := range []struct {
		name, manifest, made string
		// stale reports whether the AppliedWork is recreated before, such that the object gets another owner.
		stale    bool
		strategy v1beta1.ApplyStrategy
		want     string
	}{
		{name: "Namespace", manifest: namespaceYAML, made: namespaceYAML, stale: true, want: "True Applied"},
		{name: "CustomResourceDefinition", manifest: definitionYAML, made: definitionYAML, stale: true, want: "True Applied"},
		{name: "never", manifest: configMapYAML, made: theirs, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "Never"}, want: "False NotTakenOver"},
		{name: "if no diff", manifest: configMapYAML, made: theirs, strategy: v1beta1.ApplyStrategy{WhenToTakeOver: "IfNoDiff"}, want: "False FailedToTakeOver"},
	} {
		for _, how := range bothStrategies {
			t.Run(fmt.Sprintf("%s, %s", tc.name, how), func(t *testing.T) {
				work := newWork(t, tc.manifest)
				tc.strategy.Type = how
				work.Spec.ApplyStrategy = &tc.strategy
				b := newBench(t, work)
				b.pass(t)
				made := parse(t, tc.made)
				gvr := b.member.gvr(t, made)
				b.member.change(t, gvr, made.GetNamespace(), made.GetName(), func(o *unstructured.Unstructured) {
					if o.SetLabels(nil); tc.stale {
						refs := o.GetOwnerReferences()
						refs[0].UID = "earlier"
						o.SetOwnerReferences(refs)
					}
				})
				b.edit(t, func(w *v1beta1.Work) {
					w.Spec.Workload.Manifests = raw(t, strings.Replace(tc.manifest, "metadata: {", "metadata: {labels: {v: '2'}, ", 1))
					w.Generation++
				})
				b.member.meanwhile(gvr.Resource, func() { b.member.replace(t, tc.made) })
				got := b.pass(t)
				live := b.member.get(t, gvr, made.GetNamespace(), made.GetName())
				if got := condition(got.Status.ManifestConditions[0].Conditions, "Applied"); got != tc.want {
					t.Errorf("Applied: %s, want %s", got, tc.want)
				}
				if tc.want == "True Applied" {
					if !isTakenOver(live) || !isOwnedBy(live, b.name) {
						t.Errorf("it is marked: %t, it has the owners %v", isTakenOver(live), live.GetOwnerReferences())
					}
					return
				}
				made.SetUID(live.GetUID())
				made.SetResourceVersion(live.GetResourceVersion())
				if diff := cmp.Diff(made.Object, live.Object); diff != "" {
					t.Errorf("the member's own object (-made +now):\n%s", diff)
				}
			})
		}
	}
}

// An API server that makes no object which is to have a version has it created, and the fields end as those of an apply all the same.
func TestWhereNoVersionMayBeAskedForAnObjectIsCreatedFirst(t *testing.T) {
	const created = `{"f:data":{"f:key":{}},"f:metadata":{"f:labels":{"f:default":{}}}}`
	work := newWork(t, configMapYAML)
	work.Spec.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply}
	b := newBench(t, work)
	var patches []types.PatchType
	b.member.PrependReactor("patch", "configmaps", func(a clienttesting.Action) (bool, runtime.Object, error) {
		patch := a.(clienttesting.PatchActionImpl)
		patches = append(patches, patch.GetPatchType())
		if strings.Contains(string(patch.GetPatch()), noVersion) {
			return true, nil, apierrors.NewConflict(configMaps.GroupResource(), patch.Name, errors.New("no object has that version"))
		}
		return false, nil, nil
	})
	b.member.PrependReactor("create", "configmaps", func(a clienttesting.Action) (bool, runtime.Object, error) {
		object := a.(clienttesting.CreateActionImpl).Object.(*unstructured.Unstructured)
		object.SetManagedFields([]metav1.ManagedFieldsEntry{{
			Manager: wellknown.FieldManager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(created),
		}})
		return false, nil, nil
	})
	b.pass(t)
	if diff := cmp.Diff([]types.PatchType{types.ApplyPatchType, types.JSONPatchType, types.ApplyPatchType}, patches); diff != "" {
		t.Errorf("patches (-want +got):\n%s", diff)
	}
	entries := b.member.get(t, configMaps, "test-namespace", "test-cm").GetManagedFields()
	if len(entries) != 1 || entries[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("managed fields: %v", entries)
	}
}

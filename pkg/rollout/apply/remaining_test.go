// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
)

// remaining is what a Work says of what it waits for.
func remaining(work *v1beta1.Work) string {
	c := meta.FindStatusCondition(work.Status.Conditions, v1beta1.WorkObjectsRemaining)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func holdBy(finalizers ...string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) { o.SetFinalizers(finalizers) }
}

// expectRemaining has a pass at a time, and what the Work then says.
func (b *bench) expectRemaining(t *testing.T, after time.Duration, want string, wantAgain time.Duration) {
	t.Helper()
	b.clock.SetTime(testTime.Add(after))
	b.cacheUp(t)
	b.watchesUp(t)
	again, err := b.reconcileWork(t.Context(), b.name)
	if err != nil {
		t.Fatal(err)
	}
	if got := remaining(b.work(t)); got != want {
		t.Errorf("after %s: %q, want %q", after, got, want)
	}
	if again != wantAgain {
		t.Errorf("after %s: looked at again after %s, want %s", after, again, wantAgain)
	}
}

func TestADroppedObjectThatIsHeldIsTold(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	b.member.change(t, configMaps, "test-namespace", "test-cm", holdBy("example.com/hold"))
	b.edit(t, func(w *v1beta1.Work) {
		w.Spec.Workload.Manifests = raw(t, namespaceYAML)
		w.Generation++
	})
	b.expectRemaining(t, 0, "", 10*time.Second)
	b.expectRemaining(t, 9*time.Second, "", time.Second)
	const told = "True WaitingForDeletion: ConfigMap test-namespace/test-cm waits for finalizer example.com/hold"
	b.expectRemaining(t, 10*time.Second, told, 0)
	if got := condition(b.work(t).Status.Conditions, v1beta1.WorkApplied); got != "True AllManifestsApplied" || isCleared(b.work(t)) {
		t.Errorf("Applied: %s, of generation %d it says what is left up to %d", got, b.work(t).Generation, b.work(t).Status.LeftGeneration)
	}
	// After a restart as well.
	b.records = map[string]*record{}
	b.expectRemaining(t, time.Minute, told, 0)

	b.member.change(t, configMaps, "test-namespace", "test-cm", holdBy())
	b.expectRemaining(t, 2*time.Minute, "", 0)
	owner := b.member.get(t, appliedWorks, "", "web-work")
	if listed, _, _ := unstructured.NestedSlice(owner.Object, "status", "appliedResources"); len(listed) != 1 {
		t.Errorf("the AppliedWork lists %v", listed)
	}
	if !isCleared(b.work(t)) {
		t.Error("nothing is left, and the Work does not say so")
	}
}

func TestADroppedObjectThatTheMemberDoesNotDeleteIsTold(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	b.edit(t, func(w *v1beta1.Work) {
		w.Spec.Workload.Manifests = raw(t, namespaceYAML)
		w.Generation++
	})
	b.member.fail(func(verb, resource, _ string) error {
		if verb == "delete" && resource == "configmaps" {
			return apierrors.NewForbidden(configMapResource, "test-cm", errors.New("no"))
		}
		return nil
	})
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{
		{0, ""},
		{10 * time.Second, `True WaitingForDeletion: ConfigMap test-namespace/test-cm cannot be deleted: configmaps "test-cm" is forbidden: no`},
	} {
		b.clock.SetTime(testTime.Add(tc.after))
		work, err := b.tryPass(t)
		if err == nil {
			t.Error("the deletion is not tried again")
		}
		if got := remaining(work); got != tc.want {
			t.Errorf("after %s: %q, want %q", tc.after, got, tc.want)
		}
		if isCleared(work) {
			t.Errorf("after %s: the Work says that nothing is left of what it placed before", tc.after)
		}
	}
	b.member.fail(nil)
	if work := b.pass(t); !isCleared(work) {
		t.Error("nothing is left, and the Work does not say so")
	}
}

// isCleared reports whether a Work says that nothing is left of what it placed before. It must say of all that is whether it is.
func isCleared(work *v1beta1.Work) bool {
	return work.Status.LeftGeneration == work.Generation && len(work.Status.LeftObjects) == 0
}

func TestAWorkThatIsDeletedTellsWhatItWaitsFor(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.pass(t)
	b.member.change(t, appliedWorks, "", "web-work", holdBy(metav1.FinalizerDeleteDependents))
	b.member.change(t, configMaps, "test-namespace", "test-cm", holdBy("example.com/hold", "example.com/other"))
	b.edit(t, func(w *v1beta1.Work) {
		w.DeletionTimestamp = &metav1.Time{Time: testTime}
		w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: string(v1beta1.DeletePropagationPolicyDelete)}
	})
	b.expectRemaining(t, 0, "", 0)
	b.expectRemaining(t, time.Second, "", 9*time.Second)
	// The garbage collector of the member is slow.
	b.expectRemaining(t, 10*time.Second,
		"True WaitingForDeletion: ConfigMap test-namespace/test-cm is not deleted yet; Namespace test-namespace is not deleted yet", 0)
	for gvr, key := range map[string][2]string{"namespaces": {"", "test-namespace"}, "configmaps": {"test-namespace", "test-cm"}} {
		resource := configMaps
		resource.Resource = gvr
		if err := b.member.Resource(resource).Namespace(key[0]).Delete(t.Context(), key[1], metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.expectRemaining(t, 20*time.Second,
		"True WaitingForDeletion: ConfigMap test-namespace/test-cm waits for finalizers example.com/hold, example.com/other", 0)
	b.api.ClearActions()
	b.expectRemaining(t, 30*time.Second,
		"True WaitingForDeletion: ConfigMap test-namespace/test-cm waits for finalizers example.com/hold, example.com/other", 0)
	for _, a := range b.api.Actions() {
		if a.GetVerb() != "get" {
			t.Errorf("write to the API: %v", a)
		}
	}
	b.member.change(t, configMaps, "test-namespace", "test-cm", holdBy())
	b.expectRemaining(t, 40*time.Second, "True WaitingForDeletion: AppliedWork web-work waits for finalizer foregroundDeletion", 0)
	b.member.change(t, appliedWorks, "", "web-work", holdBy())
	b.clock.SetTime(testTime.Add(50 * time.Second))
	b.pass(t)
	if work := b.work(t); work != nil && len(work.Finalizers) > 0 {
		t.Errorf("finalizers of the Work: %v", work.Finalizers)
	}
}

func TestWhatStaysIsNotWaitedFor(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	b.pass(t)
	b.member.change(t, appliedWorks, "", "web-work", holdBy(metav1.FinalizerOrphanDependents))
	b.edit(t, func(w *v1beta1.Work) { w.DeletionTimestamp = &metav1.Time{Time: testTime} })
	b.expectRemaining(t, 0, "", 0)
	b.expectRemaining(t, time.Minute, "True WaitingForDeletion: AppliedWork web-work waits for finalizer orphan", 0)
}

func TestWhatHoldsAnObject(t *testing.T) {
	const going = `deletionTimestamp: "2026-11-23T02:20:00Z"`
	const namespace = `{apiVersion: v1, kind: Namespace, metadata: {name: shop, ` + going + `}, spec: {finalizers: [kubernetes]}, status: {phase: Terminating, conditions: [`
	for name, tc := range map[string]struct{ object, want string }{
		"nothing yet":    {configMapYAML, "is not deleted yet"},
		"a grace period": {`{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns, ` + going + `}}`, "is being deleted"},
		"a finalizer":    {`{apiVersion: v1, kind: ConfigMap, metadata: {name: c, finalizers: [a/b], ` + going + `}}`, "waits for finalizer a/b"},
		"what a Namespace holds": {
			namespace + `{type: NamespaceDeletionContentFailure, status: "False", message: All content successfully deleted},
				{type: NamespaceContentRemaining, status: "True", message: "Some resources are remaining: configmaps. has 1 resource instances"},
				{type: NamespaceFinalizersRemaining, status: "True", message: "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"}]}}`,
			"waits for its content: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances; " +
				"Some resources are remaining: configmaps. has 1 resource instances",
		},
		"a Namespace that says nothing":       {namespace + `]}}`, "is being deleted"},
		"a Namespace with nonsense in status": {namespace + `1, {type: NamespaceContentRemaining, status: "True"}]}}`, "is being deleted"},
		"a Secret": {
			`{apiVersion: v1, kind: Secret, metadata: {name: s, finalizers: [example.com/hunter2hunter2], ` + going + `}, stringData: {p: hunter2hunter2}}`,
			"waits for finalizer example.com/" + secretvalue.Redacted,
		},
	} {
		if got := holding(parse(t, tc.object)); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	long := parse(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, finalizers: [`+strings.Repeat("x", 2000)+`], `+going+`}}`)
	if got := holding(long); len(got) > maxHolding {
		t.Errorf("%d bytes", len(got))
	}
}

func TestOnlyAFewRemnantsAreNamed(t *testing.T) {
	remnants := make([]remnant, 2*maxRemnants)
	for i := range remnants {
		remnants[i] = remnant{kind: "ConfigMap", key: keyIn("ns", fmt.Sprintf("c%d", i)), why: "waits"}
	}
	v, _ := remainingVerdict(remnants, false, testTime)
	if n := strings.Count(v.message, "waits"); n != maxRemnants || !strings.HasSuffix(v.message, "; and others") {
		t.Errorf("%d are named: %s", n, v.message)
	}
}

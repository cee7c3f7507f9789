// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestANamespaceThatIsBeingDeletedIsWaitedForAndNamed(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	b.member.put(t, namespaceYAML)
	b.member.fail(func(verb, resource, name string) error {
		if verb != "create" || resource != "configmaps" {
			return nil
		}
		err := apierrors.NewForbidden(configMapResource, name, errors.New("unable to create new content in namespace test-namespace because it is being terminated"))
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause, Message: "namespace test-namespace is being terminated"}}
		return err
	})
	work, err := b.tryPass(t)
	if err == nil {
		t.Error("the pass is not tried again")
	}
	c := meta.FindStatusCondition(work.Status.ManifestConditions[0].Conditions, v1beta1.WorkApplied)
	want := `Failed to apply the manifest (error: Namespace "test-namespace" of cluster "member1" is being deleted and takes nothing new: the status of the Namespace ` +
		`there tells what holds it. The object is created when the Namespace is there again)`
	if c == nil || c.Reason != reasonApplyFailed || c.Message != want {
		t.Errorf("got %+v, want %s", c, want)
	}

	// That the namespace is there again is an event.
	if !b.watches.wishes[b.name][namespaces].Has(keyOf("test-namespace")) {
		t.Error("nobody hears of the namespace")
	}
	b.member.fail(nil)
	if work := b.pass(t); condition(work.Status.ManifestConditions[0].Conditions, v1beta1.WorkApplied) != "True Applied" {
		t.Errorf("the object is not created: %+v", work.Status.ManifestConditions[0].Conditions)
	}
}

// Others count on a Work that is about to be deleted to hold nothing any more: it must not create what another placement has let go of.
func TestAWorkThatIsAboutToBeDeletedWritesNothing(t *testing.T) {
	b := newBench(t, newWork(t, namespaceYAML, configMapYAML))
	b.edit(t, func(w *v1beta1.Work) {
		w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: string(v1beta1.DeletePropagationPolicyAbandon)}
	})
	b.pass(t)
	if writes := b.member.writes(); len(writes) > 0 {
		t.Errorf("it writes %v", writes)
	}
	// A pass that began before sees it with its next write.
	work := b.work(t)
	work.Annotations = nil
	if err := (&pass{Applier: b.Applier, work: work, record: b.recordOf(work), opened: nil}).open(t.Context()); !errors.Is(err, errStale) {
		t.Errorf("a pass under way goes on: %v", err)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestWhatTheHubHasIsLeftAlone(t *testing.T) {
	for _, strategy := range []v1beta1.ApplyStrategy{
		{Type: v1beta1.ApplyStrategyTypeClientSideApply}, {Type: v1beta1.ApplyStrategyTypeServerSideApply},
		{WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever},
	} {
		work := newWork(t, namespaceYAML, configMapYAML)
		work.Spec.ApplyStrategy = &strategy
		b := newBench(t, work)
		b.isHub = true
		b.member.put(t, strings.Replace(configMapYAML, "value1", "newer", 1))
		b.member.ClearActions()
		work = b.pass(t)
		if got := condition(work.Status.Conditions, "Available"); got != "True AllManifestsAvailable" {
			t.Errorf("Available: %s", got)
		}
		if writes := b.member.writes(); len(writes) > 0 {
			t.Errorf("writes to the hub: %v", writes)
		}
		// Neither a version without it nor the end of the Work takes it away.
		b.edit(t, func(w *v1beta1.Work) {
			w.Spec.Workload.Manifests = raw(t, namespaceYAML)
			w.Generation++
		})
		b.pass(t)
		now := metav1.NewTime(testTime)
		b.edit(t, func(w *v1beta1.Work) {
			w.DeletionTimestamp = &now
			w.Annotations = map[string]string{wellknown.DeletePropagationAnnotation: "Delete"}
		})
		b.pass(t)
		b.pass(t)
		if !b.has(t, "test-cm") {
			t.Error("the object is gone from the hub")
		}
		if b.member.get(t, appliedWorks, "", "web-work") != nil {
			t.Error("the AppliedWork is still there")
		}
		if work := b.work(t); work != nil && len(work.Finalizers) > 0 {
			t.Errorf("finalizers: %v", work.Finalizers)
		}
	}
}

func TestOwnersThatAnEarlierVersionHasWrittenAreTakenOffTheHub(t *testing.T) {
	b := newBench(t, newWork(t, configMapYAML))
	b.pass(t)
	b.member.change(t, configMaps, "test-namespace", "test-cm", func(o *unstructured.Unstructured) {
		o.SetOwnerReferences(append(o.GetOwnerReferences(), metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", UID: "u"}))
	})
	uid := b.member.get(t, configMaps, "test-namespace", "test-cm").GetUID()
	b.isHub = true
	for range 2 {
		if err := b.disownOnHub(t.Context()); err != nil {
			t.Fatal(err)
		}
		live := b.member.get(t, configMaps, "test-namespace", "test-cm")
		if refs := live.GetOwnerReferences(); len(refs) != 1 || refs[0].Kind != "Deployment" || live.GetUID() != uid {
			t.Errorf("owners are %v, want the one that is not ours", refs)
		}
	}
}

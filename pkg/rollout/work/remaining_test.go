// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// waits has the Works of the binding say what they wait for, after a change of each.
func (b *bench) waits(message string, change func(*v1beta1.Work)) {
	b.t.Helper()
	for i := range b.works() {
		work := &b.works()[i]
		work.Status.Conditions = append(work.Status.Conditions, metav1.Condition{
			Type: v1beta1.WorkObjectsRemaining, Status: metav1.ConditionTrue, Reason: "WaitingForDeletion", Message: message,
			ObservedGeneration: work.Generation, LastTransitionTime: metav1.NewTime(testTime),
		})
		if change != nil {
			change(work)
		}
		if _, err := b.api.PlacementV1beta1().Works(work.Namespace).Update(b.t.Context(), work, metav1.UpdateOptions{}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// remaining is what the binding says of what its cluster has still.
func (b *bench) remaining() string {
	b.t.Helper()
	binding, err := b.fleet.Bindings.Client(b.namespace).Get(b.t.Context(), "web-member1", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	c := find(binding.BindingStatus().Conditions, v1beta1.BindingObjectsRemaining)
	if c == nil {
		return ""
	}
	if c.ObservedGeneration != binding.GetGeneration() {
		b.t.Errorf("observed generation %d, want %d", c.ObservedGeneration, binding.GetGeneration())
	}
	return string(c.Status) + " " + c.Reason + ": " + c.Message
}

func TestABindingTellsWhatItsWorksWaitFor(t *testing.T) {
	now := metav1.NewTime(testTime)
	const held = "ConfigMap test-namespace/test-cm waits for finalizer example.com/hold"
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(nil)
			b.settle()
			b.waits(held, nil)
			b.settle()
			if got, want := b.remaining(), "True WaitingForDeletion: "+held; got != want {
				t.Errorf("a version that lacks an object: %q, want %q", got, want)
			}

			// The binding goes, and says nothing of what was before.
			b.edit(func(o v1beta1.BindingObject) {
				o.BindingSpec().State = v1beta1.BindingStateUnscheduled
				o.SetDeletionTimestamp(&now)
				o.SetGeneration(o.GetGeneration() + 1)
			})
			b.waits("not to be seen", func(w *v1beta1.Work) {
				w.Annotations[wellknown.DeletePropagationAnnotation] = string(v1beta1.DeletePropagationPolicyDelete)
				w.DeletionTimestamp = &now
				w.Generation++
				w.Status.Conditions = nil
			})
			b.pass()
			if got := b.remaining(); got != "" {
				t.Errorf("a Work that has not told yet: %q", got)
			}
			b.waits(held, nil)
			b.pass()
			if got, want := b.remaining(), "True WaitingForDeletion: "+held; got != want {
				t.Errorf("a binding that goes: %q, want %q", got, want)
			}
			b.cacheUp()
			b.api.ClearActions()
			b.pass()
			for _, a := range b.api.Actions() {
				if a.GetVerb() == "update" {
					t.Errorf("the same is written again: %v", a)
				}
			}
		})
	}
}

func TestARemovalWaitsForAMemberThatIsAway(t *testing.T) {
	now := metav1.NewTime(testTime)
	const (
		down = "The member cannot be reached: connection refused"
		held = "ConfigMap test-namespace/test-cm waits for finalizer example.com/hold"
		want = "True ClusterUnreachable: " + down + "; the removal goes on when that is mended, and what is on the cluster stays there if MemberCluster member1 is deleted"
	)
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			healthy := func(status metav1.ConditionStatus, message string) {
				t.Helper()
				member := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "member1"}}
				member.Status.Conditions = []metav1.Condition{{Type: clusterv1beta1.ConditionTypeMemberClusterHealthy, Status: status, Message: message}}
				if _, err := b.api.ClusterV1beta1().MemberClusters().Update(t.Context(), member, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.binding(nil)
			b.settle()
			healthy(metav1.ConditionFalse, down)
			b.settle()
			if got := b.remaining(); got != "" {
				t.Errorf("nothing is to go: %q", got)
			}
			b.edit(func(o v1beta1.BindingObject) {
				o.BindingSpec().State = v1beta1.BindingStateUnscheduled
				o.SetDeletionTimestamp(&now)
				o.SetGeneration(o.GetGeneration() + 1)
			})
			b.waits(held, func(w *v1beta1.Work) {
				w.Annotations[wellknown.DeletePropagationAnnotation] = string(v1beta1.DeletePropagationPolicyDelete)
				w.DeletionTimestamp = &now
				w.Generation++
				w.Status.Conditions = nil
			})
			b.pass()
			if got := b.remaining(); got != want {
				t.Errorf("a binding that goes: %q, want %q", got, want)
			}
			b.waits(held, nil)
			b.cacheUp()
			b.pass()
			if got := b.remaining(); got != want+"; "+held {
				t.Errorf("a Work has told before: %q, want %q", got, want+"; "+held)
			}
			healthy(metav1.ConditionTrue, "fine")
			b.cacheUp()
			b.pass()
			if got := b.remaining(); got != "True WaitingForDeletion: "+held {
				t.Errorf("the member is back: %q", got)
			}
		})
	}
}

func TestAVersionThatLacksAWorkWaitsForAMemberThatIsAway(t *testing.T) {
	binding := &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{TargetCluster: "member1"}}
	for name, tt := range map[string]struct {
		outcome outcome
		want    bool
	}{
		"nothing is to go":     {outcome{unreachable: "down"}, false},
		"the member answers":   {outcome{leaving: []*v1beta1.Work{{}}}, false},
		"a Work that is to go": {outcome{leaving: []*v1beta1.Work{{}}, unreachable: strings.Repeat("x", 10<<10)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			status := statusOf(binding, tt.outcome, metav1.NewTime(testTime))
			c := find(status.Conditions, v1beta1.BindingObjectsRemaining)
			if (c != nil) != tt.want {
				t.Errorf("%+v", c)
			}
			if c != nil && (!strings.HasSuffix(c.Message, "stays there if MemberCluster member1 is deleted") || len(c.Message) > 512) {
				t.Errorf("%d bytes: %s", len(c.Message), c.Message)
			}
		})
	}
}

func TestWhatABindingWaitsForIsBounded(t *testing.T) {
	var works []*v1beta1.Work
	for range 10 {
		works = append(works, &v1beta1.Work{Status: v1beta1.WorkStatus{Conditions: []metav1.Condition{{
			Type: v1beta1.WorkObjectsRemaining, Status: metav1.ConditionTrue, Message: strings.Repeat("x", 1000),
		}}}})
	}
	if c := objectsRemaining(works); len(c.Message) > maxRemaining {
		t.Errorf("%d bytes", len(c.Message))
	}
	if c := objectsRemaining(nil); c != nil {
		t.Errorf("nothing: %+v", c)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

// holds has a binding say that its cluster has an object still, or none any more.
func holds(message string) func(v1beta1.BindingObject) {
	return func(b v1beta1.BindingObject) {
		conditions := &b.BindingStatus().Conditions
		meta.RemoveStatusCondition(conditions, v1beta1.BindingObjectsRemaining)
		if message != "" {
			*conditions = append(*conditions, metav1.Condition{
				Type: v1beta1.BindingObjectsRemaining, Status: metav1.ConditionTrue, Reason: "WaitingForDeletion", Message: message,
				ObservedGeneration: b.GetGeneration(),
			})
		}
	}
}

// toldOf is what the placement says of what clusters have still.
func toldOf(w *fleettest.World) string {
	p, err := w.Fleet.Placements.Get(w.Key("p"))
	w.Must(err)
	c := meta.FindStatusCondition(p.PlacementStatus().Conditions, v1beta1.PlacementConditionType(w.Namespace, v1beta1.PlacementObjectsRemaining))
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

// events are those that tell of what clusters have still, up to now.
func events(recorder *record.FakeRecorder) []string {
	var found []string
	for {
		select {
		case e := <-recorder.Events:
			if strings.Contains(e, eventRemaining) {
				found = append(found, e)
			}
		default:
			return found
		}
	}
}

const (
	held    = "ConfigMap shop/c waits for finalizer example.com/hold"
	heldOnA = "The removal waits for cluster a: " + held
)

func TestAPlacementTellsWhatARemovalWaitsFor(t *testing.T) {
	for name, prepare := range map[string]func(w *fleettest.World){
		"a version lacks the object": func(*fleettest.World) {},
		"the cluster is not picked any more": func(w *fleettest.World) {
			fleettest.Update(w, w.Fleet.Bindings, "a", func(b v1beta1.BindingObject) {
				b.BindingSpec().State = v1beta1.BindingStateUnscheduled
				b.SetFinalizers([]string{wellknown.WorkCleanupFinalizer})
				b.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
			})
		},
		"the placement is deleted": func(w *fleettest.World) {
			fleettest.Update(w, w.Fleet.Placements, "p", func(p v1beta1.PlacementObject) {
				p.SetFinalizers([]string{"held"})
				p.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			fleettest.InBothScopes(t, func(w *fleettest.World) {
				placed(w, metav1.ConditionTrue)
				recorder := record.NewFakeRecorder(100)
				c := New(w.Fleet, recorder, clock.RealClock{})
				w.Run(c.Run)
				w.Eventually("the placement is available", func() bool { return condition(w, v1beta1.PlacementAvailable) == metav1.ConditionTrue })
				prepare(w)
				fleettest.UpdateStatus(w, w.Fleet.Bindings, "a", holds(held))
				w.Eventually("it is told", func() bool { return toldOf(w) == "True WaitingForDeletion: "+heldOnA })
				if name == "the placement is deleted" && condition(w, v1beta1.PlacementAvailable) != metav1.ConditionTrue {
					t.Error("what was said of the clusters is gone")
				}
				fleettest.UpdateStatus(w, w.Fleet.Bindings, "b", holds(held))
				w.Eventually("the other cluster is told of", func() bool { return strings.HasSuffix(toldOf(w), "; cluster b: "+held) })
				fleettest.UpdateStatus(w, w.Fleet.Bindings, "a", holds(""))
				fleettest.UpdateStatus(w, w.Fleet.Bindings, "b", holds(""))
				w.Eventually("nothing is left", func() bool { return toldOf(w) == "" })
				if got := events(recorder); len(got) != 1 || got[0] != "Warning ObjectsRemaining "+heldOnA {
					t.Errorf("Events: %q", got)
				}
			})
		})
	}
}

func TestWhatAPlacementTellsOfRemovalsIsBounded(t *testing.T) {
	var bindings []v1beta1.BindingObject
	for i := range 1000 {
		b := &v1beta1.ClusterResourceBinding{}
		b.BindingSpec().TargetCluster = fmt.Sprintf("c%03d", i)
		holds(strings.Repeat("x", 1<<10))(b)
		bindings = append(bindings, b)
	}
	_, message := remaining(bindings)
	if !strings.HasPrefix(message, "The removal waits for cluster c000: xxx") || !strings.HasSuffix(message, "; and 990 more") || len(message) > 6<<10 {
		t.Errorf("%d bytes: %s", len(message), message)
	}
	bindings[0].SetGeneration(2)
	if _, message := remaining(bindings[:1]); message != "" {
		t.Errorf("what was before is told: %s", message)
	}
}

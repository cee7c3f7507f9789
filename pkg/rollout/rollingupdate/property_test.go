// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// hiddenWorld is a placement with what nobody but the test knows: whether clusters are really available.
type hiddenWorld struct {
	random   *rand.Rand
	pace     *v1beta1.RollingUpdateConfig
	now      time.Time
	version  string
	bindings []v1beta1.BindingObject
	// broken has the versions that no cluster becomes available with.
	broken map[string]bool
	// isAvailable has the clusters that are really available.
	isAvailable map[string]bool
	log         []string
}

func newHiddenWorld(seed uint64) *hiddenWorld {
	w := &hiddenWorld{
		random: rand.New(rand.NewPCG(seed, 0)), pace: (*v1beta1.RollingUpdateConfig)(nil).WithDefaults(), now: now,
		version: "v0", broken: map[string]bool{}, isAvailable: map[string]bool{},
	}
	*w.pace.MaxUnavailable = intstr.FromInt32(int32(w.random.IntN(3)))
	*w.pace.MaxSurge = intstr.FromInt32(int32(w.random.IntN(2)))
	for i := range 2 + w.random.IntN(5) {
		name := string(rune('a' + i))
		w.bindings = append(w.bindings, on(name, "v0"))
		w.isAvailable[name] = true
	}
	return w
}

func (w *hiddenWorld) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *hiddenWorld) any() *v1beta1.ClusterResourceBinding {
	return w.bindings[w.random.IntN(len(w.bindings))].(*v1beta1.ClusterResourceBinding)
}

// happen has one thing happen that takes nothing off a cluster by itself.
func (w *hiddenWorld) happen() {
	b := w.any()
	switch w.random.IntN(9) {
	case 0:
		w.version = fmt.Sprintf("v%d", len(w.broken)+1)
		w.broken[w.version] = w.random.IntN(2) == 0
		w.note("version %s, broken %t", w.version, w.broken[w.version])
	case 1:
		w.note("the policy is edited")
		for _, b := range w.bindings {
			b.SetGeneration(b.GetGeneration() + 1)
		}
	case 2:
		w.note("the strategy is edited")
		for _, b := range w.bindings {
			b.SetGeneration(b.GetGeneration() + 1)
			w.says(b.(*v1beta1.ClusterResourceBinding), v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
		}
	case 3:
		if b.Generation++; b.Spec.State == v1beta1.BindingStateUnscheduled {
			b.Spec.State = v1beta1.BindingStateBound
		} else if b.Spec.State == v1beta1.BindingStateBound {
			b.Spec.State = v1beta1.BindingStateUnscheduled
		}
		w.note("%s is picked, or no longer: %s", b.Name, b.Spec.State)
	case 4:
		w.now = w.now.Add(time.Duration(w.random.IntN(80)) * time.Second)
	default:
		w.tell(b)
	}
}

// tell has a cluster tell how it is, and become available if it can.
func (w *hiddenWorld) tell(b *v1beta1.ClusterResourceBinding) {
	if b.Spec.ResourceSnapshotName == "" {
		return
	}
	if !w.isAvailable[b.Name] {
		w.isAvailable[b.Name] = !w.broken[b.Spec.ResourceSnapshotName]
	}
	b.Status.Conditions, b.Status.FailedPlacements = nil, nil
	w.says(b, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
	switch kind := w.random.IntN(8); {
	case !w.isAvailable[b.Name]:
		w.note("%s is not available", b.Name)
		w.says(b, v1beta1.BindingAvailable, metav1.ConditionFalse, "NotAllWorkAreAvailable")
	case kind == 0:
		w.note("%s cannot be overridden", b.Name)
		w.says(b, v1beta1.BindingOverridden, metav1.ConditionFalse, "OverriddenFailed")
	case kind == 1:
		w.note("%s has drifted", b.Name)
		w.says(b, v1beta1.BindingApplied, metav1.ConditionFalse, "NotAllWorkHaveBeenApplied")
		b.Status.FailedPlacements = []v1beta1.FailedResourcePlacement{{Condition: metav1.Condition{Reason: "FoundDrifts"}}}
	case kind == 2:
		w.note("%s cannot be reached", b.Name)
		w.says(b, v1beta1.BindingApplied, metav1.ConditionFalse, "ClusterUnreachable")
	case kind == 3:
		w.note("%s cannot be observed", b.Name)
		w.says(b, v1beta1.BindingAvailable, metav1.ConditionTrue, reasonNotTrackable)
	default:
		w.note("%s is available", b.Name)
		w.says(b, v1beta1.BindingAvailable, metav1.ConditionTrue, "AllWorkAreAvailable")
	}
}

func (w *hiddenWorld) says(b *v1beta1.ClusterResourceBinding, conditionType string, status metav1.ConditionStatus, reason string) {
	set(b, conditionType, status, reason, w.now)
	b.Status.Conditions[len(b.Status.Conditions)-1].ObservedGeneration = b.Generation
}

// available counts the clusters that are really available, and those that the placement picks.
func (w *hiddenWorld) available() (available, picked int) {
	for _, b := range w.bindings {
		if w.isAvailable[b.GetName()] {
			available++
		}
		if bindingrules.IsPicked(b) {
			picked++
		}
	}
	return available, picked
}

// move has the budget move clusters. One that is moved is not available until it tells.
func (w *hiddenWorld) move() error {
	before, picked := w.available()
	m, err := budget(w.bindings, w.pace, func(string) bindingrules.Version { return bindingrules.Version{ResourceSnapshot: w.version} },
		func(string) bool { return false }, w.now)
	if err != nil {
		return err
	}
	for _, b := range m.start {
		if b.BindingSpec().ResourceSnapshotName != w.version {
			w.note("%s gets %s", b.GetName(), w.version)
			w.isAvailable[b.GetName()] = false
		}
		b.SetGeneration(b.GetGeneration() + 1)
		b.BindingSpec().State, b.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateBound, w.version
		w.says(b.(*v1beta1.ClusterResourceBinding), v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
	}
	for _, b := range m.remove {
		w.note("%s is removed", b.GetName())
		w.isAvailable[b.GetName()] = false
		w.bindings = slices.DeleteFunc(w.bindings, func(other v1beta1.BindingObject) bool { return other == b })
		// It is picked again at once, by a new binding.
		w.bindings = append(w.bindings, on(b.GetName(), "", fresh))
	}
	// Where nothing may be unavailable, one at a time goes.
	allowed := max(1, w.pace.MaxUnavailable.IntValue())
	if after, _ := w.available(); after < min(before, picked-allowed) {
		return fmt.Errorf("of %d picked clusters %d were available and %d are, where %d may be missing", picked, before, after, allowed)
	}
	return nil
}

func TestNoEditLeavesFewerClustersAvailableThanTheBudget(t *testing.T) {
	for seed := range uint64(20000) {
		w := newHiddenWorld(seed)
		for range 40 {
			w.happen()
			if err := w.move(); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(w.log, "\n"))
			}
		}
	}
}

func TestARolloutComesToItsEndWhateverWasEdited(t *testing.T) {
	for seed := range uint64(3000) {
		w := newHiddenWorld(seed)
		for range 40 {
			w.happen()
			if err := w.move(); err != nil {
				t.Fatal(err)
			}
		}
		w.version = "good"
		for _, b := range w.bindings {
			if b.BindingSpec().State == v1beta1.BindingStateUnscheduled {
				b.BindingSpec().State = v1beta1.BindingStateBound
			}
		}
		*w.pace.MaxUnavailable = intstr.FromInt32(1)
		for range 60 {
			for _, b := range w.bindings {
				if b := b.(*v1beta1.ClusterResourceBinding); b.Spec.ResourceSnapshotName != "" {
					w.isAvailable[b.Name] = w.isAvailable[b.Name] || !w.broken[b.Spec.ResourceSnapshotName]
					b.Status.Conditions, b.Status.FailedPlacements = nil, nil
					w.says(b, v1beta1.BindingRolloutStarted, metav1.ConditionTrue, "RolloutStarted")
					if w.isAvailable[b.Name] {
						w.says(b, v1beta1.BindingAvailable, metav1.ConditionTrue, "AllWorkAreAvailable")
					} else {
						w.says(b, v1beta1.BindingAvailable, metav1.ConditionFalse, "NotAllWorkAreAvailable")
					}
				}
			}
			if err := w.move(); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(w.log, "\n"))
			}
		}
		for _, b := range w.bindings {
			if b.BindingSpec().ResourceSnapshotName != "good" {
				t.Fatalf("seed %d: %s stays at %q\n%s", seed, b.GetName(), b.BindingSpec().ResourceSnapshotName, strings.Join(w.log, "\n"))
			}
		}
	}
}

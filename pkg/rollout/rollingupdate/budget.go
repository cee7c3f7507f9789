// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollingupdate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// reasonNotTrackable is the reason with which a binding is Available although nobody can tell.
const reasonNotTrackable = "NotAllWorkAreAvailabilityTrackable"

// moves are what a placement's bindings go through next.
type moves struct {
	// start is rolled out to now: new clusters, and clusters with an older version or another way to apply.
	start []v1beta1.BindingObject
	// remove is deleted now.
	remove []v1beta1.BindingObject
	// held waits until others are available.
	held []v1beta1.BindingObject
	// again is when a cluster whose availability cannot be observed starts to count as available; 0 for never.
	again time.Duration
}

// cluster is what the budget knows of one binding.
type cluster struct {
	v1beta1.BindingObject
	standing bindingrules.Standing
}

// budget says which bindings may move to the version that their cluster is to hold now, so that no more than maxUnavailable clusters lack available resources
// because of it, and no more than maxSurge clusters above the target hold them. A cluster that has left the fleet, or leaves it, is not waited for.
func budget(bindings []v1beta1.BindingObject, pace *v1beta1.RollingUpdateConfig, want func(cluster string) bindingrules.Version, leaves func(cluster string) bool,
	now time.Time) (moves, error) {
	var (
		m                                   moves
		fresh, outdated, unscheduled        []cluster
		target, bound, available, untouched int
		unavailablePeriod                   = time.Duration(*pace.UnavailablePeriodSeconds) * time.Second
		byCluster                           = func(a, b v1beta1.BindingObject) int {
			return cmp.Compare(a.BindingSpec().TargetCluster, b.BindingSpec().TargetCluster)
		}
	)
	for _, b := range slices.SortedFunc(slices.Values(bindings), byCluster) {
		if !b.GetDeletionTimestamp().IsZero() {
			continue
		}
		standing, in := standingOf(b, unavailablePeriod, now)
		if in > 0 && (m.again == 0 || in < m.again) {
			m.again = in
		}
		spec := b.BindingSpec()
		if leaves(spec.TargetCluster) {
			standing = bindingrules.Failing
		}
		switch standing {
		case bindingrules.Ready:
			available++
		case bindingrules.Untouched:
			untouched++
		}
		c := cluster{b, standing}
		switch {
		case spec.State == v1beta1.BindingStateUnscheduled:
			unscheduled = append(unscheduled, c)
			bound++
			continue
		case spec.State == v1beta1.BindingStateScheduled:
			fresh = append(fresh, c)
		case bindingrules.Holds(spec, want(spec.TargetCluster)):
			bound++
			if !bindingrules.IsRolloutStarted(b) {
				m.start = append(m.start, b)
			}
		default:
			bound++
			outdated = append(outdated, c)
		}
		target++
	}

	maxUnavailable, err := intstr.GetScaledValueFromIntOrPercent(pace.MaxUnavailable, target, true)
	if err != nil {
		return moves{}, fmt.Errorf("maxUnavailable: %w", err)
	}
	maxSurge, err := intstr.GetScaledValueFromIntOrPercent(pace.MaxSurge, target, true)
	if err != nil {
		return moves{}, fmt.Errorf("maxSurge: %w", err)
	}

	// With no budget at all nothing would ever move.
	if maxUnavailable == 0 && maxSurge == 0 {
		maxUnavailable = 1
	}
	needed := target - maxUnavailable
	enough := available >= needed
	canGo := max(0, available-needed)
	// Nothing tells of those that are untouched before they move, so that one at a time may, whatever is allowed.
	canGoUntouched := max(0, available+untouched-(target-max(1, maxUnavailable)))
	take := func(c cluster) bool {
		switch {
		case c.standing == bindingrules.Failing || c.BindingSpec().ResourceSnapshotName == "":
			// What is not available now cannot become less so.
			return true
		case c.standing == bindingrules.Undecided:
			// It may be available, which is of no account where enough others are known to be.
			return enough
		case c.standing == bindingrules.Untouched:
			if !enough && canGoUntouched <= 0 {
				return false
			}
		case canGo == 0:
			return false
		default:
			canGo--
		}
		canGoUntouched--
		return true
	}
	for _, c := range unscheduled {
		if take(c) {
			m.remove = append(m.remove, c.BindingObject)
		}
	}
	for _, c := range outdated {
		if take(c) {
			m.start = append(m.start, c.BindingObject)
		} else {
			m.held = append(m.held, c.BindingObject)
		}
	}
	canAdd := max(0, target+maxSurge-bound)
	for i, c := range fresh {
		if i < canAdd {
			m.start = append(m.start, c.BindingObject)
		} else {
			m.held = append(m.held, c.BindingObject)
		}
	}
	return m, nil
}

// standingOf returns how a cluster stands. Where its availability cannot be observed, it is undecided for a while, which is what is left of that.
func standingOf(b v1beta1.BindingObject, unavailablePeriod time.Duration, now time.Time) (bindingrules.Standing, time.Duration) {
	standing := bindingrules.StandingOf(b)
	if condition := meta.FindStatusCondition(b.BindingStatus().Conditions, v1beta1.BindingAvailable); standing == bindingrules.Ready &&
		condition != nil && condition.Reason == reasonNotTrackable {
		if rest := condition.LastTransitionTime.Add(unavailablePeriod).Sub(now); rest > 0 {
			return bindingrules.Undecided, rest
		}
	}
	return standing, 0
}

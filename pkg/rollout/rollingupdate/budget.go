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
	"github.com/stagegate/stagegate/pkg/rules/conditions"
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

// budget says which bindings may move to the version that their cluster is to hold now, so that no more than maxUnavailable clusters lack available resources
// because of it, and no more than maxSurge clusters above the target hold them.
func budget(bindings []v1beta1.BindingObject, pace *v1beta1.RollingUpdateConfig, want func(cluster string) bindingrules.Version, now time.Time) (moves, error) {
	var (
		m                            moves
		fresh, outdated, unscheduled []v1beta1.BindingObject
		target, bound, available     int
		unavailablePeriod            = time.Duration(*pace.UnavailablePeriodSeconds) * time.Second
		byCluster                    = func(a, b v1beta1.BindingObject) int {
			return cmp.Compare(a.BindingSpec().TargetCluster, b.BindingSpec().TargetCluster)
		}
		isAvailable = map[v1beta1.BindingObject]bool{}
	)
	for _, b := range slices.SortedFunc(slices.Values(bindings), byCluster) {
		if !b.GetDeletionTimestamp().IsZero() {
			continue
		}
		ready, in := countsAsAvailable(b, unavailablePeriod, now)
		if ready {
			available++
			isAvailable[b] = true
		} else if in > 0 && (m.again == 0 || in < m.again) {
			m.again = in
		}
		switch spec := b.BindingSpec(); {
		case spec.State == v1beta1.BindingStateUnscheduled:
			unscheduled = append(unscheduled, b)
			bound++
			continue
		case spec.State == v1beta1.BindingStateScheduled:
			fresh = append(fresh, b)
		case bindingrules.Holds(spec, want(spec.TargetCluster)):
			bound++
			if !bindingrules.IsRolloutStarted(b) {
				m.start = append(m.start, b)
			}
		default:
			bound++
			outdated = append(outdated, b)
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
	canGo := max(0, available-(target-maxUnavailable))
	take := func(b v1beta1.BindingObject) bool {
		// What is not available now cannot become less so.
		if !isAvailable[b] && !mayBeAvailable(b) {
			return true
		}
		if canGo == 0 {
			return false
		}
		canGo--
		return true
	}
	for _, b := range unscheduled {
		if take(b) {
			m.remove = append(m.remove, b)
		}
	}
	for _, b := range outdated {
		if take(b) {
			m.start = append(m.start, b)
		} else {
			m.held = append(m.held, b)
		}
	}
	canAdd := max(0, target+maxSurge-bound)
	m.start = append(m.start, fresh[:min(canAdd, len(fresh))]...)
	m.held = append(m.held, fresh[min(canAdd, len(fresh)):]...)
	return m, nil
}

// mayBeAvailable reports whether a cluster was restrained and has not told since how it is. All clusters of a placement are so at once, and
// what they have did not change.
func mayBeAvailable(b v1beta1.BindingObject) bool {
	started := conditions.Find(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted, b.GetGeneration())
	return started != nil && started.Message == messageRestrained && bindingrules.IsUndecided(b)
}

// countsAsAvailable reports whether a cluster is available, or else in how long it will count so without being looked at again.
func countsAsAvailable(b v1beta1.BindingObject, unavailablePeriod time.Duration, now time.Time) (bool, time.Duration) {
	if !bindingrules.IsReady(b) {
		return false, 0
	}
	condition := meta.FindStatusCondition(b.BindingStatus().Conditions, v1beta1.BindingAvailable)
	if condition == nil || condition.Reason != reasonNotTrackable {
		return true, 0
	}
	if rest := condition.LastTransitionTime.Add(unavailablePeriod).Sub(now); rest > 0 {
		return false, rest
	}
	return true, 0
}

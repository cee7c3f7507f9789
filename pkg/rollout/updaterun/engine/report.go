// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// maxReport bounds what a cluster says in the status of a run, in bytes: a run has up to 10,000 clusters.
const maxReport = 256

// report has a cluster in flight say what its binding reports. A report on what the binding asked for before does not count.
func (s *step) report(c *v1beta1.ClusterUpdatingStatus, b v1beta1.BindingObject) {
	if !s.wants(b, c) {
		s.say(c, "")
		return
	}
	s.say(c, reported(b))
}

func (s *step) say(c *v1beta1.ClusterUpdatingStatus, message string) {
	if c.Message != message {
		c.Message, s.changed = message, true
	}
}

// reported is what keeps a binding from having what it asks for: the first object that the member has trouble with, or else the step
// on the way there that failed.
func reported(b v1beta1.BindingObject) string {
	status := b.BindingStatus()
	for _, t := range []string{v1beta1.BindingOverridden, v1beta1.BindingWorkSynchronized, v1beta1.BindingApplied, v1beta1.BindingAvailable} {
		c := meta.FindStatusCondition(status.Conditions, t)
		if c == nil || c.Status != metav1.ConditionFalse || c.ObservedGeneration != b.GetGeneration() {
			continue
		}
		ofObjects := t == v1beta1.BindingApplied || t == v1beta1.BindingAvailable
		if ofObjects && len(status.FailedPlacements) > 0 {
			return shortened(failed(status.FailedPlacements), maxReport)
		}
		return shortened(c.Message, maxReport)
	}
	return ""
}

// maxRefusal bounds what a cluster's refusal takes in the condition and in the Event of a run, in bytes.
const maxRefusal = 512

// Refusal is what keeps a binding from ever having what it asks for, unless somebody does something about it, or nothing. It names the
// object, and the member's own words.
func Refusal(b v1beta1.BindingObject) string {
	status := b.BindingStatus()
	isFalseNow := func(conditionType string) *metav1.Condition {
		c := meta.FindStatusCondition(status.Conditions, conditionType)
		if c == nil || c.Status != metav1.ConditionFalse || c.ObservedGeneration != b.GetGeneration() {
			return nil
		}
		return c
	}
	if c := isFalseNow(v1beta1.BindingOverridden); c != nil {
		return shortened(c.Message, maxRefusal)
	}
	// What cannot heal comes first.
	if isFalseNow(v1beta1.BindingApplied) == nil || len(status.FailedPlacements) == 0 ||
		!wellknown.CannotHeal(status.FailedPlacements[0].Condition.Reason) {
		return ""
	}
	return shortened(failed(status.FailedPlacements), maxRefusal)
}

// remaining is what a cluster has still that is to go from it, or nothing.
func remaining(b v1beta1.BindingObject) string {
	c := meta.FindStatusCondition(b.BindingStatus().Conditions, v1beta1.BindingObjectsRemaining)
	if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != b.GetGeneration() {
		return ""
	}
	return shortened(c.Message, maxReport)
}

// Trouble is what a binding reports that somebody may have to look at, or nothing as long as all is on its way.
func Trouble(b v1beta1.BindingObject) string {
	if b.GetDeletionTimestamp() != nil {
		return remaining(b)
	}
	status := b.BindingStatus()
	unsent := meta.IsStatusConditionFalse(status.Conditions, v1beta1.BindingOverridden) ||
		meta.IsStatusConditionFalse(status.Conditions, v1beta1.BindingWorkSynchronized)
	applied := meta.FindStatusCondition(status.Conditions, v1beta1.BindingApplied)
	unreachable := applied != nil && applied.Reason == wellknown.ReasonClusterUnreachable
	if !unsent && !unreachable && len(status.FailedPlacements) == 0 {
		return ""
	}
	return reported(b)
}

func failed(placements []v1beta1.FailedResourcePlacement) string {
	first := &placements[0]
	object := first.Kind + " " + wording.Key(first.Namespace, first.Name)
	if more := len(placements) - 1; more > 0 {
		object += fmt.Sprintf(" and %s", wording.Count(more, "other object"))
	}
	return object + ": " + first.Condition.Message
}

// shortened is one line of at most so many bytes.
func shortened(message string, limit int) string {
	return wording.Shorten(strings.Join(strings.Fields(message), " "), limit)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

var outcomes = map[string]v1beta1.UpdateRunOutcome{
	reasonRunSucceeded:             v1beta1.OutcomeSucceeded,
	reasonRunSucceededWithFailures: v1beta1.OutcomeSucceededWithFailures,
	reasonRunRejected:              v1beta1.OutcomeRejected,
	reasonRunExpired:               v1beta1.OutcomeExpired,
	reasonRunRolledBack:            v1beta1.OutcomeRolledBack,
}

// outcomeOf returns how a run ended, by its conditions, and when; "" and nil for one that has not ended.
func outcomeOf(status *v1beta1.UpdateRunStatus) (v1beta1.UpdateRunOutcome, *metav1.Time) {
	if !runrules.IsOver(status) {
		return "", nil
	}
	ended := meta.FindStatusCondition(status.Conditions, v1beta1.RunSucceeded)
	if ended == nil {
		return v1beta1.OutcomeNotInitialized, &meta.FindStatusCondition(status.Conditions, v1beta1.RunInitialized).LastTransitionTime
	}
	if outcome, ok := outcomes[ended.Reason]; ok {
		return outcome, &ended.LastTransitionTime
	}
	return v1beta1.OutcomeFailed, &ended.LastTransitionTime
}

// conclude has the status say how the run ended, and when. One that ended before statuses said so is told as well.
func (s *step) conclude() {
	outcome, at := outcomeOf(&s.status)
	if s.status.Outcome != outcome || !equality.Semantic.DeepEqual(s.status.EndTime, at) {
		s.status.Outcome, s.status.EndTime, s.changed = outcome, at.DeepCopy(), true
	}
}

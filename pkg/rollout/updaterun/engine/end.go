// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// succeed ends a run whose stages are all over.
func (s *step) succeed() {
	s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionFalse, reasonRunSucceeded, messageRunDone)
	reason, message := reasonRunSucceeded, messageRunSucceeded
	var skipped []*v1beta1.ClusterUpdatingStatus
	failed := map[*phrases][]string{}
	for _, stage := range runrules.Stages(&s.status) {
		if names := runrules.Names(runrules.Clusters(stage, runrules.WasGivenUp)); len(names) > 0 {
			failed[s.ofStage(stage)] = append(failed[s.ofStage(stage)], names...)
		}
		skipped = append(skipped, runrules.Clusters(stage, runrules.IsLeftOutAsAsked)...)
	}
	withFailures := len(failed)+len(skipped) > 0
	if withFailures {
		reason, message = reasonRunSucceededWithFailures, messageRunDone
	}
	if runrules.RunCompares(&s.status) {
		message += ", " + compared(slices.DeleteFunc(s.planned(), func(c *v1beta1.ClusterUpdatingStatus) bool { return !runrules.HasSucceeded(c) }))
	}
	if left := s.leftOut(); !withFailures && len(left) > 0 {
		message += ", with skipped clusters: " + wording.FirstNames(left)
	}
	for _, p := range []*phrases{&updating, &comparing} {
		if names := failed[p]; len(names) > 0 {
			message += fmt.Sprintf(", %s %s: %s", wording.Count(len(names), "cluster"), p.failed, wording.FirstNames(names))
		}
	}
	if len(skipped) > 0 {
		message += fmt.Sprintf(", %s skipped as asked: %s", wording.Count(len(skipped), "cluster"), wording.FirstNames(runrules.Names(skipped)))
	}
	s.setRunCondition(v1beta1.RunSucceeded, metav1.ConditionTrue, reason, message)
	s.release()
	if withFailures {
		s.warn(eventSucceeded, message)
	} else {
		s.event(eventSucceeded, message)
	}
}

// leftOut are the names of clusters that the run has not updated, as they had left the fleet or the placement.
func (s *step) leftOut() []string {
	var names []string
	for i := range s.status.StagesStatus {
		names = append(names, runrules.Names(runrules.Clusters(&s.status.StagesStatus[i], runrules.IsLeftOut))...)
	}
	return names
}

// fail ends a run for good.
func (s *step) fail(message string) {
	s.end(reasonRunFailed, messageRunFailed, message)
	s.warn(eventFailed, message)
}

// reject ends a run because somebody decided so.
func (s *step) reject(stage *v1beta1.StageUpdatingStatus, taskType string, decision *v1beta1.ApprovalDecision) {
	message := fmt.Sprintf("The updateRun was rejected by %s %s stage %s%s", decision.User.Username, side(taskType), stage.StageName, quoted(decision.Comment))
	s.end(reasonRunRejected, message, message)
	s.warn(eventRejected, message).User = decision.User.Username
}

// expire ends a run that was not approved in time: what it would go on with was planned long ago.
func (s *step) expire(stage *v1beta1.StageUpdatingStatus, taskType string, request v1beta1.ApprovalRequestObject, expiry time.Time, missing string) {
	message := fmt.Sprintf("The updateRun was not approved %s stage %s until %s: %s %s has %s; create a new run",
		side(taskType), stage.StageName, expiry.UTC().Format(time.RFC3339), runrules.RequestKind(request), request.GetName(), missing)
	s.end(reasonRunExpired, message, message)
	s.warn(eventExpired, message)
}

// side says on which side of its stage a task stands.
func side(taskType string) string {
	if taskType == wellknown.BeforeStageTask {
		return "before"
	}
	return "after"
}

// end records that the run did not succeed, on the stage that it was in as well. What was moved stays moved.
func (s *step) end(reason, progressing, message string) {
	if s.status.DeletionStageStatus != nil {
		if stage := s.current(); stage.StartTime != nil && !runrules.IsStageOver(stage) {
			s.setTime(&stage.EndTime)
			s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageFailed, s.ofStage(stage).stageFailed)
			s.setStage(stage, v1beta1.StageSucceeded, metav1.ConditionFalse, reasonStageFailed, message)
		}
	}
	s.setRunCondition(v1beta1.RunProgressing, metav1.ConditionFalse, reason, progressing)
	s.setRunCondition(v1beta1.RunSucceeded, metav1.ConditionFalse, reason, message)
	s.release()
	s.decision = Decision{Events: s.decision.Events}
}

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

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// setCondition replaces the list by one with the condition and says whether anything changed. It never writes to the old list,
// which belongs to the run as stored.
func setCondition(conditions *[]metav1.Condition, next metav1.Condition) bool {
	changed := slices.Clone(*conditions)
	if !meta.SetStatusCondition(&changed, next) {
		return false
	}
	*conditions = changed
	return true
}

// setRunCondition sets a condition of the run itself.
func (s *step) setRunCondition(conditionType string, status metav1.ConditionStatus, reason, message string) {
	s.set(&s.status.Conditions, conditionType, status, reason, message)
}

func (s *step) set(conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string) {
	if setCondition(conditions, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		Message:            bounded(message),
		ObservedGeneration: s.run.GetGeneration(),
		LastTransitionTime: metav1.NewTime(s.now),
	}) {
		s.changed = true
	}
}

// maxMessage is how long the message of a condition may be, in bytes. The server takes no longer ones, and a status that it does not
// take would never be written.
const maxMessage = 32 << 10

func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return shortened(message, maxMessage)
}

// observe brings the observed generation of every condition to that of the run: a change of state makes nothing outdated.
func (s *step) observe() {
	generation := s.run.GetGeneration()
	initialized := meta.FindStatusCondition(s.status.Conditions, v1beta1.RunInitialized)
	if initialized == nil || initialized.ObservedGeneration == generation {
		return
	}
	s.changed = true
	s.status.Conditions = observed(s.status.Conditions, generation)
	stages := []*v1beta1.StageUpdatingStatus{s.deletionStage()}
	for i := range s.status.StagesStatus {
		stages = append(stages, s.stage(i))
	}
	for _, stage := range stages {
		stage.Conditions = observed(stage.Conditions, generation)
		for i := range stage.Clusters {
			stage.Clusters[i].Conditions = observed(stage.Clusters[i].Conditions, generation)
		}
		for _, tasks := range [][]v1beta1.StageTaskStatus{stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus} {
			for i := range tasks {
				tasks[i].Conditions = observed(tasks[i].Conditions, generation)
			}
		}
	}
}

func observed(conditions []metav1.Condition, generation int64) []metav1.Condition {
	if len(conditions) == 0 {
		return conditions
	}
	next := slices.Clone(conditions)
	for i := range next {
		next[i].ObservedGeneration = generation
	}
	return next
}

func isTrue(conditions []metav1.Condition, conditionType string) bool {
	return meta.IsStatusConditionTrue(conditions, conditionType)
}

func has(conditions []metav1.Condition, conditionType string) bool {
	return meta.FindStatusCondition(conditions, conditionType) != nil
}

func reasonOf(conditions []metav1.Condition, conditionType string) string {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil {
		return c.Reason
	}
	return ""
}

func timeOf(conditions []metav1.Condition, conditionType string) time.Time {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// operate acts on what users have asked of the run since it was looked at last. The server has recorded it in the history, and refused
// what made no sense then; what makes none any more has no effect. Stop and resume are in the state of the run.
func (s *step) operate() {
	for _, entry := range s.status.History {
		if !runrules.IsOpen(&s.status, &entry) {
			continue
		}
		put(&s.draft, &s.status.ObservedOperation, entry.Number)
		s.decision.Events = append(s.decision.Events, Event{Reason: entry.Reason, Message: asked(&entry)})
		switch {
		case entry.Operation == v1beta1.OperationRollback:
			s.rollBackAsAsked(&entry)
		case runrules.IsOver(&s.status):
		case entry.Operation == v1beta1.OperationSkip:
			s.skip(&entry)
		case entry.Operation == v1beta1.OperationRetry:
			s.retry(&entry)
		}
	}
}

// asked is a sentence about an operation.
func asked(entry *v1beta1.UpdateRunHistoryEntry) string {
	what := "the run"
	switch {
	case entry.Task != "":
		what = fmt.Sprintf("the %s after stage %s", entry.Task, entry.Stage)
	case entry.Stage != "":
		what = "stage " + entry.Stage
	case len(entry.Clusters) == 1:
		what = "cluster " + entry.Clusters[0]
	case len(entry.Clusters) > 1:
		what = "clusters " + wording.FirstNames(entry.Clusters)
	case entry.Operation == v1beta1.OperationRetry:
		what = "all failed clusters"
	}
	verb := strings.ToLower(string(entry.Operation))
	if entry.Operation == v1beta1.OperationRollback {
		verb = "roll back"
	}
	return fmt.Sprintf("%s asked to %s %s%s", entry.User, verb, what, quoted(entry.Message))
}

// by says who asked for an operation, and why.
func by(entry *v1beta1.UpdateRunHistoryEntry) string {
	return "by " + entry.User + quoted(entry.Message)
}

// skip leaves out clusters, what is left of a stage, or the wait after it. It opens no approval: whoever may skip may not approve.
func (s *step) skip(entry *v1beta1.UpdateRunHistoryEntry) {
	s.eachOpenStage(func(stage *v1beta1.StageUpdatingStatus) {
		named := stage.StageName == entry.Stage
		if named {
			s.skipWait(stage, entry)
		}
		for i := range stage.Clusters {
			if c := &stage.Clusters[i]; slices.Contains(entry.Clusters, c.ClusterName) || named && entry.Task == "" {
				s.skipAsAsked(c, entry)
			}
		}
	})
}

// skipAsAsked leaves a cluster out. One that has failed does not become one that has not.
func (s *step) skipAsAsked(c *v1beta1.ClusterUpdatingStatus, entry *v1beta1.UpdateRunHistoryEntry) {
	switch done := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded); {
	case done == nil:
		s.say(c, "")
		s.set(&c.Conditions, v1beta1.ClusterSucceeded, metav1.ConditionTrue, reasonClusterSkipped, runrules.MessageLeftOutAsAsked+by(entry))
	case runrules.HasFailed(c):
		s.set(&c.Conditions, v1beta1.ClusterSucceeded, metav1.ConditionFalse, reasonClusterFailureSkipped, done.Message+"; skipped "+by(entry))
	}
}

// skipWait passes over the timed wait after a stage.
func (s *step) skipWait(stage *v1beta1.StageUpdatingStatus, entry *v1beta1.UpdateRunHistoryEntry) {
	for i := range stage.AfterStageTaskStatus {
		task := &stage.AfterStageTaskStatus[i]
		if task.Type == v1beta1.StageTaskTypeTimedWait && !isTrue(task.Conditions, v1beta1.TaskWaitTimeElapsed) {
			s.set(&task.Conditions, v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, reasonWaitSkipped, "Wait time skipped "+by(entry))
		}
	}
}

// retry has clusters of the current stage that were given up updated once more, with what the run rolls out.
func (s *step) retry(entry *v1beta1.UpdateRunHistoryEntry) {
	stage := s.current()
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if !runrules.HasFailed(c) || len(entry.Clusters) > 0 && !slices.Contains(entry.Clusters, c.ClusterName) {
			continue
		}
		s.reset(stage, c)
	}
}

// event tells of what happened, on the hub and in the history of the run. The entry is the caller's to complete, until the next one.
func (s *step) event(reason, message string) *v1beta1.UpdateRunHistoryEntry {
	s.decision.Events = append(s.decision.Events, Event{Reason: reason, Message: message})
	return s.record(reason, message)
}

// warn is event for what somebody should look at.
func (s *step) warn(reason, message string) *v1beta1.UpdateRunHistoryEntry {
	s.decision.Events = append(s.decision.Events, Event{Warning: true, Reason: reason, Message: message})
	return s.record(reason, message)
}

// warnOf is warn for a single cluster. Of very many at one look, the first have an entry of the history each, and the last of these names the
// others: they would push out what happened before.
func (s *step) warnOf(cluster, reason, message string) {
	entries, last := 0, (*v1beta1.UpdateRunHistoryEntry)(nil)
	for i := range s.status.History[s.before:] {
		if entry := &s.status.History[s.before+i]; entry.Reason == reason && entry.Stage == s.at && len(entry.Clusters) > 0 {
			entries, last = entries+1, entry
		}
	}
	if entries < maxSingle {
		s.warn(reason, message).Clusters = []string{cluster}
		return
	}
	s.decision.Events = append(s.decision.Events, Event{Warning: true, Reason: reason, Message: message})
	if len(last.Clusters) < maxNamed {
		last.Clusters = append(last.Clusters, cluster)
	}
}

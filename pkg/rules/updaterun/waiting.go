// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// WaitingFor names what holds a run up: another run, failed clusters, an approval, a timed wait with what is left of it, or a cluster with its
// message. It is empty where nothing does. A run that is stopping waits for its clusters only.
func WaitingFor(o v1beta1.UpdateRunObject, now time.Time) string {
	status := o.RunStatus()
	stage := EnteredStage(status)
	switch state := o.RunSpec().State; {
	case stage == nil || state == v1beta1.StateInitialize:
		return ""
	case state == v1beta1.StateStop:
		if c := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing); c == nil || c.Status == metav1.ConditionFalse {
			return ""
		}
		return clustersInFlight(stage)
	}
	if turn := status.Turn; turn != nil && turn.State == v1beta1.TurnWaiting {
		return "run " + turn.WaitingFor
	}
	if IsPaused(status) {
		return pausedBy(stage)
	}
	if tasks := openTasks(status, stage, now); len(tasks) > 0 {
		return strings.Join(tasks, ", ")
	}
	return cmp.Or(clustersInFlight(stage), waitsOutside(status))
}

// waitsOutside names what a run waits for that is in none of its stages, as its condition has it.
func waitsOutside(status *v1beta1.UpdateRunStatus) string {
	progressing := meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
	if progressing == nil || progressing.Status != metav1.ConditionFalse {
		return ""
	}
	what, found := strings.CutPrefix(progressing.Message, "The updateRun is waiting for ")
	if !found {
		return ""
	}
	what, _, _ = strings.Cut(what, ": ")
	return what
}

// pausedBy names up to three of the clusters whose failure pauses a run, and the number of all.
func pausedBy(stage *v1beta1.StageUpdatingStatus) string {
	failed := Names(FailedClusters(stage))
	if len(failed) == 0 {
		return "paused"
	}
	noun := "clusters"
	if len(failed) == 1 {
		noun = "cluster"
	}
	return fmt.Sprintf("paused: %d %s failed: %s", len(failed), noun, wording.First(failed, 3))
}

// clustersInFlight names one cluster that is being updated, preferably one with a message, and the number of others.
func clustersInFlight(stage *v1beta1.StageUpdatingStatus) string {
	var first *v1beta1.ClusterUpdatingStatus
	n := 0
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		// A cluster that was not started has a message where the run cannot start it.
		if IsClusterDone(c) || !IsStarted(c) && c.Message == "" {
			continue
		}
		if n++; first == nil || first.Message == "" && c.Message != "" {
			first = c
		}
	}
	if first == nil {
		return ""
	}
	text := "cluster " + first.ClusterName
	if n > 1 {
		text += fmt.Sprintf(" and %d more", n-1)
	}
	if first.Message != "" {
		text += ": " + first.Message
	}
	return text
}

// openTasks describes the tasks that a stage waits for.
func openTasks(status *v1beta1.UpdateRunStatus, stage *v1beta1.StageUpdatingStatus, now time.Time) []string {
	var texts []string
	for _, task := range OpenTasks(stage) {
		switch task.Type {
		case v1beta1.StageTaskTypeApproval:
			text := "approval: " + task.ApprovalRequestName
			if approved := meta.FindStatusCondition(task.Conditions, v1beta1.TaskApprovalRequestApproved); approved != nil {
				text += fmt.Sprintf(" (%s)", approved.Message)
			}
			texts = append(texts, text)
		case v1beta1.StageTaskTypeTimedWait:
			text := "wait"
			if end, known := WaitEnd(status, stage); known {
				text = fmt.Sprintf("wait: %s left", duration.HumanDuration(max(end.Sub(now), 0)))
			}
			texts = append(texts, text)
		}
	}
	return texts
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// waitingFor names what keeps a run from going on: another run, somebody to look after clusters that have failed, an approval, a time,
// or a cluster with what it reports. A run that is told to stop waits for its clusters alone.
func waitingFor(o v1beta1.UpdateRunObject) string {
	status := o.RunStatus()
	stage := currentStage(status)
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
	if runrules.IsPaused(status) {
		return pausedBy(stage)
	}
	// Nobody has to approve any more that clusters are moved which are all done, or skipped. A stage without clusters is come to for
	// its tasks alone.
	tasks := openTasks(stage, stage.BeforeStageTaskStatus, nil)
	if runrules.AreClustersDone(stage) && (len(stage.Clusters) > 0 || len(tasks) == 0) {
		tasks = openTasks(stage, stage.AfterStageTaskStatus, afterStageTasks(status, stage.StageName))
	}
	if len(tasks) > 0 {
		return strings.Join(tasks, ", ")
	}
	return clustersInFlight(stage)
}

// pausedBy names up to three clusters for which a run is paused, and the number of all.
func pausedBy(stage *v1beta1.StageUpdatingStatus) string {
	failed := runrules.Names(runrules.FailedClusters(stage))
	if len(failed) == 0 {
		return "paused"
	}
	noun := "clusters"
	if len(failed) == 1 {
		noun = "cluster"
	}
	return fmt.Sprintf("paused: %d %s failed: %s", len(failed), noun, wording.First(failed, 3))
}

// clustersInFlight names one cluster that is being updated, if possible one that reports what is wrong, and the number of others.
func clustersInFlight(stage *v1beta1.StageUpdatingStatus) string {
	var first *v1beta1.ClusterUpdatingStatus
	n := 0
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if !runrules.IsInFlight(c) {
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

// afterStageTasks are the tasks after a stage as the run's strategy has them.
func afterStageTasks(status *v1beta1.UpdateRunStatus, stage string) []v1beta1.StageTask {
	if status.UpdateStrategySnapshot == nil {
		return nil
	}
	for i := range status.UpdateStrategySnapshot.Stages {
		if config := &status.UpdateStrategySnapshot.Stages[i]; config.Name == stage {
			return config.AfterStageTasks
		}
	}
	return nil
}

// openTasks are the tasks that are not done. The configuration tells how long a timed wait lasts.
func openTasks(stage *v1beta1.StageUpdatingStatus, tasks []v1beta1.StageTaskStatus, configs []v1beta1.StageTask) []string {
	var texts []string
	for i := range tasks {
		task := &tasks[i]
		switch task.Type {
		case v1beta1.StageTaskTypeApproval:
			approved := meta.FindStatusCondition(task.Conditions, v1beta1.TaskApprovalRequestApproved)
			switch {
			case approved == nil:
				texts = append(texts, "approval: "+task.ApprovalRequestName)
			case approved.Status != metav1.ConditionTrue:
				texts = append(texts, fmt.Sprintf("approval: %s (%s)", task.ApprovalRequestName, approved.Message))
			}
		case v1beta1.StageTaskTypeTimedWait:
			if meta.IsStatusConditionTrue(task.Conditions, v1beta1.TaskWaitTimeElapsed) {
				continue
			}
			text := "wait"
			if i < len(configs) && configs[i].WaitTime != nil && stage.UpdatedTime != nil {
				left := time.Until(stage.UpdatedTime.Add(configs[i].WaitTime.Duration))
				text = fmt.Sprintf("wait: %s left", duration.HumanDuration(max(left, 0)))
			}
			texts = append(texts, text)
		}
	}
	return texts
}

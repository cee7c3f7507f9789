// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// check returns an error, for the user, if the state of the run does not allow an operation. If the same user has asked for it already,
// check returns the record of that. It is not called for runs that are being deleted nor, except for a rollback, for runs that are over.
type check func(run v1beta1.UpdateRunObject, asked *v1beta1.UpdateRunOperationSpec, asker string) (stored *v1beta1.UpdateRunHistoryEntry, why error)

var checks = map[v1beta1.OperationType]check{
	v1beta1.OperationStop:     checkStop,
	v1beta1.OperationResume:   checkResume,
	v1beta1.OperationSkip:     checkSkip,
	v1beta1.OperationRetry:    checkRetry,
	v1beta1.OperationRollback: checkRollback,
}

var errNotInitialized = errors.New("the run is not initialized")

func checkStop(run v1beta1.UpdateRunObject, _ *v1beta1.UpdateRunOperationSpec, asker string) (*v1beta1.UpdateRunHistoryEntry, error) {
	switch run.RunSpec().State {
	case v1beta1.StateRun:
		return nil, nil
	case v1beta1.StateStop:
		changed := last(run.RunStatus(), isStateChange)
		if changed == nil || changed.Operation != v1beta1.OperationStop {
			return nil, errors.New("the run is stopped already")
		}
		return repeated(changed, asker, "stopped")
	}
	return nil, errors.New("the run is not started")
}

// checkResume tells a user who resumes a paused run that it waits for failed clusters, not for a resume.
func checkResume(run v1beta1.UpdateRunObject, _ *v1beta1.UpdateRunOperationSpec, asker string) (*v1beta1.UpdateRunHistoryEntry, error) {
	switch run.RunSpec().State {
	case v1beta1.StateStop:
		return nil, nil
	case v1beta1.StateRun:
		changed := last(run.RunStatus(), isStateChange)
		switch {
		case runrules.IsPaused(run.RunStatus()):
			return nil, errors.New("the run is not stopped, it is paused: retry or skip the clusters that have failed")
		case changed != nil && changed.Operation == v1beta1.OperationResume:
			return repeated(changed, asker, "resumed")
		}
		return nil, errors.New("the run is running")
	}
	return nil, errors.New("the run is not started: set spec.state to Run")
}

func checkSkip(run v1beta1.UpdateRunObject, asked *v1beta1.UpdateRunOperationSpec, _ string) (*v1beta1.UpdateRunHistoryEntry, error) {
	status := run.RunStatus()
	switch {
	case !runrules.IsPlanned(status):
		return nil, errNotInitialized
	case asked.Stage == "":
		return nil, checkClusters(status, asked.Clusters, skippable)
	}
	for _, stage := range runrules.Stages(status) {
		if stage.StageName == asked.Stage {
			return nil, checkSkipOfStage(stage, asked.Task)
		}
	}
	return nil, fmt.Errorf("the run has no stage %s", asked.Stage)
}

func checkSkipOfStage(stage *v1beta1.StageUpdatingStatus, task v1beta1.StageTaskType) error {
	switch {
	case runrules.IsStageOver(stage):
		return fmt.Errorf("stage %s is over", stage.StageName)
	case task == "":
		return nil
	}
	for i := range stage.AfterStageTaskStatus {
		if after := &stage.AfterStageTaskStatus[i]; after.Type == task {
			if meta.IsStatusConditionTrue(after.Conditions, v1beta1.TaskWaitTimeElapsed) {
				return fmt.Errorf("the timed wait after stage %s is over", stage.StageName)
			}
			return nil
		}
	}
	return fmt.Errorf("there is no timed wait after stage %s", stage.StageName)
}

func checkRetry(run v1beta1.UpdateRunObject, asked *v1beta1.UpdateRunOperationSpec, _ string) (*v1beta1.UpdateRunHistoryEntry, error) {
	status := run.RunStatus()
	switch {
	case !runrules.IsPlanned(status):
		return nil, errNotInitialized
	case len(asked.Clusters) > 0:
		return nil, checkClusters(status, asked.Clusters, retriable)
	}
	for _, stage := range runrules.Stages(status) {
		if runrules.IsStageOver(stage) {
			continue
		}
		if len(runrules.FailedClusters(stage)) == 0 {
			return nil, fmt.Errorf("no cluster in stage %s has failed", stage.StageName)
		}
		return nil, nil
	}
	return nil, errors.New("all stages are over")
}

// checkClusters returns the error of rule for the first of the clusters that has one.
func checkClusters(status *v1beta1.UpdateRunStatus, names []string, rule func(*v1beta1.StageUpdatingStatus, *v1beta1.ClusterUpdatingStatus) error) error {
	for _, name := range names {
		stage, cluster := runrules.FindCluster(status, name)
		if cluster == nil {
			return fmt.Errorf("cluster %s is not a target of the run", name)
		}
		if err := rule(stage, cluster); err != nil {
			return err
		}
	}
	return nil
}

func skippable(stage *v1beta1.StageUpdatingStatus, cluster *v1beta1.ClusterUpdatingStatus) error {
	switch {
	case runrules.IsSkipped(cluster):
		return fmt.Errorf("cluster %s is skipped already", cluster.ClusterName)
	case meta.IsStatusConditionTrue(cluster.Conditions, v1beta1.ClusterSucceeded):
		return fmt.Errorf("cluster %s is updated already", cluster.ClusterName)
	case runrules.IsStageOver(stage):
		return fmt.Errorf("stage %s, which cluster %s is in, is over", stage.StageName, cluster.ClusterName)
	}
	return nil
}

func retriable(stage *v1beta1.StageUpdatingStatus, cluster *v1beta1.ClusterUpdatingStatus) error {
	switch {
	case !runrules.HasFailed(cluster):
		return fmt.Errorf("cluster %s has not failed", cluster.ClusterName)
	case runrules.IsStageOver(stage):
		return fmt.Errorf("cluster %s has failed in stage %s, which is over: create a new run", cluster.ClusterName, stage.StageName)
	}
	return nil
}

// checkRollback allows one rollback of a run that has moved a cluster from one version to another, whether the run is over or not.
func checkRollback(run v1beta1.UpdateRunObject, _ *v1beta1.UpdateRunOperationSpec, asker string) (*v1beta1.UpdateRunHistoryEntry, error) {
	status := run.RunStatus()
	asked := last(status, is(v1beta1.OperationRollback))
	switch {
	case !runrules.IsPlanned(status):
		return nil, errNotInitialized
	case status.RolledBackBy != nil && asked == nil:
		return nil, fmt.Errorf("already rolled back by run %s", status.RolledBackBy.Name)
	case status.RolledBackBy != nil:
		return repeated(asked, asker, fmt.Sprintf("rolled back by run %s, asked for", status.RolledBackBy.Name))
	case asked != nil && runrules.IsOpen(status, asked):
		return repeated(asked, asker, "asked for")
	}
	if runrules.TakesBack(status) {
		return nil, nil
	}
	if compared := runrules.OnlyCompared(status); len(compared) > 0 {
		return nil, errors.New(runrules.MessageOnlyCompared(compared[0]))
	}
	return nil, errors.New("the run has moved no cluster from another version: there is nothing to roll back")
}

// repeated returns the record if the same user asks again. Another user gets an error that names the first one.
func repeated(entry *v1beta1.UpdateRunHistoryEntry, asker, done string) (*v1beta1.UpdateRunHistoryEntry, error) {
	if entry.User == asker {
		return entry, nil
	}
	return nil, fmt.Errorf("already %s by %s at %s", done, entry.User, entry.Time.UTC().Format(time.RFC3339))
}

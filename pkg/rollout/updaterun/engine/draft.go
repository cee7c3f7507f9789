// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

const (
	// maxHistory is how many entries the history of a run keeps.
	maxHistory = 100
	// maxEntry bounds what an entry says, in bytes: as much as the reason that a user can give.
	maxEntry = 1024
	// maxSingle is how many clusters have an entry of their own for what happens to them at one look.
	maxSingle = 10
	// maxNamed is how many clusters an entry of the history names.
	maxNamed = 100
)

// draft is the next status of a run. It begins as the stored one and shares with it what is not changed: its methods copy what they are to
// change, and note that there is something to write. Nothing else writes to a status, but what completes an entry that they have added to
// the history.
type draft struct {
	now        time.Time
	generation int64

	status  v1beta1.UpdateRunStatus
	changed bool
	// owned has the stages that are copies, the delete stage last.
	owned []bool
	// at is the stage that is looked at, empty for none, and before how long the history was.
	at     string
	before int
}

func newDraft(run v1beta1.UpdateRunObject, now time.Time) draft {
	d := draft{now: now, generation: run.GetGeneration(), status: *run.RunStatus()}
	d.status.StagesStatus = slices.Clone(d.status.StagesStatus)
	d.owned = make([]bool, len(d.status.StagesStatus)+1)
	d.before = len(d.status.History)
	return d
}

// written returns the status to write, nil where it is as stored.
func (d *draft) written() *v1beta1.UpdateRunStatus {
	if !d.changed {
		return nil
	}
	return &d.status
}

// replace puts a status in the place of the whole.
func (d *draft) replace(status v1beta1.UpdateRunStatus) {
	d.status, d.changed = status, true
}

// stage returns a stage that may be changed.
func (d *draft) stage(i int) *v1beta1.StageUpdatingStatus {
	stage := &d.status.StagesStatus[i]
	if !d.owned[i] {
		d.owned[i] = true
		own(stage)
	}
	return stage
}

// deletionStage returns the delete stage as one that may be changed.
func (d *draft) deletionStage() *v1beta1.StageUpdatingStatus {
	if last := len(d.owned) - 1; !d.owned[last] {
		d.owned[last] = true
		stage := *d.status.DeletionStageStatus
		own(&stage)
		d.status.DeletionStageStatus = &stage
	}
	return d.status.DeletionStageStatus
}

func own(stage *v1beta1.StageUpdatingStatus) {
	stage.Clusters = slices.Clone(stage.Clusters)
	stage.BeforeStageTaskStatus = slices.Clone(stage.BeforeStageTaskStatus)
	stage.AfterStageTaskStatus = slices.Clone(stage.AfterStageTaskStatus)
}

// current returns the first stage that is not over, the delete stage included, as one that may be changed.
func (d *draft) current() *v1beta1.StageUpdatingStatus {
	for i := range d.status.StagesStatus {
		if !runrules.IsStageOver(&d.status.StagesStatus[i]) {
			return d.stage(i)
		}
	}
	return d.deletionStage()
}

// eachOpenStage calls f for every stage that is not over, the delete stage included. f may change it.
func (d *draft) eachOpenStage(f func(*v1beta1.StageUpdatingStatus)) {
	for i := range d.status.StagesStatus {
		if !runrules.IsStageOver(&d.status.StagesStatus[i]) {
			f(d.stage(i))
		}
	}
	f(d.deletionStage())
}

// put sets a field.
func put[T comparable](d *draft, field *T, value T) {
	if *field != value {
		*field, d.changed = value, true
	}
}

// putAt sets a field that is a pointer, by what it points to.
func putAt[T comparable](d *draft, field **T, value T) {
	if *field == nil || **field != value {
		*field, d.changed = &value, true
	}
}

// setTime sets a time once.
func (d *draft) setTime(t **metav1.Time) {
	if *t == nil {
		now := metav1.NewTime(d.now)
		*t, d.changed = &now, true
	}
}

// clustersDone records when the last cluster of a stage was done.
func (d *draft) clustersDone(stage *v1beta1.StageUpdatingStatus) {
	now := metav1.NewMicroTime(d.now)
	stage.UpdatedTime, d.changed = &now, true
}

// planBefore gives a stage the tasks before it.
func (d *draft) planBefore(stage *v1beta1.StageUpdatingStatus, tasks []v1beta1.StageTaskStatus) {
	stage.BeforeStageTaskStatus, d.changed = tasks, true
}

// restart has a cluster in flight count as started now.
func (d *draft) restart(c *v1beta1.ClusterUpdatingStatus) {
	c.Conditions = slices.Clone(c.Conditions)
	meta.FindStatusCondition(c.Conditions, v1beta1.ClusterStarted).LastTransitionTime = metav1.NewTime(d.now)
	d.changed = true
}

// reset has a cluster be one that was never started, in a stage that is not done with its clusters: a wait after it counts from the last of
// them.
func (d *draft) reset(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) {
	c.Conditions, stage.UpdatedTime, d.changed = nil, nil, true
	for j := range stage.AfterStageTaskStatus {
		task := &stage.AfterStageTaskStatus[j]
		task.Conditions = slices.DeleteFunc(slices.Clone(task.Conditions), func(c metav1.Condition) bool {
			return c.Type == v1beta1.TaskWaitTimeElapsed && c.Reason == reasonWaitElapsed
		})
	}
}

// setRunCondition sets a condition of the run itself.
func (d *draft) setRunCondition(conditionType string, status metav1.ConditionStatus, reason, message string) {
	d.set(&d.status.Conditions, conditionType, status, reason, message)
}

// setStage sets a condition of a stage.
func (d *draft) setStage(stage *v1beta1.StageUpdatingStatus, conditionType string, status metav1.ConditionStatus, reason, message string) {
	d.set(&stage.Conditions, conditionType, status, reason, message)
}

// set replaces a list of conditions by one with the condition. The old list belongs to the run as stored.
func (d *draft) set(conditions *[]metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string) {
	next := slices.Clone(*conditions)
	if meta.SetStatusCondition(&next, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		Message:            bounded(message),
		ObservedGeneration: d.generation,
		LastTransitionTime: metav1.NewTime(d.now),
	}) {
		*conditions, d.changed = next, true
	}
}

// maxMessage is how long the message of a condition may be, in bytes. The server takes no longer ones, and a status that it does not
// take would never be written.
const maxMessage = 32 << 10

func bounded(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return wording.OneLine(message, maxMessage)
}

// conclude has the status say how the run ended, and when. One that ended before statuses said so is told as well.
func (d *draft) conclude() {
	outcome, at := outcomeOf(&d.status)
	put(d, &d.status.Outcome, outcome)
	if !d.status.EndTime.Equal(at) {
		d.status.EndTime, d.changed = at.DeepCopy(), true
	}
}

// observe brings the observed generation of every condition to that of the run: a change of state makes nothing outdated.
func (d *draft) observe() {
	initialized := meta.FindStatusCondition(d.status.Conditions, v1beta1.RunInitialized)
	if initialized == nil || initialized.ObservedGeneration == d.generation {
		return
	}
	d.changed = true
	d.status.Conditions = observed(d.status.Conditions, d.generation)
	stages := []*v1beta1.StageUpdatingStatus{d.deletionStage()}
	for i := range d.status.StagesStatus {
		stages = append(stages, d.stage(i))
	}
	for _, stage := range stages {
		stage.Conditions = observed(stage.Conditions, d.generation)
		for i := range stage.Clusters {
			stage.Clusters[i].Conditions = observed(stage.Clusters[i].Conditions, d.generation)
		}
		for _, tasks := range [][]v1beta1.StageTaskStatus{stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus} {
			for i := range tasks {
				tasks[i].Conditions = observed(tasks[i].Conditions, d.generation)
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

// record adds an entry to the history.
func (d *draft) record(reason, message string) *v1beta1.UpdateRunHistoryEntry {
	number := int64(1)
	if n := len(d.status.History); n > 0 {
		number = d.status.History[n-1].Number + 1
	}
	// What the run had before belongs to the run as stored.
	d.status.History = append(slices.Clip(d.status.History), v1beta1.UpdateRunHistoryEntry{
		Number: number, Time: metav1.NewTime(d.now), Reason: reason, Stage: d.at, Message: wording.OneLine(runrules.Plainly(message), maxEntry),
	})
	d.changed = true
	return &d.status.History[len(d.status.History)-1]
}

// trimHistory drops the oldest entries where there are too many, those of users last, and none that the run has yet to act on.
func (d *draft) trimHistory() {
	history, excess := d.status.History, len(d.status.History)-maxHistory
	for _, droppable := range []func(*v1beta1.UpdateRunHistoryEntry) bool{
		func(e *v1beta1.UpdateRunHistoryEntry) bool { return e.User == "" },
		func(e *v1beta1.UpdateRunHistoryEntry) bool { return !runrules.IsOpen(&d.status, e) },
	} {
		if excess <= 0 {
			return
		}
		var kept []v1beta1.UpdateRunHistoryEntry
		for i := range history {
			// The newest one has the number that the next one is counted from.
			if excess > 0 && i < len(history)-1 && droppable(&history[i]) {
				excess--
				continue
			}
			kept = append(kept, history[i])
		}
		history = kept
		d.status.History, d.changed = kept, true
	}
}

func isTrue(conditions []metav1.Condition, conditionType string) bool {
	return meta.IsStatusConditionTrue(conditions, conditionType)
}

// progressReason is the reason of the condition Progressing of a run or a stage, empty where there is none.
func progressReason(conditions []metav1.Condition) string {
	if c := meta.FindStatusCondition(conditions, v1beta1.RunProgressing); c != nil {
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

// recordPrevious keeps what a cluster had before its update, for a rollback: what its Works held, and not what another run asked for that never
// came to them. A retry is no other version to go back to. Where the run applies what a cluster was only compared with, the cluster had what was
// last applied to it.
func (d *draft) recordPrevious(c *v1beta1.ClusterUpdatingStatus, run v1beta1.UpdateRunObject, b v1beta1.BindingObject) {
	if c.PreviousResourceSnapshotIndex != nil {
		return
	}
	had, _ := bindingrules.Previous(b)
	if bindingrules.Compares(had.ApplyStrategy) {
		c.PreviousApplyType = v1beta1.ApplyStrategyTypeReportDiff
		if applied, known := bindingrules.LastApplied(b); known && !bindingrules.Compares(d.status.ApplyStrategy) {
			had, c.PreviousApplyType = applied, ""
		}
	}
	index := snapshotIndex(run, had.ResourceSnapshot)
	c.PreviousResourceSnapshotIndex = &index
	c.PreviousClusterResourceOverrideSnapshots = had.ClusterOverrides
	c.PreviousResourceOverrideSnapshots = had.Overrides
	if way := had.ApplyStrategy.WithDefaults(); index != "" && !bindingrules.SameApplyStrategy(way, d.status.ApplyStrategy.WithDefaults()) {
		c.PreviousApplyStrategy = way
	}
	d.changed = true
}

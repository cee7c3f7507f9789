// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/approval"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// MaxListed is how many clusters of a stage are listed.
const MaxListed = 20

// Build makes the view of a run. requests are its approval requests, as far as the user may read them; without them the view tells less of
// approvals.
func Build(run v1beta1.UpdateRunObject, requests []v1beta1.ApprovalRequestObject, now time.Time) *Run {
	return build(run, requests, now, false)
}

// BuildPlan makes the view of a run that was only planned. It lists the first clusters of each stage.
func BuildPlan(run v1beta1.UpdateRunObject, now time.Time) *Run { return build(run, nil, now, true) }

func build(run v1beta1.UpdateRunObject, requests []v1beta1.ApprovalRequestObject, now time.Time, plan bool) *Run {
	spec, status := run.RunSpec(), run.RunStatus()
	phase := runrules.PhaseOf(run)
	created := run.GetCreationTimestamp()
	v := &Run{
		TypeMeta:    metav1.TypeMeta{APIVersion: APIVersion, Kind: KindRun},
		Object:      Object{Kind: runrules.RunKind(run), Namespace: run.GetNamespace(), Name: run.GetName(), UID: run.GetUID()},
		State:       Clean(cmp.Or(string(status.Outcome), string(phase), string(v1beta1.OutcomeFailed))),
		Over:        runrules.IsOver(status),
		Outcome:     status.Outcome,
		NeedsPerson: phase.NeedsPerson(),
		WaitingFor:  Clean(runrules.WaitingFor(run, now)),
		Placement:   Clean(spec.PlacementName),
		Strategy:    Clean(spec.StagedUpdateStrategyName),
		Snapshot:    Clean(cmp.Or(status.ResourceSnapshotIndexUsed, spec.ResourceSnapshotIndex)),
		Created:     optional(created),
		RollbackOf:  Clean(spec.RollbackOf),
	}
	v.Since, v.Message = stands(run)
	if phase == runrules.PhaseWaitingForApproval {
		v.Since = cmp.Or(askedSince(status), v.Since)
	}
	if status.CreatedBy != nil {
		v.CreatedBy = Clean(status.CreatedBy.Username)
	}
	if status.RolledBackBy != nil {
		v.RolledBackBy = Clean(status.RolledBackBy.Name)
	}
	current := runrules.CurrentStage(status)
	for _, stage := range runrules.Stages(status) {
		if stage == status.DeletionStageStatus && len(stage.Clusters) == 0 {
			// Every run has it, and most have nothing to remove.
			continue
		}
		s := buildStage(run, stage, requests, plan, stage == current && !v.Over)
		v.Stages = append(v.Stages, s)
		v.Progress.add(s.Progress)
	}
	for _, p := range status.Policies {
		object := Object{Kind: Clean(p.Kind), Name: Clean(p.Name), UID: p.UID}
		if object.Kind == "RolloutPolicy" {
			object.Namespace = run.GetNamespace()
		}
		v.Policies = append(v.Policies, Policy{Object: object, Stages: cleanAll(p.Stages), Overridden: p.Overridden, Warns: p.Warns})
	}
	for i := range status.History {
		e := &status.History[i]
		v.History = append(v.History, Entry{
			Number: e.Number, Time: e.Time, Reason: Clean(e.Reason), User: Clean(e.User), Stage: Clean(wellknown.StageAlias(e.Stage)), Message: Clean(e.Message),
		})
	}
	return v
}

// stands returns since when a run is as it is, and what the server says about that: by its end, or else by how it progresses.
func stands(run v1beta1.UpdateRunObject) (since *metav1.Time, message string) {
	status := run.RunStatus()
	condition := runrules.End(status)
	if condition == nil {
		condition = meta.FindStatusCondition(status.Conditions, v1beta1.RunProgressing)
	}
	if condition == nil {
		condition = meta.FindStatusCondition(status.Conditions, v1beta1.RunInitialized)
	}
	if condition == nil {
		return optional(run.GetCreationTimestamp()), ""
	}
	return optional(condition.LastTransitionTime), Clean(runrules.Plainly(condition.Message))
}

// askedSince returns since when a run waits for an approval: it may have waited for something else before, and its condition does not change then.
func askedSince(status *v1beta1.UpdateRunStatus) *metav1.Time {
	for _, task := range runrules.OpenTasks(runrules.CurrentStage(status)) {
		if created := meta.FindStatusCondition(task.Conditions, v1beta1.TaskApprovalRequestCreated); created != nil {
			return optional(created.LastTransitionTime)
		}
	}
	return nil
}

func buildStage(run v1beta1.UpdateRunObject, stage *v1beta1.StageUpdatingStatus, requests []v1beta1.ApprovalRequestObject, plan, current bool) Stage {
	status := run.RunStatus()
	s := Stage{Name: Clean(wellknown.StageAlias(stage.StageName)), Start: stage.StartTime, End: stage.EndTime, Progress: count(stage)}
	entered := current && runrules.IsEntered(stage)
	config := configOf(status, stage.StageName)
	if config != nil && config.MaxConcurrency != nil {
		s.MaxConcurrency = config.MaxConcurrency.String()
	}
	var open []*v1beta1.StageTaskStatus
	if entered {
		open = runrules.OpenTasks(stage)
	}
	for i := range stage.BeforeStageTaskStatus {
		s.Tasks = append(s.Tasks, buildTask(status, stage, &stage.BeforeStageTaskStatus[i], open, requests, true))
	}
	for i := range stage.AfterStageTaskStatus {
		s.Tasks = append(s.Tasks, buildTask(status, stage, &stage.AfterStageTaskStatus[i], open, requests, false))
	}
	switch {
	case runrules.IsStageSkipped(stage):
		s.State = StageSkipped
	case meta.IsStatusConditionTrue(stage.Conditions, v1beta1.StageSucceeded):
		s.State = StageSucceeded
	case runrules.IsStageOver(stage):
		s.State = StageFailed
	case !entered:
		s.State = StagePending
	case len(open) > 0:
		s.State = StageWaiting
	default:
		s.State = StageUpdating
	}
	s.Listed, s.Unlisted = list(stage, plan)
	return s
}

// configOf returns what the strategy says of a stage, nil where it does not know it.
func configOf(status *v1beta1.UpdateRunStatus, stage string) *v1beta1.StageConfig {
	if status.UpdateStrategySnapshot == nil {
		return nil
	}
	stages := status.UpdateStrategySnapshot.Stages
	if i := slices.IndexFunc(stages, func(c v1beta1.StageConfig) bool { return c.Name == stage }); i >= 0 {
		return &stages[i]
	}
	return nil
}

func buildTask(status *v1beta1.UpdateRunStatus, stage *v1beta1.StageUpdatingStatus, task *v1beta1.StageTaskStatus, open []*v1beta1.StageTaskStatus,
	requests []v1beta1.ApprovalRequestObject, before bool) Task {
	t := Task{Type: task.Type, Before: before, Done: runrules.IsTaskDone(task), Open: slices.Contains(open, task)}
	switch task.Type {
	case v1beta1.StageTaskTypeTimedWait:
		if end, known := runrules.WaitEnd(status, stage); known {
			t.WaitEnd = optional(metav1.NewTime(end))
		}
		if config := configOf(status, stage.StageName); config != nil {
			for i := range config.AfterStageTasks {
				if wait := config.AfterStageTasks[i].WaitTime; wait != nil {
					t.Wait = wait
				}
			}
		}
	case v1beta1.StageTaskTypeApproval:
		for _, request := range requests {
			if request.GetName() == task.ApprovalRequestName {
				t.Approval = BuildApproval(request)
			}
		}
		if t.Approval == nil && task.ApprovalRequestName != "" && t.Open {
			t.Approval = &Approval{Object: Object{Name: Clean(task.ApprovalRequestName)}, Stage: Clean(stage.StageName), Before: before}
			if c := meta.FindStatusCondition(task.Conditions, v1beta1.TaskApprovalRequestApproved); c != nil {
				t.Approval.Lacks = Clean(c.Message)
			}
		}
	}
	return t
}

// BuildApproval makes the view of an approval request.
func BuildApproval(request v1beta1.ApprovalRequestObject) *Approval {
	spec := request.RequestSpec()
	tally := approval.Of(request)
	v := &Approval{
		Object:          Object{Kind: runrules.RequestKind(request), Namespace: request.GetNamespace(), Name: request.GetName(), UID: request.GetUID()},
		ResourceVersion: request.GetResourceVersion(),
		Run:             Clean(spec.TargetUpdateRun),
		Stage:           Clean(wellknown.StageAlias(spec.TargetStage)),
		Before:          request.GetLabels()[wellknown.TaskTypeLabel] == wellknown.BeforeStageTask,
		Lacks:           Clean(approval.Lacks(request)),
		Created:         optional(request.GetCreationTimestamp()),
		Expires:         optional(metav1.NewTime(tally.Expiry())),
	}
	if closing := tally.Closing(); closing != nil {
		v.Decision = closing.Decision
	}
	if spec.Policy != nil {
		v.Groups = cleanAll(spec.Policy.Groups)
	}
	if spec.Requester != nil {
		v.Requester = Clean(spec.Requester.Username)
	}
	if rollout := spec.Rollout; rollout != nil {
		v.Placement, v.Snapshot = Clean(rollout.PlacementName), Clean(rollout.ResourceSnapshotIndex)
		v.Clusters, v.ClusterCount = cleanAll(rollout.Clusters), int(rollout.ClusterCount)
	}
	for _, d := range tally.Decisions {
		v.Decisions = append(v.Decisions, Decision{User: Clean(d.User.Username), Decision: d.Decision, Time: d.Time, Comment: Clean(d.Comment)})
	}
	return v
}

func (p *Progress) add(other Progress) {
	p.Clusters += other.Clusters
	p.Updated += other.Updated
	p.Updating += other.Updating
	p.Failed += other.Failed
	p.Skipped += other.Skipped
}

func count(stage *v1beta1.StageUpdatingStatus) Progress {
	p := Progress{Clusters: len(stage.Clusters)}
	for i := range stage.Clusters {
		switch stateOf(&stage.Clusters[i]) {
		case ClusterUpdated:
			p.Updated++
		case ClusterUpdating:
			p.Updating++
		case ClusterFailed:
			p.Failed++
		case ClusterSkipped:
			p.Skipped++
		}
	}
	return p
}

func stateOf(c *v1beta1.ClusterUpdatingStatus) ClusterState {
	switch {
	case runrules.IsSkipped(c):
		return ClusterSkipped
	case runrules.HasFailed(c):
		return ClusterFailed
	case runrules.IsClusterDone(c):
		return ClusterUpdated
	case runrules.IsStarted(c):
		return ClusterUpdating
	case c.Message != "":
		return ClusterHeld
	}
	return ClusterPending
}

// urgency orders the clusters that are listed; others are not.
var urgency = map[ClusterState]int{ClusterFailed: 1, ClusterHeld: 2, ClusterUpdating: 3}

// list returns the first clusters to look at, most urgent first, and how many more there are; in a plan all clusters in their order.
func list(stage *v1beta1.StageUpdatingStatus, all bool) (listed []Cluster, unlisted int) {
	// Thousands of clusters are counted and not copied.
	var found []*v1beta1.ClusterUpdatingStatus
	for i := range stage.Clusters {
		if c := &stage.Clusters[i]; all || urgency[stateOf(c)] > 0 {
			found = append(found, c)
		}
	}
	if !all {
		slices.SortStableFunc(found, func(a, b *v1beta1.ClusterUpdatingStatus) int {
			return cmp.Or(cmp.Compare(urgency[stateOf(a)], urgency[stateOf(b)]), compareMessages(a, b))
		})
	}
	for i, c := range found {
		if i == MaxListed {
			return listed, len(found) - MaxListed
		}
		listed = append(listed, buildCluster(c))
	}
	return listed, 0
}

// compareMessages has clusters that say something come first.
func compareMessages(a, b *v1beta1.ClusterUpdatingStatus) int {
	silent := func(c *v1beta1.ClusterUpdatingStatus) int {
		if c.Message == "" {
			return 1
		}
		return 0
	}
	return cmp.Compare(silent(a), silent(b))
}

func buildCluster(c *v1beta1.ClusterUpdatingStatus) Cluster {
	v := Cluster{
		Name: Clean(c.ClusterName), State: stateOf(c), Message: Clean(c.Message),
		Overrides: len(c.ClusterResourceOverrideSnapshots) + len(c.ResourceOverrideSnapshots),
	}
	if succeeded := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterSucceeded); v.State == ClusterFailed && succeeded != nil && v.Message == "" {
		v.Message = Clean(succeeded.Message)
	}
	if started := meta.FindStatusCondition(c.Conditions, v1beta1.ClusterStarted); started != nil && started.Status == metav1.ConditionTrue {
		v.Since = optional(started.LastTransitionTime)
	}
	return v
}

// SortByUrgency has those runs come first that want a person, then those that have failed clusters, then the oldest.
func SortByUrgency(runs []*Run) {
	rank := func(r *Run) int {
		switch {
		case r.NeedsPerson:
			return 0
		case r.Progress.Failed > 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(runs, func(a, b *Run) int {
		created := func(r *Run) int64 {
			if r.Created == nil {
				return 0
			}
			return r.Created.Unix()
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(created(a), created(b)), cmp.Compare(a.Object.Namespace+"/"+a.Object.Name, b.Object.Namespace+"/"+b.Object.Name))
	})
}

func cleanAll(texts []string) []string {
	var clean []string
	for _, text := range texts {
		clean = append(clean, Clean(text))
	}
	return clean
}

// optional returns nil for a time that is not set.
func optional(t metav1.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

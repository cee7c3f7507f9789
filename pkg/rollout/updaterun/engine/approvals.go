// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/approval"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// passBefore reports whether the tasks before a stage are done.
func (s *step) passBefore(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	message := fmt.Sprintf("The updateRun is waiting for before-stage tasks in stage %s to complete", stage.StageName)
	open := true
	for i := range stage.BeforeStageTaskStatus {
		g := s.askApproval(stage, &stage.BeforeStageTaskStatus[i], wellknown.BeforeStageTask, policyOf(config.BeforeStageTasks, i))
		if g.ended {
			return false
		}
		open = open && g.open
		message += g.obstacle
	}
	if !open {
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageBefore)
		s.runWaits(message)
	}
	return open
}

// passAfter reports whether the tasks after a stage are done. All of them are worked on at once.
func (s *step) passAfter(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	message := fmt.Sprintf("The updateRun is waiting for after-stage tasks in stage %s to complete", stage.StageName)
	open := true
	for i := range stage.AfterStageTaskStatus {
		task := &stage.AfterStageTaskStatus[i]
		if task.Type == v1beta1.StageTaskTypeTimedWait {
			open = s.wait(stage, task, config.AfterStageTasks[i].WaitTime) && open
			continue
		}
		g := s.askApproval(stage, task, wellknown.AfterStageTask, policyOf(config.AfterStageTasks, i))
		if g.ended {
			return false
		}
		open = open && g.open
		message += g.obstacle
	}
	if !open {
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, s.awaitsAfter(stage))
		s.runWaits(message)
	}
	return open
}

// wait reports whether a timed wait is over. It counts from the moment when the last cluster of the stage was done, whatever was
// stopped and resumed since; in a stage without clusters from the moment when it was come to.
func (s *step) wait(stage *v1beta1.StageUpdatingStatus, task *v1beta1.StageTaskStatus, duration *metav1.Duration) bool {
	if isTrue(task.Conditions, v1beta1.TaskWaitTimeElapsed) {
		return true
	}
	end := stage.UpdatedTime.Time
	if duration != nil {
		end = end.Add(duration.Duration)
	}
	if s.now.Before(end) {
		s.wake(end)
		return false
	}
	s.set(&task.Conditions, v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, reasonWaitElapsed, messageWaitElapsed)
	s.event(eventWaitElapsed, fmt.Sprintf("The wait time after stage %s has elapsed", stage.StageName))
	return true
}

// expiryGrace is how long after its expiry a request ends the run. The server takes approvals until the expiry, and one that it has
// taken is to be seen first.
const expiryGrace = 5 * time.Second

// gate is how an approval stands.
type gate struct {
	open bool
	// ended says that the run is over with it: it was rejected or has expired.
	ended bool
	// obstacle goes at the end of the run's message.
	obstacle string
}

// askApproval says how an approval stands and has the request made where it is missing. Once the approval is recorded the request
// is not looked at again. What the policy asks for is judged by the run's own copy of it.
func (s *step) askApproval(stage *v1beta1.StageUpdatingStatus, task *v1beta1.StageTaskStatus, taskType string, policy *v1beta1.ApprovalPolicy) gate {
	if isTrue(task.Conditions, v1beta1.TaskApprovalRequestApproved) {
		return gate{open: true}
	}
	kind := runrules.RequestKind(s.run)
	request := s.world.Approvals[task.ApprovalRequestName]
	if request == nil {
		s.decision.Requests = append(s.decision.Requests, Request{
			Name: task.ApprovalRequestName, Stage: stage.StageName, TaskType: taskType, Done: s.ofStage(stage).done, AtStake: s.atStake(stage), Policy: policy,
			Rollout: s.rollout(stage),
		})
		if !isTrue(task.Conditions, v1beta1.TaskApprovalRequestCreated) {
			s.set(&task.Conditions, v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, reasonRequestCreated, kind+" is created")
			s.event(eventApproval, fmt.Sprintf("Stage %s waits for approval of %s %s%s", stage.StageName, kind, task.ApprovalRequestName, s.atStake(stage)))
		}
		return gate{}
	}
	if obstacle := s.notAsked(request, stage.StageName, policy); obstacle != "" {
		if progressReason(s.status.Conditions) != reasonRunWaiting {
			s.warn(eventForeignRequest, obstacle)
		}
		return gate{obstacle: ": " + obstacle}
	}
	s.set(&task.Conditions, v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, reasonRequestCreated, kind+" is created")

	tally := approval.For(request, policy, s.status.CreatedBy)
	if rejection := tally.Rejection(); rejection != nil {
		s.reject(stage, taskType, rejection)
		return gate{ended: true}
	}
	if tally.Missing() != "" {
		return s.awaitApprovals(stage, task, taskType, request, policy, tally)
	}
	s.set(&task.Conditions, v1beta1.TaskApprovalRequestApproved, metav1.ConditionTrue, reasonRequestApproved, kind+" is approved")
	s.event(eventApproved, fmt.Sprintf("%s %s is approved by %s", kind, request.GetName(), approvers(tally.Decisions))).User = usersOf(tally.Decisions)
	return gate{open: true}
}

// maxNamedClusters is how many clusters a request names. A stage can have all 10,000 of a fleet.
const maxNamedClusters = 100

// rollout is what the run does in a stage, as an approver is told of it.
func (s *step) rollout(stage *v1beta1.StageUpdatingStatus) v1beta1.StageRollout {
	told := v1beta1.StageRollout{PlacementName: s.run.RunSpec().PlacementName}
	clusters := stage.Clusters
	if s.removes(stage) {
		clusters = slices.DeleteFunc(slices.Clone(clusters), wasDone)
	} else {
		told.ResourceSnapshotIndex = s.status.ResourceSnapshotIndexUsed
	}
	told.Clusters = namesOf(clusters[:min(len(clusters), maxNamedClusters)])
	told.ClusterCount = int32(len(clusters))
	count := func(stage *v1beta1.StageUpdatingStatus) {
		for i := range stage.Clusters {
			told.RunClusterCount++
			if isTrue(stage.Clusters[i].Conditions, v1beta1.ClusterSucceeded) {
				told.RunClustersDone++
			}
		}
	}
	for i := range s.status.StagesStatus {
		count(&s.status.StagesStatus[i])
	}
	if s.status.DeletionStageStatus != nil {
		count(s.status.DeletionStageStatus)
	}
	return told
}

// awaitApprovals says what is missing, and ends the run where it has been missing for too long. A request that was approved in time
// never expires: the server takes no approval later.
func (s *step) awaitApprovals(stage *v1beta1.StageUpdatingStatus, task *v1beta1.StageTaskStatus, taskType string, request v1beta1.ApprovalRequestObject,
	policy *v1beta1.ApprovalPolicy, tally approval.Tally) gate {
	if policy == nil {
		return gate{}
	}
	missing := tally.Missing()
	if expiry := tally.Expiry(); !expiry.IsZero() {
		if end := expiry.Add(expiryGrace); s.now.Before(end) {
			s.wake(end)
		} else {
			s.expire(stage, taskType, request, expiry, missing)
			return gate{ended: true}
		}
	}
	s.set(&task.Conditions, v1beta1.TaskApprovalRequestApproved, metav1.ConditionFalse, reasonApprovalsMissing, missing)
	return gate{obstacle: fmt.Sprintf(": %s has %s", request.GetName(), missing)}
}

// policyOf is the approval policy of a task in the run's copy of the strategy.
func policyOf(tasks []v1beta1.StageTask, i int) *v1beta1.ApprovalPolicy {
	if i < len(tasks) {
		return tasks[i].Approval
	}
	return nil
}

// usersOf are the names of those who decided.
func usersOf(decisions []v1beta1.ApprovalDecision) string {
	var names []string
	for _, d := range decisions {
		names = append(names, d.User.Username)
	}
	return strings.Join(names, ", ")
}

// approvers are those who approved with what they said.
func approvers(decisions []v1beta1.ApprovalDecision) string {
	var texts []string
	for _, d := range decisions {
		texts = append(texts, d.User.Username+quoted(d.Comment))
	}
	return strings.Join(texts, ", ")
}

// notAsked says why a request is not what the run asks, or nothing.
func (s *step) notAsked(request v1beta1.ApprovalRequestObject, stage string, policy *v1beta1.ApprovalPolicy) string {
	if why := s.notOurs(request, stage); why != "" {
		return why
	}
	spec := request.RequestSpec()
	if !equality.Semantic.DeepEqual(spec.Policy, policy) || !equality.Semantic.DeepEqual(spec.Requester, s.status.CreatedBy) {
		return fmt.Sprintf("%s %s has another policy or requester than this run; delete it", runrules.RequestKind(request), request.GetName())
	}
	return ""
}

// notOurs says why a request is not the run's own, or nothing. What somebody else made under its name approves nothing.
func (s *step) notOurs(request v1beta1.ApprovalRequestObject, stage string) string {
	spec := request.RequestSpec()
	switch {
	case !isOwned(request, s.run):
		return fmt.Sprintf("%s %s belongs to %s and not to this run; delete it", runrules.RequestKind(request), request.GetName(), ownerOf(request))
	case spec.TargetUpdateRun != s.run.GetName() || spec.TargetStage != stage:
		return fmt.Sprintf("%s %s is about stage %s of run %s and not about this one; delete it",
			runrules.RequestKind(request), request.GetName(), spec.TargetStage, spec.TargetUpdateRun)
	}
	return ""
}

func isOwned(o, owner metav1.Object) bool {
	for _, ref := range o.GetOwnerReferences() {
		if ref.UID == owner.GetUID() {
			return true
		}
	}
	return false
}

func ownerOf(o metav1.Object) string {
	for _, ref := range o.GetOwnerReferences() {
		return fmt.Sprintf("%s %s (uid %s)", ref.Kind, ref.Name, ref.UID)
	}
	return "nobody"
}

// accept marks requests whose approval is recorded. A crash may have come between the two.
func (s *step) accept() {
	for _, stage := range runrules.Stages(&s.status) {
		for _, tasks := range [][]v1beta1.StageTaskStatus{stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus} {
			for j := range tasks {
				request := s.world.Approvals[tasks[j].ApprovalRequestName]
				if request == nil || !isTrue(tasks[j].Conditions, v1beta1.TaskApprovalRequestApproved) || s.notOurs(request, stage.StageName) != "" {
					continue
				}
				if !meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApprovalAccepted) && request.GetDeletionTimestamp() == nil && len(approval.Of(request).Decisions) > 0 {
					s.decision.Accepts = append(s.decision.Accepts, request)
				}
			}
		}
	}
}

func quoted(comment string) string {
	if comment == "" {
		return ""
	}
	return fmt.Sprintf(": %q", comment)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// passBefore says whether the tasks before a stage are done.
func (s *step) passBefore(stage *v1beta1.StageUpdatingStatus) bool {
	message := fmt.Sprintf("The updateRun is waiting for before-stage tasks in stage %s to complete", stage.StageName)
	open := true
	for i := range stage.BeforeStageTaskStatus {
		g := s.askApproval(stage, &stage.BeforeStageTaskStatus[i], wellknown.BeforeStageTask)
		if g.rejected {
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

// passAfter says whether the tasks after a stage are done. All of them are worked on at once.
func (s *step) passAfter(stage *v1beta1.StageUpdatingStatus, config *v1beta1.StageConfig) bool {
	message := fmt.Sprintf("The updateRun is waiting for after-stage tasks in stage %s to complete", stage.StageName)
	open := true
	for i := range stage.AfterStageTaskStatus {
		task := &stage.AfterStageTaskStatus[i]
		if task.Type == v1beta1.StageTaskTypeTimedWait {
			open = s.wait(stage, task, config.AfterStageTasks[i].WaitTime) && open
			continue
		}
		g := s.askApproval(stage, task, wellknown.AfterStageTask)
		if g.rejected {
			return false
		}
		open = open && g.open
		message += g.obstacle
	}
	if !open {
		s.setStage(stage, v1beta1.StageProgressing, metav1.ConditionFalse, reasonStageWaiting, messageStageAfter)
		s.runWaits(message)
	}
	return open
}

// wait says whether a timed wait is over. It counts from the moment when the last cluster of the stage was done, whatever was
// stopped and resumed since.
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

// gate is how an approval stands.
type gate struct {
	open     bool
	rejected bool
	// obstacle goes at the end of the run's message.
	obstacle string
}

// askApproval says how an approval stands and has the request made where it is missing. Once the approval is recorded the request
// is not looked at again.
func (s *step) askApproval(stage *v1beta1.StageUpdatingStatus, task *v1beta1.StageTaskStatus, taskType string) gate {
	if isTrue(task.Conditions, v1beta1.TaskApprovalRequestApproved) {
		return gate{open: true}
	}
	kind := requestKind(s.run)
	request := s.world.Approvals[task.ApprovalRequestName]
	if request == nil {
		s.decision.Requests = append(s.decision.Requests, Request{Name: task.ApprovalRequestName, Stage: stage.StageName, TaskType: taskType})
		if !isTrue(task.Conditions, v1beta1.TaskApprovalRequestCreated) {
			s.set(&task.Conditions, v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, reasonRequestCreated, kind+" is created")
			s.event(eventApproval, fmt.Sprintf("Stage %s waits for approval of %s %s", stage.StageName, kind, task.ApprovalRequestName))
		}
		return gate{}
	}
	if obstacle := s.notOurs(request, stage.StageName); obstacle != "" {
		if reasonOf(s.status.Conditions, v1beta1.RunProgressing) != reasonRunWaiting {
			s.warn(eventForeignRequest, obstacle)
		}
		return gate{obstacle: ": " + obstacle}
	}
	s.set(&task.Conditions, v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, reasonRequestCreated, kind+" is created")

	decision := decisionOf(request)
	switch {
	case decision == nil:
		return gate{}
	case decision.Decision == v1beta1.DecisionRejected:
		s.reject(stage, taskType, decision)
		return gate{rejected: true}
	default:
		s.set(&task.Conditions, v1beta1.TaskApprovalRequestApproved, metav1.ConditionTrue, reasonRequestApproved, kind+" is approved")
		s.event(eventApproved, fmt.Sprintf("%s %s is approved by %s%s", kind, request.GetName(), decision.User.Username, quoted(decision.Comment)))
		return gate{open: true}
	}
}

// notOurs says why a request is not the run's own, or nothing. What somebody else made under its name approves nothing.
func (s *step) notOurs(request v1beta1.ApprovalRequestObject, stage string) string {
	spec := request.RequestSpec()
	switch {
	case !isOwned(request, s.run):
		return fmt.Sprintf("%s %s belongs to %s and not to this run; delete it", requestKind(request), request.GetName(), ownerOf(request))
	case spec.TargetUpdateRun != s.run.GetName() || spec.TargetStage != stage:
		return fmt.Sprintf("%s %s is about stage %s of run %s and not about this one; delete it",
			requestKind(request), request.GetName(), spec.TargetStage, spec.TargetUpdateRun)
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

// decisionOf is the decision on a request, nil as long as none is taken. Only the server's record counts, and only that of this
// very request: conditions are anybody's who may patch them.
func decisionOf(request v1beta1.ApprovalRequestObject) *v1beta1.ApprovalDecision {
	if request.GetDeletionTimestamp() != nil {
		return nil
	}
	decisions := request.RequestStatus().Decisions
	for i := range decisions {
		if decisions[i].RequestUID == request.GetUID() {
			return &decisions[i]
		}
	}
	return nil
}

// accept marks requests whose approval is recorded. A crash may have come between the two.
func (s *step) accept() {
	for i := range s.status.StagesStatus {
		stage := &s.status.StagesStatus[i]
		for _, tasks := range [][]v1beta1.StageTaskStatus{stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus} {
			for j := range tasks {
				request := s.world.Approvals[tasks[j].ApprovalRequestName]
				if request == nil || !isTrue(tasks[j].Conditions, v1beta1.TaskApprovalRequestApproved) || s.notOurs(request, stage.StageName) != "" {
					continue
				}
				if !meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApprovalAccepted) && decisionOf(request) != nil {
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

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

// The condition by which an approval request shows that the run has acted on it.
const (
	reasonAccepted  = "ApprovalRequestApprovalAccepted"
	messageAccepted = "The approval request has been approved and cannot be reverted"
)

// Reasons of the Events that an approval request gets. What became of the run is told of the run.
const (
	eventRequested = "Requested"
	eventAccepted  = "Accepted"
)

// createRequest asks for an approval. One that exists already, whoever made it, is left alone.
func (c *Controller) createRequest(ctx context.Context, run v1beta1.UpdateRunObject, r engine.Request) error {
	request := c.fleet.Approvals.New(reconcile.Key{Namespace: run.GetNamespace(), Name: r.Name})
	request.SetLabels(map[string]string{
		wellknown.TargetUpdateRunLabel:     run.GetName(),
		wellknown.TargetUpdatingStageLabel: wellknown.StageAlias(r.Stage),
		wellknown.TaskTypeLabel:            r.TaskType,
		wellknown.LatestApprovalLabel:      "true",
	})
	request.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(run, c.fleet.Runs.GroupVersionKind(run.GetNamespace()))})
	*request.RequestSpec() = v1beta1.ApprovalRequestSpec{
		TargetUpdateRun: run.GetName(), TargetStage: r.Stage, Policy: r.Policy, Requester: run.RunStatus().CreatedBy, Rollout: &r.Rollout,
	}
	created, err := c.fleet.Approvals.Client(run.GetNamespace()).Create(ctx, request, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	when := "before it begins"
	if r.TaskType == wellknown.AfterStageTask {
		when = "after its clusters are " + r.Done
	}
	c.recorder.Event(created, corev1.EventTypeNormal, eventRequested, fmt.Sprintf("Stage %s of %s waits for this approval %s%s", r.Stage, c.called(run), when, r.AtStake))
	return nil
}

// called is a run as a person knows it.
func (c *Controller) called(run v1beta1.UpdateRunObject) string {
	return c.fleet.Runs.GroupVersionKind(run.GetNamespace()).Kind + " " + run.GetName()
}

// acceptRequest shows on a request that the run has acted on the approval.
func (c *Controller) acceptRequest(ctx context.Context, run v1beta1.UpdateRunObject, request v1beta1.ApprovalRequestObject) error {
	accepted := fleet.Copy(request)
	meta.SetStatusCondition(&accepted.RequestStatus().Conditions, metav1.Condition{
		Type:               v1beta1.RequestApprovalAccepted,
		Status:             metav1.ConditionTrue,
		Reason:             reasonAccepted,
		Message:            messageAccepted,
		ObservedGeneration: request.GetGeneration(),
		LastTransitionTime: metav1.NewTime(c.clock.Now()),
	})
	updated, err := c.fleet.Approvals.Client(request.GetNamespace()).UpdateStatus(ctx, accepted, metav1.UpdateOptions{})
	if err != nil {
		return reconcile.IgnoreNotFound(err)
	}
	c.written.Wrote(keyOf(run), c.fleet.Approvals.Cache(run.GetNamespace()), updated)
	c.recorder.Event(updated, corev1.EventTypeNormal, eventAccepted, c.called(run)+" has acted on the approval")
	return nil
}

// finalize lets a run go once its approval requests are deleted. What the run moved stays where it is.
func (c *Controller) finalize(ctx context.Context, run v1beta1.UpdateRunObject) error {
	if !reconcile.HasFinalizer(run, wellknown.UpdateRunFinalizer) {
		return nil
	}
	client := c.fleet.Approvals.Client(run.GetNamespace())
	for _, request := range c.fleet.Approvals.ByIndex(fleet.ByRun, keyOf(run)) {
		if !isOf(request, run) {
			continue
		}
		err := client.Delete(ctx, request.GetName(), metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(request.GetUID()))})
		if reconcile.IgnoreNotFound(err) != nil {
			return err
		}
	}
	released := fleet.Copy(run)
	reconcile.RemoveFinalizer(released, wellknown.UpdateRunFinalizer)
	if _, err := c.fleet.Runs.Client(run.GetNamespace()).Update(ctx, released, metav1.UpdateOptions{}); err != nil {
		return reconcile.IgnoreNotFound(err)
	}
	c.traces.Deleted(run, c.clock.Now())
	return nil
}

// isOf reports whether a request goes with a run: it is the run's own, or nobody's and labeled as upstream does.
func isOf(request v1beta1.ApprovalRequestObject, run v1beta1.UpdateRunObject) bool {
	for _, owner := range request.GetOwnerReferences() {
		if owner.UID == run.GetUID() {
			return true
		}
	}
	return len(request.GetOwnerReferences()) == 0 && request.GetLabels()[wellknown.TargetUpdateRunLabel] == run.GetName()
}

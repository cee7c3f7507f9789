// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

// eventRollbackRefused is the reason of the Event that a run gets whose rollback cannot be created.
const eventRollbackRefused = "RollbackRefused"

// createRollback makes the run that rolls another back, on behalf of who asked for it. One that exists already is left alone. What the
// hub's policies refuse is tried again, and told to those who look after the run: its placement stays locked meanwhile.
func (c *Controller) createRollback(ctx context.Context, run v1beta1.UpdateRunObject, r *engine.Rollback) error {
	rollback := c.fleet.Runs.New(reconcile.Key{Namespace: run.GetNamespace(), Name: r.Name})
	*rollback.RunSpec() = v1beta1.UpdateRunSpec{
		PlacementName:            run.RunSpec().PlacementName,
		StagedUpdateStrategyName: run.RunSpec().StagedUpdateStrategyName,
		State:                    v1beta1.StateRun,
		RollbackOf:               run.GetName(),
	}
	rollback.RunStatus().CreatedBy = r.CreatedBy
	client := c.fleet.Runs.Client(run.GetNamespace())
	_, err := client.Create(ctx, rollback, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		var existing v1beta1.UpdateRunObject
		if existing, err = client.Get(ctx, r.Name, metav1.GetOptions{}); err != nil {
			return reconcile.IgnoreNotFound(err)
		}
		if existing.RunSpec().RollbackOf == run.GetName() {
			return nil
		}
		err = fmt.Errorf("%s is there already and rolls back another run or none; delete it", c.called(existing))
		c.recorder.Event(run, corev1.EventTypeWarning, eventRollbackRefused, err.Error())
		return err
	}
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		c.recorder.Event(run, corev1.EventTypeWarning, eventRollbackRefused,
			fmt.Sprintf("The run %s, which is to bring the clusters back, cannot be created: %v", r.Name, err))
	}
	return err
}

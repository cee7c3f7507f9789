// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
)

// createRollback makes the run that rolls another back, on behalf of who asked for it. One that exists already is left alone.
func (c *Controller) createRollback(ctx context.Context, run v1beta1.UpdateRunObject, r *engine.Rollback) error {
	rollback := c.fleet.Runs.New(reconcile.Key{Namespace: run.GetNamespace(), Name: r.Name})
	*rollback.RunSpec() = v1beta1.UpdateRunSpec{
		PlacementName:            run.RunSpec().PlacementName,
		StagedUpdateStrategyName: run.RunSpec().StagedUpdateStrategyName,
		State:                    v1beta1.StateRun,
		RollbackOf:               run.GetName(),
	}
	rollback.RunStatus().CreatedBy = r.CreatedBy
	_, err := c.fleet.Runs.Client(run.GetNamespace()).Create(ctx, rollback, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

const (
	// eventRollbackRefused is the reason of the Event that a run gets whose rollback cannot be created.
	eventRollbackRefused = "RollbackRefused"
	// eventRollbackRenamed is the reason of the Event that a run gets where somebody else has taken the name of its rollback.
	eventRollbackRenamed = "RollbackRenamed"
	// saltLength makes a name that nobody can take in advance.
	saltLength = 10
)

// createRollback makes the run that rolls another back, on behalf of who asked for it. One that a controller has created already is left
// alone; one that has its name and that somebody else has created is no rollback, and keeps none from being created. What the hub's
// policies refuse is tried again, and told to those who look after the run: its placement stays locked meanwhile.
func (c *Controller) createRollback(ctx context.Context, run v1beta1.UpdateRunObject, r *engine.Rollback) error {
	err := c.createRollbackNamed(ctx, run, r, r.Name)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	// The cache may lack the one that was created at the last look.
	existing, err := c.fleet.Runs.Client(run.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, other := range existing {
		if runrules.IsRollback(other, run) {
			return nil
		}
	}
	name := wellknown.RollbackName(run.GetName(), string(run.GetUID()), rand.String(saltLength))
	if err := c.createRollbackNamed(ctx, run, r, name); err != nil {
		return err
	}
	c.recorder.Event(run, corev1.EventTypeWarning, eventRollbackRenamed,
		fmt.Sprintf("%s is there already and was created by somebody else; %s brings the clusters back", r.Name, name))
	return nil
}

func (c *Controller) createRollbackNamed(ctx context.Context, run v1beta1.UpdateRunObject, r *engine.Rollback, name string) error {
	rollback := newRollback(c.fleet, run, name)
	rollback.RunStatus().CreatedBy = cmp.Or(r.CreatedBy, &v1beta1.DecisionUser{Username: user.APIServerUser})
	_, err := c.fleet.Runs.Client(run.GetNamespace()).Create(ctx, rollback, metav1.CreateOptions{})
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		c.recorder.Event(run, corev1.EventTypeWarning, eventRollbackRefused,
			fmt.Sprintf("The run %s, which is to bring the clusters back, cannot be created: %v", name, err))
	}
	return err
}

// newRollback returns the run that rolls another back.
func newRollback(f *fleet.Fleet, run v1beta1.UpdateRunObject, name string) v1beta1.UpdateRunObject {
	rollback := f.Runs.New(reconcile.Key{Namespace: run.GetNamespace(), Name: name})
	*rollback.RunSpec() = v1beta1.UpdateRunSpec{
		PlacementName:            run.RunSpec().PlacementName,
		StagedUpdateStrategyName: run.RunSpec().StagedUpdateStrategyName,
		State:                    v1beta1.StateRun,
		RollbackOf:               run.GetName(),
	}
	return rollback
}

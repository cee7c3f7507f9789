// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"slices"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/binding"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// move moves clusters, and calls wrote after each. Who has approved that is told once the first one is on its way, and not after all of thousands. One
// write that fails does not keep the others back.
func (c *Controller) move(ctx context.Context, run v1beta1.UpdateRunObject, writes []engine.BindingWrite, accepts []v1beta1.ApprovalRequestObject, wrote func()) error {
	var steps []func() error
	for i := range writes {
		steps = append(steps, func() error {
			err := c.writeBinding(ctx, run, &writes[i])
			if err == nil {
				wrote()
			}
			return err
		})
	}
	for _, request := range accepts {
		steps = slices.Insert(steps, min(1, len(steps)), func() error { return c.acceptRequest(ctx, run, request) })
	}
	return reconcile.FanOut(ctx, len(steps), func(i int) error { return steps[i]() })
}

// writeBinding writes the spec of a binding together with that the rollout has started. Only what was looked at is written.
func (c *Controller) writeBinding(ctx context.Context, run v1beta1.UpdateRunObject, w *engine.BindingWrite) error {
	b := fleet.Copy(w.Binding)
	if w.Spec != nil {
		bindingrules.Become(b, w.Spec)
		bindingrules.RecordMove(b, bindingrules.Mover{Name: run.GetName(), UID: run.GetUID(), Turn: w.Turn})
	}
	updated, err := binding.Rollout(ctx, c.fleet.Bindings, b, w.Message, c.clock.Now())
	if err != nil {
		return err
	}
	c.moved.Wrote(placementOf(run), c.fleet.Bindings.Cache(run.GetNamespace()), updated)
	return nil
}

// deleteBindings deletes bindings as long as they are what was looked at, and calls wrote after each: one whose cluster was picked again stays.
func (c *Controller) deleteBindings(ctx context.Context, bindings []v1beta1.BindingObject, wrote func()) error {
	return reconcile.FanOut(ctx, len(bindings), func(i int) error {
		err := binding.Delete(ctx, c.fleet.Bindings, bindings[i])
		if err == nil {
			wrote()
		}
		return err
	})
}

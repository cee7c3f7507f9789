// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/metrics"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// perform carries a decision out, which was taken for changes that were heard of since a time. The run's status comes first, under the version
// that was looked at: where somebody else wrote it meanwhile, nothing else is done.
func (c *Controller) perform(ctx context.Context, run v1beta1.UpdateRunObject, d engine.Decision, heard time.Time) error {
	if d.Status != nil {
		start, updated, err := c.writeStatus(ctx, run, d.Status)
		if err != nil {
			c.latency.Heard(keyOf(run), heard)
			return reconcile.IgnoreNotFound(err)
		}
		metrics.Moved(run, d.Status, start)
		c.traces.Moved(run, d.Status, start)
		c.written.Wrote(keyOf(run), c.fleet.Runs.Cache(run.GetNamespace()), updated)
		c.pace.Worked(keyOf(run), start, c.clock.Now())
	}
	wrote := c.latency.Decided(run, d.Status, d.Accepts, heard, len(d.Bindings)+len(d.Deletions) > 0)
	// From here on the decision stands, and is told of whatever becomes of the rest.
	defer c.tell(ctx, run, d.Events)
	for _, r := range d.Requests {
		if err := c.createRequest(ctx, run, r); err != nil {
			return err
		}
	}
	if d.Rollback != nil {
		if err := c.createRollback(ctx, run, d.Rollback); err != nil {
			return err
		}
	}
	if d.Status != nil && runrules.ClaimsTurn(d.Status) {
		// The next look is about to come, and the approval is for what the run does then.
		d.Accepts = nil
	}
	may, refused := true, error(nil)
	if len(d.Bindings) > 0 {
		may, refused = c.mayMove(ctx, run, cmp.Or(d.Status, run.RunStatus()))
	}
	if !may {
		d.Bindings = nil
	}
	if err := c.move(ctx, run, d.Bindings, d.Accepts, wrote); err != nil || !may {
		return errors.Join(err, refused)
	}
	return c.deleteBindings(ctx, d.Deletions, wrote)
}

// writeStatus writes the status of a run, and returns when it began to, which for a large one is after others.
func (c *Controller) writeStatus(ctx context.Context, run v1beta1.UpdateRunObject, status *v1beta1.UpdateRunStatus) (start time.Time, updated v1beta1.UpdateRunObject, err error) {
	end, err := reconcile.BeginLarge(ctx, len(targets(status)))
	if err != nil {
		return start, nil, err
	}
	defer end()
	start = c.clock.Now()
	updated, err = c.fleet.Runs.Client(run.GetNamespace()).UpdateStatus(ctx, c.withStatus(run, status), metav1.UpdateOptions{})
	return start, updated, err
}

// eventNotMarked is that of a run whose placement nobody may write, an admission policy of the hub's say.
const eventNotMarked = "PlacementNotMarked"

// mayMove reports whether a run may move clusters of its placement, and marks that first, once in each turn under rollout policies. A deletion of
// the placement is refused as long as a run that has started moves it. One that was let through before the run had started, and is not stored yet,
// meets a placement that has changed, and is looked at once more. One that is stored shows here, which the cache may not know: what is moved after
// it would be emptied at once. The watch of the placement wakes the run.
func (c *Controller) mayMove(ctx context.Context, run v1beta1.UpdateRunObject, status *v1beta1.UpdateRunStatus) (bool, error) {
	if len(status.Policies) == 0 || status.Turn == nil {
		return true, nil
	}
	mark := fmt.Sprintf("%s/%d", run.GetUID(), status.Turn.Number)
	if known, ok := c.marked.Load(keyOf(run)); ok && known == mark {
		return true, nil
	}
	key := placementOf(run)
	// The time makes it a change whoever has written the annotation before.
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{
		wellknown.MovedByAnnotation: mark + "/" + c.clock.Now().UTC().Format(time.RFC3339Nano),
	}}})
	if err != nil {
		return false, err
	}
	placement, err := c.fleet.Placements.Client(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		// Somebody has to do something about it: nothing is moved before.
		c.recorder.Event(run, corev1.EventTypeWarning, eventNotMarked, fmt.Sprintf("No cluster is moved, since the placement cannot be annotated with %s: %v", wellknown.MovedByAnnotation, err))
	}
	if err != nil {
		return false, reconcile.IgnoreNotFound(err)
	}
	if placement.GetDeletionTimestamp() != nil || status.PlacementUID != "" && placement.GetUID() != status.PlacementUID {
		return false, nil
	}
	c.marked.Store(keyOf(run), mark)
	return true, nil
}

// withStatus is a run with another status. The stored status, which can be large, is not copied for it.
func (c *Controller) withStatus(run v1beta1.UpdateRunObject, status *v1beta1.UpdateRunStatus) v1beta1.UpdateRunObject {
	next := c.fleet.Runs.New(keyOf(run))
	next.SetUID(run.GetUID())
	next.SetResourceVersion(run.GetResourceVersion())
	next.SetGeneration(run.GetGeneration())
	next.SetCreationTimestamp(run.GetCreationTimestamp())
	next.SetLabels(run.GetLabels())
	next.SetAnnotations(run.GetAnnotations())
	next.SetFinalizers(run.GetFinalizers())
	next.SetOwnerReferences(run.GetOwnerReferences())
	*next.RunSpec() = *run.RunSpec()
	*next.RunStatus() = *status
	return next
}

// tell records Events on the hub, and in the log.
func (c *Controller) tell(ctx context.Context, run v1beta1.UpdateRunObject, events []engine.Event) {
	for _, e := range events {
		eventType := corev1.EventTypeNormal
		if e.Warning {
			eventType = corev1.EventTypeWarning
		}
		c.recorder.Event(run, eventType, e.Reason, e.Message)
		klog.FromContext(ctx).V(2).Info("Update run", "reason", e.Reason, "message", e.Message)
	}
}

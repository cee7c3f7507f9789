// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// idleTimeout is how long leaving waits for work on the member to stop before it is tried again.
const idleTimeout = 10 * time.Second

// leave takes a cluster out of the fleet. What was placed on it stays there; what is removed is what Stagegate itself has there, then
// its namespace on the hub. A member that cannot be reached is waited for as long as Options say, and not at all where
// spec.deleteOptions.validationMode is Skip; then it leaves with everything on it as it is.
func (c *Controller) leave(ctx context.Context, cluster *v1beta1.MemberCluster) (time.Duration, error) {
	if !reconcile.HasFinalizer(cluster, wellknown.MemberClusterFinalizer) {
		c.forget(cluster.Name)
		return 0, nil
	}
	// Works lose their finalizers below, which means their workloads to nobody who still serves them.
	if err := c.waitUntilIdle(ctx, cluster.Name); err != nil {
		return 0, err
	}
	internal := c.internal(cluster.Name)
	if err := c.askToLeave(ctx, internal); err != nil {
		return 0, err
	}
	r := newReporter(cluster)
	r.ReadyToJoin(metav1.ConditionFalse, inspect.ReasonLeaving, "Member cluster is leaving the fleet")
	if inspect.IsMember(r.Status) {
		seen, again := c.observeLeaving(ctx, cluster)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if wait := c.waitFor(cluster, seen); wait > 0 {
			r.Joined(metav1.ConditionUnknown, inspect.ReasonLeaving, c.leavingMessage(cluster, seen.Failure))
			r.Unhealthy(seen.Failure)
			if again > 0 {
				wait = min(wait, again)
			}
			return wait, c.write(ctx, r, nil)
		}
		if seen.Failure != nil && !seen.Failure.Revokes() {
			klog.FromContext(ctx).Info("Leaving without having cleaned up on the member", "reason", seen.Failure.Message)
			c.recorder.Event(cluster, corev1.EventTypeWarning, "MemberClusterNotCleanedUp", c.leftOn(cluster.Name)+": "+seen.Failure.Message)
		}
	}
	r.Left()
	if err := c.write(ctx, r, nil); err != nil {
		return 0, err
	}
	// An agent that is no longer waited for writes nothing more: with its token, a Work could be changed whenever it is about to be deleted,
	// for ever. A hub that reaches all of its members need not let the server take rights.
	if wellknown.IsPulled(cluster.Annotations) || internal != nil && wellknown.IsPulled(internal.Annotations) {
		if err := c.revoke(ctx, cluster.Name); err != nil {
			return 0, err
		}
	}
	gone, err := c.clearHub(ctx, cluster.Name)
	if err != nil || !gone {
		// The deletion of what is left brings the key back.
		return 0, err
	}
	return 0, c.release(ctx, cluster)
}

// observeLeaving has a member cleaned up, and returns whether it is and when to look again. An agent does that by itself.
func (c *Controller) observeLeaving(ctx context.Context, cluster *v1beta1.MemberCluster) (inspect.Observation, time.Duration) {
	if wellknown.IsPulled(cluster.Annotations) {
		return c.leftByPull(cluster), 0
	}
	return c.observe(ctx, cluster)
}

// leftOn says what stays on a member that was not cleaned up, by the Works that the hub has for it. A Work that the member has told nothing of
// may have been applied all the same.
func (c *Controller) leftOn(cluster string) string {
	// A cache is always readable.
	works, _ := c.fleet.Works.Lister().Works(wellknown.MemberNamespace(cluster)).List(labels.Everything())
	var there, perhaps []string
	for _, work := range works {
		switch {
		case len(work.Status.Conditions) > 0:
			there = append(there, work.Name)
		case reconcile.HasFinalizer(work, wellknown.WorkCleanupFinalizer):
			perhaps = append(perhaps, work.Name)
		}
	}
	slices.Sort(there)
	slices.Sort(perhaps)
	said := "The store id stays on the member"
	if len(there) > 0 {
		said = fmt.Sprintf("The store id and %s stay on the member, with what they have placed (%s)", wording.Count(len(there), "AppliedWork"), wording.List(there))
	}
	if len(perhaps) > 0 {
		said += fmt.Sprintf(", and perhaps %d more that it has not told of (%s)", len(perhaps), wording.List(perhaps))
	}
	if len(there)+len(perhaps) > 0 {
		said += "; their status lists the objects to delete, and the AppliedWorks take kubectl delete and the removal of their finalizer"
	}
	return said
}

// waitFor returns how much longer to wait for a leaving member, 0 for not at all.
func (c *Controller) waitFor(cluster *v1beta1.MemberCluster, seen inspect.Observation) time.Duration {
	if seen.Failure == nil || seen.Failure.Revokes() {
		return 0
	}
	if options := cluster.Spec.DeleteOptions; options != nil && options.ValidationMode == v1beta1.DeleteValidationModeSkip {
		return 0
	}
	return max(c.forceLeave(cluster).Sub(c.clock.Now()), 0)
}

// forceLeave is when a member is no longer waited for.
func (c *Controller) forceLeave(cluster *v1beta1.MemberCluster) time.Time {
	return cluster.DeletionTimestamp.Add(c.options.ForceDeleteWait)
}

func (c *Controller) leavingMessage(cluster *v1beta1.MemberCluster, f *inspect.Failure) string {
	return fmt.Sprintf("Cleaning up on the member is tried until %s, then the cluster leaves without it; "+
		"set spec.deleteOptions.validationMode to Skip to go on at once. %s",
		c.forceLeave(cluster).UTC().Format(time.TimeOnly+"Z"), f.Message)
}

func (c *Controller) waitUntilIdle(ctx context.Context, cluster string) error {
	timeout := c.clock.NewTimer(idleTimeout)
	defer timeout.Stop()
	select {
	case <-c.directory.Idle(cluster):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C():
		return fmt.Errorf("member %s is still being applied to", cluster)
	}
}

// askToLeave tells an agent that serves the member, if there is one.
func (c *Controller) askToLeave(ctx context.Context, internal *v1beta1.InternalMemberCluster) error {
	if internal == nil || internal.Spec.State == v1beta1.ClusterStateLeave || !internal.DeletionTimestamp.IsZero() {
		return nil
	}
	internal = internal.DeepCopy()
	internal.Spec.State = v1beta1.ClusterStateLeave
	_, err := c.fleet.Clientset.ClusterV1beta1().InternalMemberClusters(internal.Namespace).Update(ctx, internal, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("updating InternalMemberCluster %s/%s: %w", internal.Namespace, internal.Name, err)
	}
	return nil
}

// clearHub removes what the hub has of a member, and reports whether all of it is gone.
func (c *Controller) clearHub(ctx context.Context, cluster string) (bool, error) {
	name := wellknown.MemberNamespace(cluster)
	// Works go before their namespace, which they would hold.
	if err := c.removeWorks(ctx, name); err != nil {
		return false, err
	}
	err := c.fleet.Clientset.ClusterV1beta1().InternalMemberClusters(name).Delete(ctx, cluster, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("deleting InternalMemberCluster %s/%s: %w", name, cluster, err)
	}
	namespace, err := c.hub.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("namespace %s on the hub: %w", name, err)
	case namespace.Labels[wellknown.FleetResourceLabel] != "true":
		// Only with the label the end of the namespace is seen.
		return false, c.ownNamespace(ctx, namespace)
	case !namespace.DeletionTimestamp.IsZero():
		return false, nil
	}
	err = c.hub.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(namespace.UID))})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("deleting namespace %s on the hub: %w", name, err)
	}
	return false, nil
}

// removeWorks removes the Works of a namespace without what they mean for the member: a Work is never seen with a deletion
// timestamp, since it has no finalizer when it is deleted, or is not deleted.
func (c *Controller) removeWorks(ctx context.Context, namespace string) error {
	client := c.fleet.Clientset.PlacementV1beta1().Works(namespace)
	works, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing Works in %s: %w", namespace, err)
	}
	var failed []error
	for i := range works.Items {
		work := &works.Items[i]
		if reconcile.RemoveFinalizer(work, wellknown.WorkCleanupFinalizer) {
			if work, err = client.Update(ctx, work, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
				failed = append(failed, ignoreNotFound(err, "releasing Work", namespace, works.Items[i].Name))
				continue
			}
		}
		if !work.DeletionTimestamp.IsZero() {
			continue
		}
		err := client.Delete(ctx, work.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &work.UID, ResourceVersion: &work.ResourceVersion},
		})
		failed = append(failed, ignoreNotFound(err, "deleting Work", namespace, work.Name))
	}
	return errors.Join(failed...)
}

func ignoreNotFound(err error, what, namespace, name string) error {
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("%s %s/%s: %w", what, namespace, name, err)
}

// release lets the MemberCluster go.
func (c *Controller) release(ctx context.Context, cluster *v1beta1.MemberCluster) error {
	c.forget(cluster.Name)
	cluster = cluster.DeepCopy()
	reconcile.RemoveFinalizer(cluster, wellknown.MemberClusterFinalizer)
	_, err := c.fleet.Clientset.ClusterV1beta1().MemberClusters().Update(ctx, cluster, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("releasing MemberCluster %s: %w", cluster.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Left the fleet")
	return nil
}

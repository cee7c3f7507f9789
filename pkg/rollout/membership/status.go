// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
)

// reporter sets the conditions of a MemberCluster, all for the generation that was looked at.
type reporter struct {
	inspect.Reporter
	cluster *v1beta1.MemberCluster
}

func newReporter(cluster *v1beta1.MemberCluster) reporter {
	return reporter{inspect.Reporter{Status: cluster.Status.DeepCopy(), Generation: cluster.Generation, Period: period(cluster)}, cluster}
}

// write stores what was reported if it differs, in the InternalMemberCluster as well if there is one, and tells of transitions.
func (c *Controller) write(ctx context.Context, r reporter, internal *v1beta1.InternalMemberCluster) error {
	if internal != nil && inspect.Agent(r.Status) != nil {
		if err := c.writeInternal(ctx, r, internal); err != nil {
			return err
		}
	}
	if equality.Semantic.DeepEqual(&r.cluster.Status, r.Status) {
		return nil
	}
	cluster := r.cluster.DeepCopy()
	cluster.Status = *r.Status
	if _, err := c.fleet.Clientset.ClusterV1beta1().MemberClusters().UpdateStatus(ctx, cluster, metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("status of MemberCluster %s: %w", cluster.Name, err)
	}
	c.tell(ctx, r)
	return nil
}

// writeInternal writes what an agent of the member would report.
func (c *Controller) writeInternal(ctx context.Context, r reporter, internal *v1beta1.InternalMemberCluster) error {
	status := inspect.Internal(r.Status, internal.Generation)
	if equality.Semantic.DeepEqual(internal.Status, status) {
		return nil
	}
	internal = internal.DeepCopy()
	internal.Status = status
	if _, err := c.fleet.Clientset.ClusterV1beta1().InternalMemberClusters(internal.Namespace).UpdateStatus(ctx, internal,
		metav1.UpdateOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("status of InternalMemberCluster %s/%s: %w", internal.Namespace, internal.Name, err)
	}
	return nil
}

// tell makes an Event of each condition that has changed its status or its reason.
func (c *Controller) tell(ctx context.Context, r reporter) {
	told := sets.New[string]()
	for _, now := range r.Status.Conditions {
		before := meta.FindStatusCondition(r.cluster.Status.Conditions, now.Type)
		if before != nil && before.Status == now.Status && before.Reason == now.Reason {
			continue
		}
		klog.FromContext(ctx).V(2).Info("Condition changed", "condition", now.Type, "status", now.Status, "reason", now.Reason)
		// That a report was made once more is no news.
		if now.Status == metav1.ConditionTrue && !inspect.IsNoReport(now) && now.Type != v1beta1.ConditionTypeClusterPropertyProviderStarted {
			continue
		}
		// What ails a member that has not joined is in two conditions, and one Event.
		if told.Has(now.Reason) {
			continue
		}
		told.Insert(now.Reason)
		level := corev1.EventTypeWarning
		if now.Status == metav1.ConditionTrue || now.Reason == inspect.ReasonLeft || now.Reason == inspect.ReasonLeaving {
			level = corev1.EventTypeNormal
		}
		c.recorder.Event(r.cluster, level, now.Reason, now.Message)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package binding is what rolling out means for one binding: which version it is to hold, and that the rollout has started. It does
// not decide which cluster gets which version.
package binding

import (
	"context"
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/conditions"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
)

// ReasonRolloutStarted is the reason of a True RolloutStarted condition.
const ReasonRolloutStarted = "RolloutStarted"

// Version is what a cluster is to hold.
type Version struct {
	// ResourceSnapshot is the name of the master snapshot.
	ResourceSnapshot string
	// ClusterOverrides and Overrides are the override snapshots in force.
	ClusterOverrides []string
	Overrides        []v1beta1.NamespacedName
	// ApplyStrategy says how to apply it.
	ApplyStrategy *v1beta1.ApplyStrategy
}

// Holds says whether a binding asks for a version already. Whether the cluster has it yet is in the binding's status.
func Holds(spec *v1beta1.ResourceBindingSpec, v Version) bool {
	return spec.State == v1beta1.BindingStateBound &&
		spec.ResourceSnapshotName == v.ResourceSnapshot &&
		slices.Equal(spec.ClusterResourceOverrideSnapshots, v.ClusterOverrides) &&
		slices.Equal(spec.ResourceOverrideSnapshots, v.Overrides) &&
		apiequality.Semantic.DeepEqual(spec.ApplyStrategy, v.ApplyStrategy)
}

// Started says whether the rollout of what a binding asks for was announced.
func Started(b v1beta1.BindingObject) bool {
	return conditions.IsTrue(b.BindingStatus().Conditions, v1beta1.BindingRolloutStarted, b.GetGeneration())
}

// Start has a binding ask for a version and announces that with a message. A binding that does so already is left as it is.
func Start(ctx context.Context, bindings fleet.Kind[v1beta1.BindingObject], b v1beta1.BindingObject, v Version, message string, now time.Time) error {
	if Holds(b.BindingSpec(), v) && Started(b) {
		return nil
	}
	b = fleet.Copy(b)
	spec := b.BindingSpec()
	spec.State = v1beta1.BindingStateBound
	spec.ResourceSnapshotName = v.ResourceSnapshot
	spec.ClusterResourceOverrideSnapshots = v.ClusterOverrides
	spec.ResourceOverrideSnapshots = v.Overrides
	spec.ApplyStrategy = v.ApplyStrategy
	_, err := Rollout(ctx, bindings, b, message, now)
	return err
}

// Rollout writes a binding as it is given, which it changes, and that its rollout has started, and returns it as it is stored then.
func Rollout(ctx context.Context, bindings fleet.Kind[v1beta1.BindingObject], b v1beta1.BindingObject, message string, now time.Time) (v1beta1.BindingObject, error) {
	announce(b, metav1.ConditionTrue, ReasonRolloutStarted, message, now)
	return bindings.Client(b.GetNamespace()).UpdateRollout(ctx, b, metav1.UpdateOptions{})
}

// Hold announces that the rollout of what a binding asks for has not started.
func Hold(ctx context.Context, bindings fleet.Kind[v1beta1.BindingObject], b v1beta1.BindingObject, reason, message string, now time.Time) error {
	b = fleet.Copy(b)
	announce(b, metav1.ConditionFalse, reason, message, now)
	_, err := bindings.Client(b.GetNamespace()).UpdateStatus(ctx, b, metav1.UpdateOptions{})
	return err
}

// announce sets the RolloutStarted condition of a binding's present generation; where the spec is written along with it, the server
// makes that the new one. The condition is made anew, so that its time is that of this rollout.
func announce(b v1beta1.BindingObject, status metav1.ConditionStatus, reason, message string, now time.Time) {
	list := &b.BindingStatus().Conditions
	meta.RemoveStatusCondition(list, v1beta1.BindingRolloutStarted)
	*list = slices.Insert(*list, 0, metav1.Condition{
		Type:               v1beta1.BindingRolloutStarted,
		Status:             status,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: b.GetGeneration(),
		LastTransitionTime: metav1.NewTime(now),
	})
}

// Ready says whether a binding's cluster has what it asks for, or has reported how it differs where nothing is applied.
func Ready(b v1beta1.BindingObject) bool {
	list, generation := b.BindingStatus().Conditions, b.GetGeneration()
	return conditions.IsTrue(list, v1beta1.BindingAvailable, generation) || conditions.IsTrue(list, v1beta1.BindingDiffReported, generation)
}

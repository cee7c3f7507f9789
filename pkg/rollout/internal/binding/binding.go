// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package binding writes what rolling out means for one binding: the version that it asks for, together with that the rollout has
// started. What a binding says is told by pkg/rules/binding; which cluster gets which version is for those to decide who write.
package binding

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// ReasonRolloutStarted is the reason of a True RolloutStarted condition.
const ReasonRolloutStarted = "RolloutStarted"

// Start has a binding ask for a version and announces that with a message. A binding that does so already is left as it is.
func Start(ctx context.Context, bindings fleet.Kind[v1beta1.BindingObject], b v1beta1.BindingObject, v bindingrules.Version, message string, now time.Time) error {
	if bindingrules.Holds(b.BindingSpec(), v) && bindingrules.IsRolloutStarted(b) {
		return nil
	}
	spec := b.BindingSpec().DeepCopy()
	bindingrules.Ask(spec, v)
	return change(ctx, bindings, b, spec, message, now)
}

// Restrain has a binding ask for what it asks for with another apply strategy.
func Restrain(ctx context.Context, bindings fleet.Kind[v1beta1.BindingObject], b v1beta1.BindingObject, strategy *v1beta1.ApplyStrategy, message string, now time.Time) error {
	spec := b.BindingSpec().DeepCopy()
	spec.ApplyStrategy = strategy
	return change(ctx, bindings, b, spec, message, now)
}

func change(ctx context.Context, bindings fleet.Kind[v1beta1.BindingObject], b v1beta1.BindingObject, spec *v1beta1.ResourceBindingSpec, message string, now time.Time) error {
	b = fleet.Copy(b)
	bindingrules.Become(b, spec)
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
// makes that the new one. The condition is replaced, so that its time is that of this rollout.
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

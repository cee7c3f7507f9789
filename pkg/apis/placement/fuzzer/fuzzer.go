// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fuzzer fills the types of the placement API group with random values that the server could hold. It is for tests
// only and knows nothing of what is valid beyond defaults.
package fuzzer

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeserializer "k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Funcs returns the fill functions of the group. They leave no defaulted field empty, since decoding would fill it, and embedded
// objects are JSON.
func Funcs(runtimeserializer.CodecFactory) []any {
	return append(embedded(), append(placements(), rollouts()...)...)
}

// embedded are the values that are JSON of any shape.
func embedded() []any {
	return []any{
		func(object *runtime.RawExtension, c randfill.Continue) {
			*object = runtime.RawExtension{Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm-%d"}}`, c.Int31())}
		},
		func(value *apiextensionsv1.JSON, c randfill.Continue) {
			*value = apiextensionsv1.JSON{Raw: fmt.Appendf(nil, `{"replicas":%d}`, c.Int31())}
		},
	}
}

// placements are the types of placements, policies and overrides.
func placements() []any {
	return []any{
		func(spec *v1beta1.PlacementSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.RevisionHistoryLimit = ptr.To(1 + c.Int31n(1000))
			spec.StatusReportingScope = oneOf(c, v1beta1.ClusterScopeOnly, v1beta1.NamespaceAccessible)
		},
		func(term *v1beta1.ResourceSelectorTerm, c randfill.Continue) {
			c.FillNoCustom(term)
			term.SelectionScope = oneOf(c, v1beta1.NamespaceOnly, v1beta1.NamespaceWithResources, v1beta1.NamespaceWithResourceSelectors)
		},
		func(policy *v1beta1.PlacementPolicy, c randfill.Continue) {
			c.FillNoCustom(policy)
			policy.PlacementType = oneOf(c, v1beta1.PickAllPlacementType, v1beta1.PickNPlacementType, v1beta1.PickFixedPlacementType)
		},
		func(constraint *v1beta1.TopologySpreadConstraint, c randfill.Continue) {
			c.FillNoCustom(constraint)
			constraint.MaxSkew = ptr.To(1 + c.Int31n(10))
			constraint.WhenUnsatisfiable = oneOf(c, v1beta1.DoNotScheduleUnsatisfiableConstraint, v1beta1.ScheduleAnywayUnsatisfiableConstraint)
		},
		func(toleration *v1beta1.Toleration, c randfill.Continue) {
			c.FillNoCustom(toleration)
			toleration.Operator = oneOf(c, v1beta1.TolerationOpEqual, v1beta1.TolerationOpExists)
		},
		func(envelope *v1beta1.EnvelopeIdentifier, c randfill.Continue) {
			c.FillNoCustom(envelope)
			envelope.Type = oneOf(c, v1beta1.ConfigMapEnvelopeType, v1beta1.ClusterResourceEnvelopeType, v1beta1.ResourceEnvelopeType)
		},
		func(ref *v1beta1.PlacementRef, c randfill.Continue) {
			c.FillNoCustom(ref)
			ref.Scope = oneOf(c, v1beta1.ClusterScoped, v1beta1.NamespaceScoped)
		},
		func(rule *v1beta1.OverrideRule, c randfill.Continue) {
			c.FillNoCustom(rule)
			rule.OverrideType = oneOf(c, v1beta1.JSONPatchOverrideType, v1beta1.DeleteOverrideType)
		},
	}
}

// rollouts are the types that say how a version reaches the clusters.
func rollouts() []any {
	return []any{
		func(strategy *v1beta1.RolloutStrategy, c randfill.Continue) {
			c.FillNoCustom(strategy)
			strategy.Type = oneOf(c, v1beta1.RollingUpdateRolloutStrategyType, v1beta1.ExternalRolloutStrategyType)
		},
		func(config *v1beta1.RollingUpdateConfig, c randfill.Continue) {
			config.MaxUnavailable, config.MaxSurge = share(c), share(c)
			config.UnavailablePeriodSeconds = ptr.To(c.Intn(600))
		},
		func(strategy *v1beta1.ApplyStrategy, c randfill.Continue) {
			c.FillNoCustom(strategy)
			strategy.ComparisonOption = oneOf(c, v1beta1.ComparisonOptionTypePartialComparison, v1beta1.ComparisonOptionTypeFullComparison)
			strategy.WhenToApply = oneOf(c, v1beta1.WhenToApplyTypeAlways, v1beta1.WhenToApplyTypeIfNotDrifted)
			strategy.Type = oneOf(c, v1beta1.ApplyStrategyTypeClientSideApply, v1beta1.ApplyStrategyTypeServerSideApply, v1beta1.ApplyStrategyTypeReportDiff)
			strategy.WhenToTakeOver = oneOf(c, v1beta1.WhenToTakeOverTypeAlways, v1beta1.WhenToTakeOverTypeIfNoDiff, v1beta1.WhenToTakeOverTypeNever)
		},
		func(strategy *v1beta1.DeleteStrategy, c randfill.Continue) {
			strategy.PropagationPolicy = oneOf(c, v1beta1.DeletePropagationPolicyAbandon, v1beta1.DeletePropagationPolicyDelete)
		},
		func(strategy *v1beta1.ReportBackStrategy, c randfill.Continue) {
			c.FillNoCustom(strategy)
			strategy.Type = oneOf(c, v1beta1.ReportBackStrategyTypeDisabled, v1beta1.ReportBackStrategyTypeMirror)
		},
		func(stage *v1beta1.StageConfig, c randfill.Continue) {
			c.FillNoCustom(stage)
			stage.MaxConcurrency = share(c)
		},
		func(policy *v1beta1.FailurePolicy, c randfill.Continue) {
			c.FillNoCustom(policy)
			policy.OnFailure = oneOf(c, v1beta1.FailureActionFail, v1beta1.FailureActionPause, v1beta1.FailureActionRollback)
		},
		func(spec *v1beta1.UpdateRunSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.State = oneOf(c, v1beta1.StateInitialize, v1beta1.StateRun, v1beta1.StateStop)
		},
	}
}

func oneOf[T any](c randfill.Continue, values ...T) T {
	return values[c.Intn(len(values))]
}

// share is a number of clusters or a percentage of them.
func share(c randfill.Continue) *intstr.IntOrString {
	n := 1 + c.Int31n(100)
	if c.Bool() {
		return ptr.To(intstr.FromInt32(n))
	}
	return ptr.To(intstr.FromString(fmt.Sprintf("%d%%", n)))
}

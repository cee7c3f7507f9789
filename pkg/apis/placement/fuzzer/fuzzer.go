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

	"github.com/stagegate/stagegate/pkg/apis/placement"
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
		func(spec *placement.PlacementSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.RevisionHistoryLimit = ptr.To(1 + c.Int31n(1000))
			spec.StatusReportingScope = oneOf(c, placement.ClusterScopeOnly, placement.NamespaceAccessible)
		},
		func(term *placement.ResourceSelectorTerm, c randfill.Continue) {
			c.FillNoCustom(term)
			term.SelectionScope = oneOf(c, placement.NamespaceOnly, placement.NamespaceWithResources, placement.NamespaceWithResourceSelectors)
		},
		func(policy *placement.PlacementPolicy, c randfill.Continue) {
			c.FillNoCustom(policy)
			policy.PlacementType = oneOf(c, placement.PickAllPlacementType, placement.PickNPlacementType, placement.PickFixedPlacementType)
		},
		func(constraint *placement.TopologySpreadConstraint, c randfill.Continue) {
			c.FillNoCustom(constraint)
			constraint.MaxSkew = ptr.To(1 + c.Int31n(10))
			constraint.WhenUnsatisfiable = oneOf(c, placement.DoNotScheduleUnsatisfiableConstraint, placement.ScheduleAnywayUnsatisfiableConstraint)
		},
		func(toleration *placement.Toleration, c randfill.Continue) {
			c.FillNoCustom(toleration)
			toleration.Operator = oneOf(c, placement.TolerationOpEqual, placement.TolerationOpExists)
		},
		func(envelope *placement.EnvelopeIdentifier, c randfill.Continue) {
			c.FillNoCustom(envelope)
			envelope.Type = oneOf(c, placement.ConfigMapEnvelopeType, placement.ClusterResourceEnvelopeType, placement.ResourceEnvelopeType)
		},
		func(ref *placement.PlacementRef, c randfill.Continue) {
			c.FillNoCustom(ref)
			ref.Scope = oneOf(c, placement.ClusterScoped, placement.NamespaceScoped)
		},
		func(rule *placement.OverrideRule, c randfill.Continue) {
			c.FillNoCustom(rule)
			rule.OverrideType = oneOf(c, placement.JSONPatchOverrideType, placement.DeleteOverrideType)
		},
	}
}

// rollouts are the types that say how a version reaches the clusters.
func rollouts() []any {
	return []any{
		func(strategy *placement.RolloutStrategy, c randfill.Continue) {
			c.FillNoCustom(strategy)
			strategy.Type = oneOf(c, placement.RollingUpdateRolloutStrategyType, placement.ExternalRolloutStrategyType)
		},
		func(config *placement.RollingUpdateConfig, c randfill.Continue) {
			config.MaxUnavailable, config.MaxSurge = share(c), share(c)
			config.UnavailablePeriodSeconds = ptr.To(c.Intn(600))
		},
		func(strategy *placement.ApplyStrategy, c randfill.Continue) {
			c.FillNoCustom(strategy)
			strategy.ComparisonOption = oneOf(c, placement.ComparisonOptionTypePartialComparison, placement.ComparisonOptionTypeFullComparison)
			strategy.WhenToApply = oneOf(c, placement.WhenToApplyTypeAlways, placement.WhenToApplyTypeIfNotDrifted)
			strategy.Type = oneOf(c, placement.ApplyStrategyTypeClientSideApply, placement.ApplyStrategyTypeServerSideApply, placement.ApplyStrategyTypeReportDiff)
			strategy.WhenToTakeOver = oneOf(c, placement.WhenToTakeOverTypeAlways, placement.WhenToTakeOverTypeIfNoDiff, placement.WhenToTakeOverTypeNever)
		},
		func(strategy *placement.DeleteStrategy, c randfill.Continue) {
			strategy.PropagationPolicy = oneOf(c, placement.DeletePropagationPolicyAbandon, placement.DeletePropagationPolicyDelete)
		},
		func(strategy *placement.ReportBackStrategy, c randfill.Continue) {
			c.FillNoCustom(strategy)
			strategy.Type = oneOf(c, placement.ReportBackStrategyTypeDisabled, placement.ReportBackStrategyTypeMirror)
		},
		func(stage *placement.StageConfig, c randfill.Continue) {
			c.FillNoCustom(stage)
			stage.MaxConcurrency = share(c)
		},
		func(policy *placement.FailurePolicy, c randfill.Continue) {
			c.FillNoCustom(policy)
			policy.OnFailure = oneOf(c, placement.FailureActionFail, placement.FailureActionPause, placement.FailureActionRollback)
		},
		func(spec *placement.UpdateRunSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.State = oneOf(c, placement.StateInitialize, placement.StateRun, placement.StateStop)
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

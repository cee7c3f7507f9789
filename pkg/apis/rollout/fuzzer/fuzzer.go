// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fuzzer fills the types of the rollout API group with random values that the server could hold. It is for tests
// only and knows nothing of what is valid beyond defaults.
package fuzzer

import (
	runtimeserializer "k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// Funcs returns the fill functions of the group. They leave no defaulted field empty, since decoding would fill it.
func Funcs(runtimeserializer.CodecFactory) []any {
	return []any{
		func(spec *v1alpha1.RolloutPolicySpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.Enforcement = v1alpha1.PolicyEnforcementEnforce
			if c.Bool() {
				spec.Enforcement = v1alpha1.PolicyEnforcementWarn
			}
		},
		func(rule *v1alpha1.ApprovalRule, c randfill.Continue) {
			c.FillNoCustom(rule)
			positions := []v1alpha1.ApprovalPosition{v1alpha1.ApprovalBefore, v1alpha1.ApprovalAfter, v1alpha1.ApprovalAny}
			rule.Position = positions[c.Intn(len(positions))]
			rule.Required = 1 + c.Int31n(10)
		},
		func(spec *v1alpha1.NotificationSinkSpec, c randfill.Continue) {
			c.FillNoCustom(spec)
			spec.Format = v1alpha1.NotificationFormatCloudEvents
			if c.Bool() {
				spec.Format = v1alpha1.NotificationFormatSlack
			}
		},
	}
}

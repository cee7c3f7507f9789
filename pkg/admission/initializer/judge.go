// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package initializer

import (
	"context"

	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// PolicyJudge knows what policies are asked about. An error is one of the API: ServiceUnavailable where it cannot be told.
type PolicyJudge interface {
	// Judge returns what the rollout policies that bind a run say of the plan that it would have now. It does not change the run. known is
	// false while there is no plan.
	Judge(ctx context.Context, run v1beta1.UpdateRunObject) (verdict policy.Verdict, known bool, err error)
	// RemovalHandovers returns what a placement hands over to others once its resources are taken off clusters.
	RemovalHandovers(ctx context.Context, placement v1beta1.PlacementObject, clusters []string) ([]policy.Handover, error)
}

// WantsPolicyJudge is a plugin that asks what policies say of a run.
type WantsPolicyJudge interface {
	SetPolicyJudge(PolicyJudge)
	admission.InitializationValidator
}

// NewPolicyJudge makes an initializer that hands out the judge.
func NewPolicyJudge(judge PolicyJudge) admission.PluginInitializer { return judgeInitializer{judge} }

type judgeInitializer struct{ judge PolicyJudge }

// Initialize implements admission.PluginInitializer.
func (i judgeInitializer) Initialize(plugin admission.Interface) {
	if wants, ok := plugin.(WantsPolicyJudge); ok {
		wants.SetPolicyJudge(i.judge)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// strategy is an apply strategy with its defaults.
type strategy struct{ v1beta1.ApplyStrategy }

func strategyOf(work *v1beta1.Work) strategy {
	s := strategy{ptr.Deref(work.Spec.ApplyStrategy, v1beta1.ApplyStrategy{})}
	if s.Type == "" {
		s.Type = v1beta1.ApplyStrategyTypeClientSideApply
	}
	if s.ComparisonOption == "" {
		s.ComparisonOption = v1beta1.ComparisonOptionTypePartialComparison
	}
	if s.WhenToApply == "" {
		s.WhenToApply = v1beta1.WhenToApplyTypeAlways
	}
	if s.WhenToTakeOver == "" {
		s.WhenToTakeOver = v1beta1.WhenToTakeOverTypeAlways
	}
	return s
}

// writes is false where differences are reported and the member is left alone.
func (s strategy) writes() bool { return s.Type != v1beta1.ApplyStrategyTypeReportDiff }

func (s strategy) force() bool {
	return s.ServerSideApplyConfig != nil && s.ServerSideApplyConfig.ForceConflicts
}

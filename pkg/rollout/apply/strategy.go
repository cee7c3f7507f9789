// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// strategy is an apply strategy with its defaults.
type strategy struct{ v1beta1.ApplyStrategy }

func strategyOf(work *v1beta1.Work) strategy {
	return strategy{*work.Spec.ApplyStrategy.WithDefaults()}
}

// writes is false where differences are reported and the member is left alone.
func (s strategy) writes() bool { return s.Type != v1beta1.ApplyStrategyTypeReportDiff }

func (s strategy) force() bool {
	return s.ServerSideApplyConfig != nil && s.ServerSideApplyConfig.ForceConflicts
}

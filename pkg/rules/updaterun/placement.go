// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// IsExternal reports whether the clusters of a placement are moved by runs and nothing else.
func IsExternal(spec *v1beta1.PlacementSpec) bool {
	return spec.Strategy.Type == v1beta1.ExternalRolloutStrategyType
}

// CheckExternal returns an error unless the clusters of a placement are moved by runs and nothing else.
func CheckExternal(placement v1beta1.PlacementObject) error {
	if IsExternal(placement.PlacementSpec()) {
		return nil
	}
	strategy := cmp.Or(placement.PlacementSpec().Strategy.Type, v1beta1.RollingUpdateRolloutStrategyType)
	return fmt.Errorf("parent placement does not have an external rollout strategy, current strategy: %s; set its spec.strategy.type to External", strategy)
}

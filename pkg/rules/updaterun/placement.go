// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// CheckExternal returns an error unless the clusters of a placement are moved by runs and nothing else.
func CheckExternal(placement v1beta1.PlacementObject) error {
	strategy := placement.PlacementSpec().Strategy.Type
	switch strategy {
	case v1beta1.ExternalRolloutStrategyType:
		return nil
	case "":
		strategy = v1beta1.RollingUpdateRolloutStrategyType
	}
	return fmt.Errorf("parent placement does not have an external rollout strategy, current strategy: %s", strategy)
}

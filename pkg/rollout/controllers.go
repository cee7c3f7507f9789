// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stagegate/stagegate/pkg/rollout/apply"
	"github.com/stagegate/stagegate/pkg/rollout/membership"
	"github.com/stagegate/stagegate/pkg/rollout/override"
	"github.com/stagegate/stagegate/pkg/rollout/placementstatus"
	"github.com/stagegate/stagegate/pkg/rollout/rollingupdate"
	"github.com/stagegate/stagegate/pkg/rollout/scheduling"
	"github.com/stagegate/stagegate/pkg/rollout/snapshot"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun"
	"github.com/stagegate/stagegate/pkg/rollout/work"
)

// Controllers are the names of all loops, in the direction in which data flows.
var Controllers = []string{
	membership.Name,
	snapshot.Name,
	override.Name,
	scheduling.Name,
	rollingupdate.Name,
	updaterun.Name,
	work.Name,
	apply.Name,
	placementstatus.Name,
}

// ValidateControllers refuses a choice of loops that names one which does not exist.
func ValidateControllers(choice []string) error {
	for _, c := range choice {
		if name := strings.TrimPrefix(c, "-"); c != "*" && !slices.Contains(Controllers, name) {
			return fmt.Errorf("%q is no controller; there are %s, and * for all", c, strings.Join(Controllers, ", "))
		}
	}
	return nil
}

// enabled says whether a loop is chosen: named, or meant by * and not taken out with a minus sign.
func enabled(name string, choice []string) bool {
	return slices.Contains(choice, name) || slices.Contains(choice, "*") && !slices.Contains(choice, "-"+name)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

// Planner says what a run would do, without doing it.
type Planner interface {
	// Plan is the status that run would have once it is initialised, or with Initialized False where it could not be, and what
	// in it is probably not meant. It does not change run. Errors are API errors: ServiceUnavailable while what the plan is made
	// from is not known yet.
	Plan(ctx context.Context, run placement.UpdateRunObject) (status *placement.UpdateRunStatus, warnings []string, err error)
}

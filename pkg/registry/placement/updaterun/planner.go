// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Planner says what a run would do, without doing it.
type Planner interface {
	// Plan is the status that run would have once it is initialised, or with Initialized False where it could not be, and what
	// in it is probably not meant. It does not change run. Errors are API errors: ServiceUnavailable while what the plan is made
	// from is not known yet.
	Plan(ctx context.Context, run v1beta1.UpdateRunObject) (status *v1beta1.UpdateRunStatus, warnings []string, err error)
}

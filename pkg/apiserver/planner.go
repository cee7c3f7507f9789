// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
)

// RunPlanner says what an update run would do, in the version that the loops work on.
type RunPlanner interface {
	// Plan returns the status that the run would have once it is initialised, and warnings. Its errors are API errors.
	Plan(ctx context.Context, run v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error)
}

// planner lets the registry, which works on internal types, ask a RunPlanner.
type planner struct{ RunPlanner }

var _ updaterun.Planner = planner{}

// Plan says what the status of the run would be once it is initialised.
func (p planner) Plan(ctx context.Context, run placement.UpdateRunObject) (*placement.UpdateRunStatus, []string, error) {
	versioned, err := scheme.Scheme.ConvertToVersion(run, v1beta1.SchemeGroupVersion)
	if err != nil {
		return nil, nil, fmt.Errorf("update run %s: %w", run.GetName(), err)
	}
	status, warnings, err := p.RunPlanner.Plan(ctx, versioned.(v1beta1.UpdateRunObject))
	if err != nil || status == nil {
		return nil, warnings, err
	}
	var internal placement.UpdateRunStatus
	if err := scheme.Scheme.Convert(status, &internal, nil); err != nil {
		return nil, nil, fmt.Errorf("plan of update run %s: %w", run.GetName(), err)
	}
	return &internal, warnings, nil
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// judge is what admission asks about runs and removals. Admission is put together before the manager, which knows, so that the judge is there first and
// learns later whom to ask.
type judge struct {
	// knows is set before the server serves.
	knows initializer.PolicyJudge
	// nobody reports that the server has no manager: no run is ever planned.
	nobody bool
}

var _ initializer.PolicyJudge = &judge{}

// ask has the judge ask a manager. nil is a server without one.
func (j *judge) ask(manager initializer.PolicyJudge) {
	j.knows, j.nobody = manager, manager == nil
}

// Judge implements initializer.PolicyJudge.
func (j *judge) Judge(ctx context.Context, run v1beta1.UpdateRunObject) (policy.Verdict, bool, error) {
	switch {
	case j.knows != nil:
		return j.knows.Judge(ctx, run)
	case j.nobody:
		return policy.Verdict{}, false, nil
	}
	return policy.Verdict{}, false, errNotReady()
}

// RemovalHandovers implements initializer.PolicyJudge.
func (j *judge) RemovalHandovers(ctx context.Context, placement v1beta1.PlacementObject, clusters []string) ([]policy.Handover, error) {
	switch {
	case j.knows != nil:
		return j.knows.RemovalHandovers(ctx, placement, clusters)
	case j.nobody:
		return nil, nil
	}
	return nil, errNotReady()
}

func errNotReady() error {
	return apierrors.NewServiceUnavailable("the server is not put together yet, try again")
}

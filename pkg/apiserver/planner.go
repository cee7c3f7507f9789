// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
	rollout "github.com/stagegate/stagegate/pkg/rollout/updaterun"
)

const (
	// maxPlans is how many runs are planned at once: each reads what a placement selects, and patches it for every cluster.
	maxPlans = 8
	// maxPlansOfUser is how many of them are one user's, or of all ServiceAccounts of a namespace, so that no one can keep others from
	// planning.
	maxPlansOfUser = 2
	// retryPlanSeconds is after how many seconds a client that is turned away tries again.
	retryPlanSeconds = 5
)

// planner makes so many plans at once.
type planner struct {
	updaterun.Planner

	// planning counts the plans that are being made, by whom the user who waits for one counts as.
	planning rollout.Shares
}

var _ updaterun.Planner = &planner{}

func newPlanner(p updaterun.Planner) *planner {
	return &planner{Planner: p}
}

// Plan says what the status of the run would be once it is initialized. It fails with TooManyRequests where the user, or all users
// together, wait for as many plans as are made at once.
func (p *planner) Plan(ctx context.Context, run v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
	end, err := p.begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	return p.Planner.Plan(ctx, run)
}

// begin counts a plan until its end.
func (p *planner) begin(ctx context.Context) (end func(), err error) {
	name := ""
	if info, ok := genericapirequest.UserFrom(ctx); ok {
		name = registry.CountedAs(info)
	}
	end, isShare := p.planning.Begin(name, maxPlansOfUser, maxPlans)
	switch {
	case end != nil:
		return end, nil
	case isShare:
		return nil, apierrors.NewTooManyRequests(fmt.Sprintf("%d dry runs of yours are being planned, which is as many as a user, or the ServiceAccounts of a namespace together, may have at once: try again when one is done",
			maxPlansOfUser), retryPlanSeconds)
	}
	return nil, apierrors.NewTooManyRequests(fmt.Sprintf("%d dry runs are being planned, which is as many as there may be at once: try again later", maxPlans), retryPlanSeconds)
}

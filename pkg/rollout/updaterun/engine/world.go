// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// World is what Step looks at besides the run. Nothing in it is changed.
type World struct {
	// Placement of the run, nil where there is none.
	Placement v1beta1.PlacementObject
	// Bindings of the placement.
	Bindings []v1beta1.BindingObject
	// Approvals has the approval requests that exist under the names that the run's tasks give, whoever made them.
	Approvals map[string]v1beta1.ApprovalRequestObject
	// Left are the clusters, among those the run is not done with, that have left the fleet or are leaving it.
	Left map[string]bool
	// Others are the other runs of the placement. A claim of the run is judged against them, so they have to be at least as new
	// as the run itself.
	Others []v1beta1.UpdateRunObject
	// Since is when the present leader began to look. Time in which nobody acted on a cluster is not held against it.
	Since time.Time
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rules/approval"
)

func columns(runHeader string) []store.Column[v1beta1.ApprovalRequestObject] {
	return []store.Column[v1beta1.ApprovalRequestObject]{
		{Name: runHeader, Description: "Run that waits.", Text: targetUpdateRun},
		{Name: "Stage", Description: "Stage that waits.", Text: targetStage},
		store.Condition("Approved", v1beta1.RequestApproved, conditions),
		store.Condition("ApprovalAccepted", v1beta1.RequestApprovalAccepted, conditions),
		store.Age[v1beta1.ApprovalRequestObject](),
		{Name: "Placement", Wide: true, Description: "Placement whose clusters the run moves.", Text: placementName},
		{Name: "Snapshot", Wide: true, Description: "Index of the resource snapshot that the run rolls out; empty for the removal of resources.", Text: snapshotIndex},
		{Name: "Clusters", Wide: true, Description: "Clusters of the stage.", Text: clusters},
		{Name: "Decided-By", Wide: true, Description: "Users who have approved or rejected.", Text: decidedBy},
		{Name: "Missing", Wide: true, Description: "What is missing yet.", Text: approval.Lacks},
		{Name: "Expires", Wide: true, Description: "Time after which the request cannot be approved any more.", Text: expires},
	}
}

// decisionColumns returns the columns of the subresources approve and reject.
func decisionColumns() []store.Column[*v1beta1.Approval] {
	type column = store.Column[*v1beta1.Approval]
	return []column{
		{Name: "Decision", Description: "Approved or Rejected.", Text: func(a *v1beta1.Approval) string {
			return cmp.Or(string(a.Status.Decision), store.None)
		}},
		{Name: "User", Description: "User who decided.", Text: func(a *v1beta1.Approval) string {
			if a.Status.DecidedBy == nil {
				return store.None
			}
			return a.Status.DecidedBy.Username
		}},
		{Name: "Time", Description: "Time when they did.", Text: func(a *v1beta1.Approval) string { return store.When(a.Status.DecidedAt) }},
		{Name: "Comment", Description: "Comment that they gave.", Text: func(a *v1beta1.Approval) string { return cmp.Or(a.Spec.Comment, store.None) }},
		{Name: "Missing", Wide: true, Description: "What is missing yet.", Text: func(a *v1beta1.Approval) string { return a.Status.Missing }},
	}
}

func targetUpdateRun(o v1beta1.ApprovalRequestObject) string {
	return o.RequestSpec().TargetUpdateRun
}

func targetStage(o v1beta1.ApprovalRequestObject) string { return o.RequestSpec().TargetStage }

func placementName(o v1beta1.ApprovalRequestObject) string { return rollout(o).PlacementName }

func snapshotIndex(o v1beta1.ApprovalRequestObject) string {
	return rollout(o).ResourceSnapshotIndex
}

// shownClusters is how many clusters the column names. A cell has no spaces after commas, as kubectl writes its own, so that it is
// no wording.First.
const shownClusters = 3

func clusters(o v1beta1.ApprovalRequestObject) string {
	told := rollout(o)
	named := told.Clusters[:min(len(told.Clusters), shownClusters)]
	text := strings.Join(named, ",")
	if more := int(told.ClusterCount) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// rollout returns what the request is about, empty if it does not say.
func rollout(o v1beta1.ApprovalRequestObject) v1beta1.StageRollout {
	if told := o.RequestSpec().Rollout; told != nil {
		return *told
	}
	return v1beta1.StageRollout{}
}

func conditions(o v1beta1.ApprovalRequestObject) []metav1.Condition {
	return o.RequestStatus().Conditions
}

func decidedBy(o v1beta1.ApprovalRequestObject) string {
	var names []string
	for _, d := range approval.Of(o).Decisions {
		names = append(names, d.User.Username)
	}
	return strings.Join(names, ",")
}

func expires(o v1beta1.ApprovalRequestObject) string {
	tally := approval.Of(o)
	expiry := tally.Expiry()
	if expiry.IsZero() || tally.Closing() != nil {
		return ""
	}
	return expiry.UTC().Format(time.RFC3339)
}

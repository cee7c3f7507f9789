// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

func columns(runHeader string) []store.Column[placement.ApprovalRequestObject] {
	return []store.Column[placement.ApprovalRequestObject]{
		{Name: runHeader, Description: "Run that waits.", Text: targetUpdateRun},
		{Name: "Stage", Description: "Stage that waits.", Text: targetStage},
		store.Condition("Approved", placement.RequestApproved, conditions),
		store.Condition("ApprovalAccepted", placement.RequestApprovalAccepted, conditions),
		store.Age[placement.ApprovalRequestObject](),
	}
}

func targetUpdateRun(o placement.ApprovalRequestObject) string {
	return o.RequestSpec().TargetUpdateRun
}

func targetStage(o placement.ApprovalRequestObject) string { return o.RequestSpec().TargetStage }

func conditions(o placement.ApprovalRequestObject) []metav1.Condition {
	return o.RequestStatus().Conditions
}

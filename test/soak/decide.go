// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// decide gives the approvals that are asked for, until the context ends.
func (f *fleet) decide(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, 2*again)
		requests, err := f.api.PlacementV1beta1().ClusterApprovalRequests().List(ctx, metav1.ListOptions{})
		if err != nil {
			continue
		}
		for i := range requests.Items {
			if request := &requests.Items[i]; !f.book.hasDecided(request.Name) {
				f.decideOn(ctx, request)
			}
		}
	}
}

// decideOn decides one request. One that was decided without an answer, since the server was killed meanwhile, says who did it when it
// is asked again.
func (f *fleet) decideOn(ctx context.Context, request *v1beta1.ClusterApprovalRequest) {
	run := f.book.run(request.Spec.TargetUpdateRun)
	if run == nil {
		// The answer to its creation is still on its way here.
		return
	}
	d := decision{uid: request.UID, decision: v1beta1.DecisionApproved, comment: "soak " + request.Name}
	decide := f.api.PlacementV1beta1().ClusterApprovalRequests().Approve
	if run.plan == rejected {
		d.decision, decide = v1beta1.DecisionRejected, f.api.PlacementV1beta1().ClusterApprovalRequests().Reject
	}
	_, err := decide(ctx, request.Name, &v1beta1.Approval{Spec: v1beta1.ApprovalSpec{Comment: d.comment}}, metav1.CreateOptions{})
	switch {
	case err == nil:
		f.book.decided(request.Name, d)
	case apierrors.IsInvalid(err) || apierrors.IsNotFound(err):
		f.book.violated("%s cannot be decided: %v", request.Name, err)
	}
}

// verify holds that nothing is lost which the server has said yes to before it is asked here.
func (f *fleet) verify(ctx context.Context) {
	entries, decisions := f.book.acknowledged()
	operations := f.book.operations()
	var runs *v1beta1.ClusterStagedUpdateRunList
	var requests *v1beta1.ClusterApprovalRequestList
	err := persist(ctx, func() (err error) {
		if runs, err = f.api.PlacementV1beta1().ClusterStagedUpdateRuns().List(ctx, metav1.ListOptions{}); err != nil {
			return err
		}
		requests, err = f.api.PlacementV1beta1().ClusterApprovalRequests().List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return
	}
	found := map[string]*v1beta1.ClusterStagedUpdateRun{}
	for i := range runs.Items {
		found[runs.Items[i].Name] = &runs.Items[i]
	}
	for name, e := range entries {
		switch run := found[name]; {
		case run == nil || run.UID != e.uid:
			f.book.violated("run %s was created, and is lost", name)
		case run.Spec.State != e.state && f.book.run(name).state == e.state:
			f.book.violated("run %s was told to %s, and is to %s", name, e.state, run.Spec.State)
		}
	}
	f.verifyOperations(found, operations)
	asked := map[string]*v1beta1.ClusterApprovalRequest{}
	for i := range requests.Items {
		asked[requests.Items[i].Name] = &requests.Items[i]
	}
	for name, d := range decisions {
		if why := lost(asked[name], d); why != "" {
			f.book.violated("%s of %s was acknowledged, and %s", d.decision, name, why)
		}
	}
}

// lost says what of a decision is missing, or nothing.
func lost(request *v1beta1.ClusterApprovalRequest, d decision) string {
	switch {
	case request == nil || request.UID != d.uid:
		return "the request is lost"
	case len(request.Status.Decisions) != 1:
		return fmt.Sprintf("the request has %d decisions", len(request.Status.Decisions))
	}
	stored := request.Status.Decisions[0]
	approved := meta.FindStatusCondition(request.Status.Conditions, v1beta1.RequestApproved)
	if stored.Decision != d.decision || stored.Comment != d.comment || approved == nil || (approved.Status == metav1.ConditionTrue) != (d.decision == v1beta1.DecisionApproved) {
		return fmt.Sprintf("the request says %+v, %+v", stored, approved)
	}
	return ""
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// act is what a user does to a request, and what comes of it.
type act struct {
	user     string
	decision v1beta1.DecisionType
	after    time.Duration
	// refused is in the error, and empty where there is none.
	refused string
	// approved is the condition afterwards, as "status message".
	approved string
	// decided are those whose decision is recorded afterwards.
	decided string
}

func TestAPolicySaysWhoseApprovalsOpenTheGate(t *testing.T) {
	const yes, no = v1beta1.DecisionApproved, v1beta1.DecisionRejected
	day := &metav1.Duration{Duration: 24 * time.Hour}
	tests := map[string]struct {
		policy *v1beta1.ApprovalPolicy
		acts   []act
	}{
		"none": {nil, []act{
			{user: "ann", decision: yes, approved: "True Approved by ann", decided: "ann"},
			{user: "ann", decision: yes, approved: "True Approved by ann", decided: "ann"},
			{user: "bob", decision: yes, refused: "already approved by ann", approved: "True Approved by ann", decided: "ann"},
			{user: "ann", decision: no, refused: "already approved by ann", approved: "True Approved by ann", decided: "ann"},
		}},
		"two": {&v1beta1.ApprovalPolicy{Required: 2}, []act{
			{user: "ann", decision: yes, approved: "Unknown 1 of 2 approvals", decided: "ann"},
			{user: "ann", decision: yes, approved: "Unknown 1 of 2 approvals", decided: "ann"},
			{user: "bob", decision: yes, approved: "True Approved by bob", decided: "ann,bob"},
			{user: "ann", decision: yes, approved: "True Approved by bob", decided: "ann,bob"},
			{user: "cy", decision: yes, refused: "already approved by bob", approved: "True Approved by bob", decided: "ann,bob"},
		}},
		"one rejection is enough": {&v1beta1.ApprovalPolicy{Required: 2}, []act{
			{user: "ann", decision: yes, approved: "Unknown 1 of 2 approvals", decided: "ann"},
			{user: "bob", decision: no, approved: "False Rejected by bob", decided: "ann,bob"},
			{user: "ann", decision: yes, refused: "already rejected by bob", approved: "False Rejected by bob", decided: "ann,bob"},
			{user: "bob", decision: no, approved: "False Rejected by bob", decided: "ann,bob"},
		}},
		"who approved can still reject": {&v1beta1.ApprovalPolicy{Required: 2}, []act{
			{user: "ann", decision: yes, approved: "Unknown 1 of 2 approvals", decided: "ann"},
			{user: "ann", decision: no, approved: "False Rejected by ann", decided: "ann,ann"},
		}},
		"one of a group": {&v1beta1.ApprovalPolicy{Required: 2, Groups: []string{"sre"}}, []act{
			{user: "ann", decision: yes, approved: "Unknown 1 of 2 approvals, one of them must be by a member of group sre", decided: "ann"},
			{user: "bob", decision: yes, refused: `user "bob" is not one`, approved: "Unknown 1 of 2 approvals, one of them must be by a member of group sre", decided: "ann"},
			{user: "sue", decision: yes, approved: "True Approved by sue", decided: "ann,sue"},
		}},
		"one of the group and of very many others": {&v1beta1.ApprovalPolicy{Groups: []string{"sre"}}, []act{
			{user: "max", decision: yes, approved: "True Approved by max", decided: "max"},
		}},
		"not who created the run": {&v1beta1.ApprovalPolicy{AllowRequester: ptr.To(false)}, []act{
			{user: "req", decision: yes, refused: `user "req" has created the run`},
			{user: "ann", decision: yes, approved: "True Approved by ann", decided: "ann"},
		}},
		"who created the run can reject": {&v1beta1.ApprovalPolicy{AllowRequester: ptr.To(false)}, []act{
			{user: "req", decision: no, approved: "False Rejected by req", decided: "req"},
		}},
		"in time": {&v1beta1.ApprovalPolicy{ExpiresAfter: day}, []act{
			{user: "ann", decision: yes, after: 24*time.Hour - time.Second, approved: "True Approved by ann", decided: "ann"},
			{user: "ann", decision: yes, after: 48 * time.Hour, approved: "True Approved by ann", decided: "ann"},
		}},
		"too late": {&v1beta1.ApprovalPolicy{ExpiresAfter: day}, []act{
			{user: "ann", decision: yes, after: 24 * time.Hour, refused: "expired at 2026-03-02T12:00:00Z"},
			{user: "ann", decision: no, after: 24 * time.Hour, refused: "expired at 2026-03-02T12:00:00Z"},
		}},
		"once more, when the time of the others is over": {&v1beta1.ApprovalPolicy{Required: 2, ExpiresAfter: day}, []act{
			{user: "ann", decision: yes, approved: "Unknown 1 of 2 approvals", decided: "ann"},
			{user: "ann", decision: yes, after: 24*time.Hour - time.Second, approved: "Unknown 1 of 2 approvals", decided: "ann"},
			{user: "ann", decision: yes, after: 24 * time.Hour, refused: "expired at 2026-03-02T12:00:00Z", approved: "Unknown 1 of 2 approvals", decided: "ann"},
		}},
	}
	allow := authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionAllow, "", nil
	})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(now)
			d := &decider{resource: schema.GroupResource{Resource: "approvalrequests"}, authorizer: allow, clock: clock}
			request := &v1beta1.ApprovalRequest{
				ObjectMeta: metav1.ObjectMeta{Name: "gate", UID: "request", CreationTimestamp: metav1.NewTime(now)},
				Spec:       v1beta1.ApprovalRequestSpec{Policy: tt.policy, Requester: &v1beta1.DecisionUser{Username: "req", UID: "uid-of-req"}},
			}
			for i, a := range tt.acts {
				clock.SetTime(now.Add(a.after))
				info := &user.DefaultInfo{Name: a.user, UID: "uid-of-" + a.user}
				switch a.user {
				case "sue":
					info.Groups = []string{"sre"}
				case "max":
					info.Groups = append(slices.Repeat([]string{"other"}, 300), "sre")
				}
				_, err := d.decide(genericapirequest.WithUser(t.Context(), info), request, decisionRequest{decision: a.decision})
				switch {
				case a.refused == "" && err != nil:
					t.Fatalf("act %d is refused: %v", i, err)
				case a.refused != "" && (!apierrors.IsConflict(err) && !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), a.refused)):
					t.Errorf("act %d: error %v, want %q", i, err, a.refused)
				}
				approved := ""
				if c := meta.FindStatusCondition(request.Status.Conditions, v1beta1.RequestApproved); c != nil {
					approved = string(c.Status) + " " + c.Message
				}
				if approved != a.approved || decidedBy(request) != a.decided {
					t.Errorf("act %d: condition %q, decided by %q, want %q and %q", i, approved, decidedBy(request), a.approved, a.decided)
				}
			}
		})
	}
}

func TestTheCommentOfOneApprovalIsNotThatOfTheNext(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		t.Run(in.name, func(t *testing.T) {
			s.createWithPolicy(t, in, "gate", `{"required": 2}`)
			approve := call{user: "alice", method: http.MethodPatch, contentType: mergePatch, path: in.path("v1", "gate", "approve"), body: `{"spec": {"comment": "smoke ok"}}`}
			first := decode[v1beta1.Approval](t, s.mustDo(t, approve))
			if first.Status.DecidedBy == nil || first.Status.DecidedBy.Username != "alice" || first.Status.Missing != "1 of 2 approvals" {
				t.Errorf("the first approval is answered by %+v", first.Status)
			}
			approve.user, approve.body = "bob", `{}`
			second := decode[v1beta1.Approval](t, s.mustDo(t, approve))
			if second.Status.DecidedBy == nil || second.Status.DecidedBy.Username != "bob" || second.Status.Missing != "" {
				t.Errorf("the second approval is answered by %+v", second.Status)
			}
			var comments []string
			for _, d := range s.get(t, in, "gate").Status.Decisions {
				comments = append(comments, d.User.Username+": "+d.Comment)
			}
			if diff := cmp.Diff([]string{"alice: smoke ok", "bob: "}, comments); diff != "" {
				t.Errorf("comments, -want +got:\n%s", diff)
			}
		})
	}
}

// TestTheTutorialsPatchCountsTowardsAQuorum: the patch says Approved True, which it is not yet.
func TestTheTutorialsPatchCountsTowardsAQuorum(t *testing.T) {
	s := newServer(t)
	in := scopes[0]
	s.createWithPolicy(t, in, "gate", `{"required": 2}`)
	for _, step := range []struct {
		user string
		want metav1.ConditionStatus
	}{{"alice", metav1.ConditionUnknown}, {"alice", metav1.ConditionUnknown}, {"bob", metav1.ConditionTrue}} {
		s.mustDo(t, call{user: step.user, method: http.MethodPatch, contentType: mergePatch, path: in.path("v1beta1", "gate", "status"), body: seedPatch})
		c := meta.FindStatusCondition(s.get(t, in, "gate").Status.Conditions, v1beta1.RequestApproved)
		if c == nil || c.Status != step.want {
			t.Errorf("after the patch of %s the condition is %+v, want %s", step.user, c, step.want)
		}
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

type (
	user   = v1beta1.DecisionUser
	policy = v1beta1.ApprovalPolicy
)

func person(name string, groups ...string) user {
	return user{Username: name, UID: "uid-" + name, Groups: groups}
}

// requested is a request that users have approved.
func requested(p policy, requester *user, approvers ...user) v1beta1.ApprovalRequestObject {
	request := &v1beta1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{UID: "request"},
		Spec:       v1beta1.ApprovalRequestSpec{Policy: &p, Requester: requester},
	}
	for _, u := range approvers {
		request.Status.Decisions = append(request.Status.Decisions, v1beta1.ApprovalDecision{RequestUID: "request", Decision: v1beta1.DecisionApproved, User: u})
	}
	return request
}

func TestApprovalsAreEnoughOrSayWhatIsMissing(t *testing.T) {
	ann, bob, sue := person("ann"), person("bob"), person("sue", "sre")
	others := policy{Required: 2, AllowRequester: ptr.To(false)}
	sre := policy{Required: 2, Groups: []string{"sre", "release"}}
	tests := map[string]struct {
		policy    policy
		requester *user
		approvers []user
		want      string
	}{
		"no policy, nobody":                    {want: "0 of 1 approvals"},
		"no policy, anybody":                   {approvers: []user{ann}},
		"one of two":                           {policy: policy{Required: 2}, approvers: []user{ann}, want: "1 of 2 approvals"},
		"two of two":                           {policy: policy{Required: 2}, approvers: []user{ann, bob}},
		"the same twice":                       {policy: policy{Required: 2}, approvers: []user{ann, ann}, want: "1 of 2 approvals"},
		"a uid that is not known":              {policy: policy{Required: 2}, approvers: []user{ann, {Username: "ann"}}, want: "1 of 2 approvals"},
		"the same name given to somebody else": {policy: policy{Required: 2}, approvers: []user{ann, {Username: "ann", UID: "new"}}, want: "1 of 2 approvals"},
		"the requester under another uid":      {policy: policy{AllowRequester: ptr.To(false)}, requester: &ann, approvers: []user{{Username: "ann", UID: "new"}}, want: "0 of 1 approvals"},
		"the requester does not count":         {policy: others, requester: &ann, approvers: []user{ann, bob}, want: "1 of 2 approvals"},
		"others count":                         {policy: others, requester: &ann, approvers: []user{sue, bob}},
		"the requester counts unless excluded": {policy: policy{Required: 2}, requester: &ann, approvers: []user{ann, bob}},
		"the requester counts where allowed":   {policy: policy{AllowRequester: ptr.To(true)}, requester: &ann, approvers: []user{ann}},
		"nobody of the group":                  {policy: sre, approvers: []user{ann, bob}, want: "2 of 2 approvals, one of them must be by a member of group sre or release"},
		"one of the group":                     {policy: sre, approvers: []user{ann, sue}},
		"one of the group alone":               {policy: sre, approvers: []user{sue}, want: "1 of 2 approvals"},
		"one of the group who does not count":  {policy: policy{Groups: []string{"sre"}, AllowRequester: ptr.To(false)}, requester: &sue, approvers: []user{sue}, want: "0 of 1 approvals, one of them must be by a member of group sre"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Of(requested(tt.policy, tt.requester, tt.approvers...)).Missing(); got != tt.want {
				t.Errorf("missing %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnApprovalThatWouldNotCountIsRefused(t *testing.T) {
	ann, bob, sue := person("ann"), person("bob"), person("sue", "sre")
	sre := policy{Required: 2, Groups: []string{"sre"}}
	tests := map[string]struct {
		policy    policy
		requester *user
		approvers []user
		next      user
		want      string
	}{
		"no policy":                       {next: ann},
		"the requester":                   {policy: policy{AllowRequester: ptr.To(false)}, requester: &ann, next: ann, want: `user "ann" has created the run, and the approval must be by others`},
		"the requester under another uid": {policy: policy{AllowRequester: ptr.To(false)}, requester: &ann, next: user{Username: "ann", UID: "new"}, want: `user "ann" has created the run, and the approval must be by others`},
		"an approver under another uid":   {policy: policy{Required: 2}, approvers: []user{ann}, next: user{Username: "ann", UID: "new"}, want: `user "ann" has approved already, under another uid, and a name counts once`},
		"the first of two needs no group": {policy: sre, next: ann},
		"the last of two needs the group": {policy: sre, approvers: []user{ann}, next: bob, want: `the approval that is missing must be by a member of group sre, and user "bob" is not one`},
		"the last of two has the group":   {policy: sre, approvers: []user{ann}, next: sue},
		"the group was first":             {policy: sre, approvers: []user{sue}, next: bob},
		"the only one needs the group":    {policy: policy{Groups: []string{"sre"}}, next: ann, want: `the approval that is missing must be by a member of group sre, and user "ann" is not one`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Of(requested(tt.policy, tt.requester, tt.approvers...)).Refuses(tt.next); got != tt.want {
				t.Errorf("refused because %q, want %q", got, tt.want)
			}
		})
	}
}

func TestANameThatSomebodyElseHasNowHasNotDecided(t *testing.T) {
	ann := person("ann")
	tally := Of(requested(policy{}, nil, ann))
	for name, tt := range map[string]struct {
		user user
		want bool
	}{
		"the user":           {ann, true},
		"under another uid":  {user{Username: "ann", UID: "new"}, false},
		"a uid is not known": {user{Username: "ann"}, true},
		"another name":       {person("bob"), false},
	} {
		if got := tally.By(tt.user, v1beta1.DecisionApproved) != nil; got != tt.want {
			t.Errorf("%s has approved: got %v, want %v", name, got, tt.want)
		}
	}
	if tally.By(ann, v1beta1.DecisionRejected) != nil {
		t.Error("an approval counts as a rejection")
	}
}

func TestOnlyDecisionsOnThisRequestCount(t *testing.T) {
	now := metav1.Now()
	for name, tt := range map[string]struct {
		change func(*v1beta1.ApprovalRequest)
		// recorded are the decisions on the request, and counted those that count for a gate.
		recorded, counted int
	}{
		"recorded for this request":    {func(*v1beta1.ApprovalRequest) {}, 1, 1},
		"recorded for an earlier one":  {func(r *v1beta1.ApprovalRequest) { r.UID = "another" }, 0, 0},
		"the request is being deleted": {func(r *v1beta1.ApprovalRequest) { r.DeletionTimestamp = &now }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			request := requested(policy{}, nil, person("ann")).(*v1beta1.ApprovalRequest)
			tt.change(request)
			for want, tally := range map[*int]Tally{&tt.recorded: Of(request), &tt.counted: For(request, nil, nil)} {
				if len(tally.Decisions) != *want || (tally.Closing() != nil) != (*want > 0) {
					t.Errorf("%d decisions, closed by %v; want %d", len(tally.Decisions), tally.Closing(), *want)
				}
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package approval counts the decisions on an approval request. The server asks it when a user decides, the engine when it looks at a
// gate: both must come to the same answer.
package approval

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Tally is how an approval request stands.
type Tally struct {
	// Decisions are those that count, in the order in which they were made. They belong to the request.
	Decisions []v1beta1.ApprovalDecision

	policy    v1beta1.ApprovalPolicy
	requester *v1beta1.DecisionUser
	asked     time.Time
}

// Of returns how a request stands by its own policy and requester. Only decisions that the server has recorded for this very request
// count. Conditions are not looked at: a user who may patch a status can write them.
func Of(request v1beta1.ApprovalRequestObject) Tally {
	spec := request.RequestSpec()
	t := Tally{requester: spec.Requester, asked: request.GetCreationTimestamp().Time}
	if spec.Policy != nil {
		t.policy = *spec.Policy
	}
	t.Decisions = slices.DeleteFunc(slices.Clone(request.RequestStatus().Decisions), func(d v1beta1.ApprovalDecision) bool {
		return d.RequestUID != request.GetUID()
	})
	return t
}

// Lacks returns what a request lacks by its own policy, such as 1 of 2 approvals; approval where it has no policy, and nothing once it is decided.
func Lacks(request v1beta1.ApprovalRequestObject) string {
	tally := Of(request)
	switch {
	case tally.Closing() != nil:
		return ""
	case request.RequestSpec().Policy == nil:
		return "approval"
	}
	return tally.Missing()
}

// For returns how a request stands for the gate of a run, by the policy and the creator of the run. Without a policy, a single approval by
// anybody is enough; the creator is nil where it is not known. No decision opens or closes a gate once the request is being deleted.
func For(request v1beta1.ApprovalRequestObject, policy *v1beta1.ApprovalPolicy, creator *v1beta1.DecisionUser) Tally {
	t := Of(request)
	t.policy, t.requester = v1beta1.ApprovalPolicy{}, creator
	if policy != nil {
		t.policy = *policy
	}
	if request.GetDeletionTimestamp() != nil {
		t.Decisions = nil
	}
	return t
}

// Rejection returns the decision that rejects the request, nil for none.
func (t Tally) Rejection() *v1beta1.ApprovalDecision {
	return t.find(func(d v1beta1.ApprovalDecision) bool { return d.Decision == v1beta1.DecisionRejected })
}

// Closing returns the decision that closed the request, nil as long as it is open: the rejection, or the last of the approvals that it
// takes.
func (t Tally) Closing() *v1beta1.ApprovalDecision {
	if rejection := t.Rejection(); rejection != nil {
		return rejection
	}
	if len(t.Decisions) == 0 || t.Missing() != "" {
		return nil
	}
	return &t.Decisions[len(t.Decisions)-1]
}

// By returns the decision of this type that the user has made, nil for none. It compares uids where both are known: a username can be
// given to somebody else.
func (t Tally) By(user v1beta1.DecisionUser, decision v1beta1.DecisionType) *v1beta1.ApprovalDecision {
	return t.find(func(d v1beta1.ApprovalDecision) bool { return d.Decision == decision && same(d.User, user) })
}

// Missing says what the approvals lack, and is empty where they are enough.
func (t Tally) Missing() string {
	counted := t.counted()
	member := len(t.policy.Groups) == 0 || slices.ContainsFunc(counted, t.isMember)
	if len(counted) >= t.required() && member {
		return ""
	}
	missing := fmt.Sprintf("%d of %d approvals", min(len(counted), t.required()), t.required())
	if !member {
		missing += ", one of them must be by a member of " + t.groups()
	}
	return missing
}

// Refuses says why the approval of one more user would not count, and is empty where it would. So the approvals of a request never
// outnumber what is required, and a place is kept for the group.
func (t Tally) Refuses(next v1beta1.DecisionUser) string {
	counted := t.counted()
	switch {
	case slices.ContainsFunc(counted, sharesNameOf(next)):
		return fmt.Sprintf("user %q has approved already, under another uid, and a name counts once", next.Username)
	case t.excludes(next):
		return fmt.Sprintf("user %q has created the run, and the approval must be by others", next.Username)
	case len(t.policy.Groups) == 0 || t.isMember(next) || slices.ContainsFunc(counted, t.isMember):
		return ""
	case len(counted) >= t.required()-1:
		return fmt.Sprintf("the approval that is missing must be by a member of %s, and user %q is not one", t.groups(), next.Username)
	}
	return ""
}

// Expiry returns when the request cannot be decided any more, zero for never.
func (t Tally) Expiry() time.Time {
	if t.policy.ExpiresAfter == nil {
		return time.Time{}
	}
	return t.asked.Add(t.policy.ExpiresAfter.Duration)
}

func (t Tally) find(is func(v1beta1.ApprovalDecision) bool) *v1beta1.ApprovalDecision {
	if i := slices.IndexFunc(t.Decisions, is); i >= 0 {
		return &t.Decisions[i]
	}
	return nil
}

func (t Tally) required() int { return max(1, int(t.policy.Required)) }

// counted are the approvers whose approval counts, each once.
func (t Tally) counted() []v1beta1.DecisionUser {
	var counted []v1beta1.DecisionUser
	for _, d := range t.Decisions {
		if d.Decision == v1beta1.DecisionApproved && !t.excludes(d.User) && !slices.ContainsFunc(counted, sharesNameOf(d.User)) {
			counted = append(counted, d.User)
		}
	}
	return counted
}

func (t Tally) excludes(user v1beta1.DecisionUser) bool {
	allowed := t.policy.AllowRequester
	return allowed != nil && !*allowed && t.requester != nil && sharesNameOf(user)(*t.requester)
}

func (t Tally) isMember(user v1beta1.DecisionUser) bool {
	return slices.ContainsFunc(user.Groups, func(g string) bool { return slices.Contains(t.policy.Groups, g) })
}

func (t Tally) groups() string {
	if len(t.policy.Groups) == 1 {
		return "group " + t.policy.Groups[0]
	}
	last := len(t.policy.Groups) - 1
	return "group " + strings.Join(t.policy.Groups[:last], ", ") + " or " + t.policy.Groups[last]
}

func same(a, b v1beta1.DecisionUser) bool {
	return a.Username == b.Username && (a.UID == "" || b.UID == "" || a.UID == b.UID)
}

// sharesNameOf reports whether two users have one name. Where different people are asked for they are one, whatever their uids:
// permissions go by name, and whoever may recreate a ServiceAccount would have as many approvals as are needed.
func sharesNameOf(user v1beta1.DecisionUser) func(v1beta1.DecisionUser) bool {
	return func(other v1beta1.DecisionUser) bool { return other.Username == user.Username }
}

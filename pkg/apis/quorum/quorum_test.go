// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package quorum

import (
	"testing"

	"k8s.io/utils/ptr"
)

func user(name string, groups ...string) User {
	return User{Username: name, UID: "uid-" + name, Groups: groups}
}

func TestApprovalsAreEnoughOrSayWhatIsMissing(t *testing.T) {
	ann, bob, sue := user("ann"), user("bob"), user("sue", "sre")
	others := Policy{Required: 2, AllowRequester: ptr.To(false)}
	sre := Policy{Required: 2, Groups: []string{"sre", "release"}}
	tests := map[string]struct {
		policy    Policy
		requester *User
		approvers []User
		want      string
	}{
		"no policy, nobody":                    {want: "0 of 1 approvals"},
		"no policy, anybody":                   {approvers: []User{ann}},
		"one of two":                           {policy: Policy{Required: 2}, approvers: []User{ann}, want: "1 of 2 approvals"},
		"two of two":                           {policy: Policy{Required: 2}, approvers: []User{ann, bob}},
		"the same twice":                       {policy: Policy{Required: 2}, approvers: []User{ann, ann}, want: "1 of 2 approvals"},
		"a uid that is not known":              {policy: Policy{Required: 2}, approvers: []User{ann, {Username: "ann"}}, want: "1 of 2 approvals"},
		"the same name given to somebody else": {policy: Policy{Required: 2}, approvers: []User{ann, {Username: "ann", UID: "new"}}, want: "1 of 2 approvals"},
		"the requester under another uid":      {policy: Policy{AllowRequester: ptr.To(false)}, requester: &ann, approvers: []User{{Username: "ann", UID: "new"}}, want: "0 of 1 approvals"},
		"the requester does not count":         {policy: others, requester: &ann, approvers: []User{ann, bob}, want: "1 of 2 approvals"},
		"others count":                         {policy: others, requester: &ann, approvers: []User{sue, bob}},
		"the requester counts unless excluded": {policy: Policy{Required: 2}, requester: &ann, approvers: []User{ann, bob}},
		"the requester counts where allowed":   {policy: Policy{AllowRequester: ptr.To(true)}, requester: &ann, approvers: []User{ann}},
		"nobody of the group":                  {policy: sre, approvers: []User{ann, bob}, want: "2 of 2 approvals, one of them has to be by a member of group sre or release"},
		"one of the group":                     {policy: sre, approvers: []User{ann, sue}},
		"one of the group alone":               {policy: sre, approvers: []User{sue}, want: "1 of 2 approvals"},
		"one of the group who does not count":  {policy: Policy{Groups: []string{"sre"}, AllowRequester: ptr.To(false)}, requester: &sue, approvers: []User{sue}, want: "0 of 1 approvals, one of them has to be by a member of group sre"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.policy.Missing(tt.requester, tt.approvers); got != tt.want {
				t.Errorf("missing %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnApprovalThatWouldNotCountIsRefused(t *testing.T) {
	ann, bob, sue := user("ann"), user("bob"), user("sue", "sre")
	sre := Policy{Required: 2, Groups: []string{"sre"}}
	tests := map[string]struct {
		policy    Policy
		requester *User
		approvers []User
		next      User
		want      string
	}{
		"no policy":                       {next: ann},
		"the requester":                   {policy: Policy{AllowRequester: ptr.To(false)}, requester: &ann, next: ann, want: `user "ann" has created the run, and the approval has to be by others`},
		"the requester under another uid": {policy: Policy{AllowRequester: ptr.To(false)}, requester: &ann, next: User{Username: "ann", UID: "new"}, want: `user "ann" has created the run, and the approval has to be by others`},
		"an approver under another uid":   {policy: Policy{Required: 2}, approvers: []User{ann}, next: User{Username: "ann", UID: "new"}, want: `user "ann" has approved already, under another uid, and a name counts once`},
		"the first of two needs no group": {policy: sre, next: ann},
		"the last of two needs the group": {policy: sre, approvers: []User{ann}, next: bob, want: `the approval that is missing has to be by a member of group sre, and user "bob" is none`},
		"the last of two has the group":   {policy: sre, approvers: []User{ann}, next: sue},
		"the group was first":             {policy: sre, approvers: []User{sue}, next: bob},
		"the only one needs the group":    {policy: Policy{Groups: []string{"sre"}}, next: ann, want: `the approval that is missing has to be by a member of group sre, and user "ann" is none`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.policy.Refuses(tt.requester, tt.approvers, tt.next); got != tt.want {
				t.Errorf("refused because %q, want %q", got, tt.want)
			}
		})
	}
}

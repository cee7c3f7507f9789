// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quorum says whether approvals are enough for a policy. The server asks it when a user approves, the engine when it looks at
// a gate: both have to come to the same answer. It knows nothing of requests, versions and clocks.
package quorum

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxRequired is the largest number of approvals that a policy can ask for.
const MaxRequired = 10

// Policy has the fields of an approval policy of any version, which converts into it.
type Policy struct {
	Required       int32
	Groups         []string
	AllowRequester *bool
	ExpiresAfter   *metav1.Duration
}

// User has the fields of a user in a decision of any version, which converts into it.
type User struct {
	Username string
	UID      string
	Groups   []string
}

// Is says whether a user is the one who has said something. It compares uids where both are known: a username can be given to someone
// else.
func (u User) Is(other User) bool {
	return u.Username == other.Username && (u.UID == "" || other.UID == "" || u.UID == other.UID)
}

// shares says whether two users have one name. Where different people are asked for they are one, whatever their uids: permissions go
// by name, and who may make a ServiceAccount anew would have as many approvals as are needed.
func (u User) shares(other User) bool { return u.Username == other.Username }

func (u User) in(groups []string) bool {
	return slices.ContainsFunc(u.Groups, func(g string) bool { return slices.Contains(groups, g) })
}

// Missing says what approvals lack, or nothing. The requester is who created the run, nil where that is not known.
func (p Policy) Missing(requester *User, approvers []User) string {
	counted := p.counted(requester, approvers)
	member := len(p.Groups) == 0 || slices.ContainsFunc(counted, func(u User) bool { return u.in(p.Groups) })
	if len(counted) >= p.required() && member {
		return ""
	}
	missing := fmt.Sprintf("%d of %d approvals", min(len(counted), p.required()), p.required())
	if !member {
		missing += ", one of them has to be by a member of " + p.groups()
	}
	return missing
}

// Refuses says why the approval of one more user would not count, or nothing. So the approvals of a request never outnumber what is
// required, and a place is kept for the group.
func (p Policy) Refuses(requester *User, approvers []User, next User) string {
	counted := p.counted(requester, approvers)
	switch {
	case slices.ContainsFunc(counted, next.shares):
		return fmt.Sprintf("user %q has approved already, under another uid, and a name counts once", next.Username)
	case p.excludes(requester, next):
		return fmt.Sprintf("user %q has created the run, and the approval has to be by others", next.Username)
	case len(p.Groups) == 0 || next.in(p.Groups) || slices.ContainsFunc(counted, func(u User) bool { return u.in(p.Groups) }):
		return ""
	case len(counted) >= p.required()-1:
		return fmt.Sprintf("the approval that is missing has to be by a member of %s, and user %q is none", p.groups(), next.Username)
	}
	return ""
}

// Expiry is when what was asked at a time cannot be approved any more, zero for never.
func (p Policy) Expiry(asked time.Time) time.Time {
	if p.ExpiresAfter == nil {
		return time.Time{}
	}
	return asked.Add(p.ExpiresAfter.Duration)
}

func (p Policy) required() int { return max(1, int(p.Required)) }

func (p Policy) excludes(requester *User, u User) bool {
	return p.AllowRequester != nil && !*p.AllowRequester && requester != nil && requester.shares(u)
}

// counted are the approvers whose approval counts, each once.
func (p Policy) counted(requester *User, approvers []User) []User {
	var counted []User
	for _, u := range approvers {
		if !p.excludes(requester, u) && !slices.ContainsFunc(counted, u.shares) {
			counted = append(counted, u)
		}
	}
	return counted
}

func (p Policy) groups() string {
	if len(p.Groups) == 1 {
		return "group " + p.Groups[0]
	}
	last := len(p.Groups) - 1
	return "group " + strings.Join(p.Groups[:last], ", ") + " or " + p.Groups[last]
}

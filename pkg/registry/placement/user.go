// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"cmp"
	"slices"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// maxRecordedGroups bounds what a user of very many groups adds to a status.
const maxRecordedGroups = 32

// RecordedUser is how the server records who did something: decided, or created a run. Of a user of more groups than are recorded it
// keeps those of the given ones, since they may count for a policy, and then the first.
func RecordedUser(info user.Info, keep ...string) v1beta1.DecisionUser {
	return v1beta1.DecisionUser{Username: info.GetName(), UID: info.GetUID(), Groups: recordedGroups(info.GetGroups(), keep)}
}

func recordedGroups(groups, keep []string) []string {
	recorded := slices.Clone(groups)
	if len(recorded) <= maxRecordedGroups {
		return recorded
	}
	slices.SortStableFunc(recorded, func(a, b string) int {
		return cmp.Compare(rank(keep, a), rank(keep, b))
	})
	return slices.Clip(recorded[:maxRecordedGroups])
}

func rank(keep []string, group string) int {
	if slices.Contains(keep, group) {
		return 0
	}
	return 1
}

// CountedAs returns as whom a user counts where each may have so many of something at once: a ServiceAccount as all of its namespace, since
// whoever may edit one makes as many as they like, and anybody else as themselves.
func CountedAs(info user.Info) string {
	namespace, _, err := serviceaccount.SplitUsername(info.GetName())
	if err != nil {
		return info.GetName()
	}
	return serviceaccount.MakeNamespaceGroupName(namespace)
}

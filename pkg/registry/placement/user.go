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

// maxRecordedGroups is how many groups of a user are recorded: a status must not grow with them.
const maxRecordedGroups = 32

// RecordedUser returns a user as the server records them: who decided, or created a run. At most 32 groups are recorded. The groups in
// keep come first, since they may count for a policy.
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

// CountedAs returns the name under which a user's share of a limit is counted. All ServiceAccounts of a namespace share one, since whoever
// may create one ServiceAccount may create many.
func CountedAs(info user.Info) string {
	namespace, _, err := serviceaccount.SplitUsername(info.GetName())
	if err != nil {
		return info.GetName()
	}
	return serviceaccount.MakeNamespaceGroupName(namespace)
}

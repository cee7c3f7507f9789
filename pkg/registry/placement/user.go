// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

// RecordedUser is how the server records who did something: decided, or created a run.
func RecordedUser(info user.Info) placement.DecisionUser {
	return placement.DecisionUser{Username: info.GetName(), UID: info.GetUID(), Groups: slices.Clone(info.GetGroups())}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

// Decider is how the server records a user who did something that counts.
func Decider(info user.Info) placement.DecisionUser {
	return placement.DecisionUser{Username: info.GetName(), UID: info.GetUID(), Groups: slices.Clone(info.GetGroups())}
}

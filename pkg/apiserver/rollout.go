// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import "github.com/stagegate/stagegate/pkg/rollout"

// newRollout makes the manager of all loops.
func newRollout(c LoopsConfig) (Loops, error) {
	manager, err := rollout.New(c.API, c.Hub, rollout.Options{
		Controllers:          c.Options.Controllers,
		ExternalSnapshots:    c.Options.ExternalSnapshots,
		AllowInsecureMembers: c.Options.AllowInsecureMembers,
		LeaderElection:       c.Options.LeaderElection,
		Identity:             c.Identity,
		StoreID:              c.StoreID,
		HubRecord:            c.HubRecord,
	})
	if err != nil {
		return Loops{}, err
	}
	return Loops{Runner: manager, Planner: manager.Planner()}, nil
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package eviction is the controller that takes cluster-scoped placements off clusters where somebody has asked for it by a
// ClusterResourcePlacementEviction, as far as disruption budgets and rollout policies allow, and that deletes evictions which are over. It
// deletes bindings and nothing else: what becomes of the objects on a member, and whether the cluster is picked again, is for others.
package eviction

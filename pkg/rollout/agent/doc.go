// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent runs on a member that the hub cannot reach, and does there what the server does with members that it reaches: it fetches the
// Works of the member from the hub and applies them, looks at the cluster, and reports both. It works as long as its InternalMemberCluster
// has it, and removes nothing for what it does not see on the hub: a namespace that is gone, a list that is empty and a hub that refuses it
// leave the member as it is. It must not know placements, nor anything of the hub outside the member's namespace.
package agent

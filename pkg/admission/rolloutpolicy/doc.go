// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rolloutpolicy is the admission plugin for rollout policies. It refuses new runs, and placements, that violate a policy, when they
// are written, and warns of strategies whose runs would be refused, and of policies that pick no cluster. It is not the authority: a run is
// judged again when it is initialized and when it starts, and a placement by the controller that moves its clusters. What a policy demands,
// and in which words, is in pkg/rules/policy alone.
package rolloutpolicy

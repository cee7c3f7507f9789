// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scheduling is the controller that picks the member clusters of a placement: policy snapshots and MemberClusters go in, bindings
// and the policy snapshots' status come out. It decides which clusters get the resources, never which version nor when.
package scheduling

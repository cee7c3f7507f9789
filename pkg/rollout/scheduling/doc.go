// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scheduling is the controller that picks the member clusters of a placement: policy snapshots and MemberClusters go in, bindings
// and the policy snapshots' status come out. It decides which clusters get the resources, never which version nor when, and takes
// nothing off a cluster: a binding that is Unscheduled waits for whoever rolls out.
//
// decide is pure: the policy, the fleet, what is placed and the time go in, a decision on each cluster comes out.
package scheduling

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package membership is the controller that lets clusters join, watches their health and lets them leave: it answers a MemberCluster
// with a namespace and an InternalMemberCluster on the hub, and an AppliedWork kind and a store id on the member. It must not know
// what is placed on members, and removes nothing for a MemberCluster that is missing: only a deletion timestamp asks for that.
package membership

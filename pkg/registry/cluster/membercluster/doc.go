// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package membercluster serves MemberClusters and the InternalMemberClusters by which their agents talk to the hub. It must not
// know how a cluster joins.
package membercluster

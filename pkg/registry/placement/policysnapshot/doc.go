// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policysnapshot serves ClusterSchedulingPolicySnapshots and SchedulingPolicySnapshots. It must not know how clusters are
// picked.
package policysnapshot

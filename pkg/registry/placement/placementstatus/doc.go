// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placementstatus serves ClusterResourcePlacementStatuses, the mirror of a placement's status in the namespace that it
// places. It must not know when one is written.
package placementstatus

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resourceplacement serves ClusterResourcePlacements and ResourcePlacements. It must not know how they are scheduled or
// rolled out.
package resourceplacement

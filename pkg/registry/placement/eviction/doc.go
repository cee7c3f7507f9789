// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package eviction serves ClusterResourcePlacementEvictions and the ClusterResourcePlacementDisruptionBudgets that limit them. It
// must not know how an eviction is carried out.
package eviction

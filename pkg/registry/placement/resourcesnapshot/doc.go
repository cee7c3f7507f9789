// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resourcesnapshot serves ClusterResourceSnapshots and ResourceSnapshots. It must not know how they are taken or pruned.
package resourcesnapshot

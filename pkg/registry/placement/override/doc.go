// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package override serves ClusterResourceOverrides, ResourceOverrides and the snapshots of both. It must not know how overrides
// are applied to manifests.
package override

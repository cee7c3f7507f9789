// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package work serves Works, and the AppliedWorks of a member that is the hub itself. It must not know how manifests are applied.
package work

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package override is the controller that keeps the versions of overrides: overrides, bindings and runs go in, override snapshots come out.
// It must not know which override is in force where, nor how one is applied.
package override

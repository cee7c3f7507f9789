// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package binding serves ClusterResourceBindings and ResourceBindings. It must not know what is rolled out by them.
package binding

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package envelope serves ClusterResourceEnvelopes and ResourceEnvelopes. It must not know how they are unwrapped.
package envelope

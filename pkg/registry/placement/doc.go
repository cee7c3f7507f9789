// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placement says what all resources of the placement group have in common. What only one family of kinds has is in that
// family's package.
package placement

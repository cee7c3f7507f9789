// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placeable tells what of a hub a placement can place: asked by the server when a placement is written, by the snapshot controller
// when it selects, and by who plans a run or sums it up. It reads nothing itself.
package placeable

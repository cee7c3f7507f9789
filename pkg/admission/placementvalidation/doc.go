// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placementvalidation is the admission plugin for what placements say about other objects: what they select on the hub, and which
// member clusters they pick. It asks the same of overrides, and which kinds envelopes carry. What cannot work is refused, what may not be
// meant earns a warning. Whether an object exists is told to an author only after authorvalidation, which asks whether they may read it. It
// must not repeat rules that one object can tell by itself.
package placementvalidation

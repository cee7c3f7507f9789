// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply brings the Works of one member's namespace onto that member and reports back in their status: it merges manifests into
// the member's objects, watches them, removes what was dropped, and follows the fleet's rules of ownership. It knows a client for the
// Works and a config of the member, and nothing of placements, bindings or other members, so that an agent on the member may run it.
package apply

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memberreport bounds what a member may say in the statuses that its agent writes. What a member says is copied into bindings and
// placements, and every informer has it in memory: whoever has the token of one agent must not be able to fill the server's memory or its
// store. The applier makes statuses within the same bounds, whichever side it runs on.
package memberreport

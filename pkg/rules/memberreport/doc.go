// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memberreport bounds what a member may say in the statuses that its agent writes. What a member says is copied into bindings and
// placements, and every informer has it in memory: whoever has the token of one agent must not be able to fill the server's memory or its
// store. The applier makes statuses within the same bounds, whichever side it runs on. And it tells what counts of such a status: what a Work says of
// the manifests that it carries. Whoever takes more at its word has a member speak of objects that were never placed on it.
package memberreport

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reportback tells what of the status that a member's object has may become the status of the hub's object: for which placements,
// of which objects, and what is said where it may not. It is asked when a placement is written, and by the controller that writes
// statuses. It reads nothing itself.
package reportback

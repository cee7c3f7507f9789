// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placementstatus is the controller that sums up, in a placement's status, what its policy snapshot and bindings say. It changes
// nothing else and decides nothing.
package placementstatus

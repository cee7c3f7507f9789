// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placementstatus is the controller that sums up, in a placement's status, what its policy snapshot and bindings say, and that
// mirrors it into the namespace that a cluster-scoped placement places, where the placement asks for it. It changes nothing else and decides
// nothing.
package placementstatus

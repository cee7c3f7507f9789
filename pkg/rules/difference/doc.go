// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package difference finds where an object on a member differs from what the hub has, in the words of a placement's status.
package difference

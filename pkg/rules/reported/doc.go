// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reported tells what counts of the status of a Work, which the holder of an agent's token writes: what it says of the manifests that
// the Work carries, in bounds. Whoever takes more at its word has a member speak of objects that were never placed on it.
package reported

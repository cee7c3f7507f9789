// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rolloutpolicy is the controller that reports in the status of rollout policies whether they can be held, and how many
// clusters, placements and runs they govern. It holds nobody to a policy: admission and runs do, and none of them reads what it writes.
package rolloutpolicy

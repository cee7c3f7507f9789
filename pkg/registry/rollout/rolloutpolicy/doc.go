// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rolloutpolicy serves ClusterRolloutPolicies and RolloutPolicies. It must not know how a rollout is judged.
package rolloutpolicy

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout holds the versions of the API of Stagegate's own kinds: policies over the rollouts of others. v1alpha1 is the only
// version and the hub, which the whole server works on.
package rollout

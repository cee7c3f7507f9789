// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rest is the table of all resources of the rollout group, ready to be installed in a server. It must not know anything
// about a kind that the kind's own package can say.
package rest

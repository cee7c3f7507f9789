// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusterfilter tells which clusters the policy of a placement lets in: asked by the scheduler, and by the server when a placement is
// written. It must not know whether a cluster is in a state to be given anything.
package clusterfilter

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package eviction decides whether a placement is taken off a cluster because somebody has asked for it, and when the request is no longer
// needed. What is done about it is for others.
package eviction

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package placement holds the versions of the placement API. The types of v1beta1 are the hub, which the whole server works on; v1 is
// generated from them.
package placement

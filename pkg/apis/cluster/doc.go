// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster holds the versions of the API of the clusters that belong to the fleet. The types of v1beta1 are the hub, which the
// whole server works on; v1 is generated from them.
package cluster

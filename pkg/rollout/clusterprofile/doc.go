// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusterprofile is the controller that shows members to other tools: it writes a ClusterProfile of the cluster inventory API for each
// member that has joined, where the hub has that kind. Nothing else here reads a ClusterProfile, and one that the controller has not
// created is left as it is.
package clusterprofile

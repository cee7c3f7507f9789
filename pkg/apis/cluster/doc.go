// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:deepcopy-gen=package
// +groupName=cluster.kubernetes-fleet.io

// Package cluster has the internal types of the clusters that belong to the fleet: what the registry, admission and the
// columns work on, whichever version a client speaks. It knows nothing of JSON, of defaults or of how members are reached.
package cluster

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot records versions: what a placement selects on the hub becomes a resource snapshot, its policy a policy snapshot.
// It decides what is in a version and when there is a new one; it knows nothing of clusters, bindings of one cluster to a version, or
// how far a version was rolled out, but that one in use is kept.
package snapshot

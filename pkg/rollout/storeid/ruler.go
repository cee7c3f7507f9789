// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

// Ruler is what places objects on a cluster: a store, and the hub that the store belongs to.
type Ruler struct {
	// Store is the id of the store.
	Store string
	// Hub is the uid of the hub: that of its namespace kube-system, which lives as long as the hub's own etcd.
	Hub string
}

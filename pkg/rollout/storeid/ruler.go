// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storeid

import "context"

// Ruler is what places objects on a cluster: a store, and the hub that the store belongs to.
type Ruler struct {
	// Store is the id of the store.
	Store string
	// Hub is the uid of the hub: that of its namespace kube-system, which lives as long as the hub's own etcd.
	Hub string
}

// HubRecord is where a store keeps which hub it rules.
type HubRecord interface {
	// Hub returns the uid of the hub that the store rules, or "" if it has never ruled one.
	Hub(ctx context.Context) (string, error)
	// SetHub replaces one uid by another in a single transaction; from is "" where the store has never ruled a hub. It fails with
	// ErrHubRecordChanged, and writes nothing, if the store does not hold from.
	SetHub(ctx context.Context, from, to string) error
}

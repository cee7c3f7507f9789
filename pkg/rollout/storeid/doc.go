// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storeid keeps who rules a cluster: which Stagegate store, of which hub. A store is known by its id, a hub by its uid, and
// each has the other's written down, so that neither a server with another store, such as one that was lost and recreated, nor one on
// another hub, such as one that was rebuilt, takes what it does not know for unwanted. It knows nothing of where ids come from.
package storeid

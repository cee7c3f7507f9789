// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storeid keeps on a cluster which Stagegate store rules it, so that a server with another store, such as one that was
// lost and made anew, never takes what it does not know for unwanted. It knows nothing of where ids come from.
package storeid

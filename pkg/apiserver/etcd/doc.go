// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcd runs a single etcd member inside the process. The member listens on unix sockets only, so there is no port to
// protect, and owns its data directory for as long as it runs. Clients in the process may call it directly. The package knows nothing of
// what is stored.
package etcd

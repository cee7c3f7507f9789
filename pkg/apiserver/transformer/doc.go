// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package transformer compresses large objects of some resources on their way to etcd, under encryption at rest, and refuses what is
// too large even then. A stored value says by its prefix whether it is compressed, so that any server reads what any other wrote, but
// for what would fill its memory. The package knows nothing of kinds.
package transformer

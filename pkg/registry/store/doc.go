// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store is the generic part of the registry: it makes the REST storage of a kind from the little that kinds differ in.
// Generation, status, name and printing rules that hold for every kind are here once, the way a custom resource has them. It must
// not know any kind.
package store

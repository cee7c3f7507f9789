// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package objectlimit is the admission plugin that bounds how many objects of a kind users may put into a namespace, or outside of
// namespaces. Quotas of the hub do not see what it passes on. The package must not know any kind.
package objectlimit

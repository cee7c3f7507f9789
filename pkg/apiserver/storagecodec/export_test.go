// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec

// Share is share, for the tests outside of the package.
var Share = share

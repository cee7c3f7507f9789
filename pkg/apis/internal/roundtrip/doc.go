// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package roundtrip tests that no conversion between the versions of an API group loses a field. It is for the tests of the
// groups' install packages and knows no group itself.
package roundtrip

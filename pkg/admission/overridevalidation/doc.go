// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package overridevalidation is the admission plugin for what overrides say about each other: how many there may be, and that no two
// change the same object. It must not repeat rules that one object can tell by itself.
package overridevalidation

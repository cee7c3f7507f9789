// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package initializer hands the fleet's API to the admission plugins that ask for it. It knows no plugin.
package initializer

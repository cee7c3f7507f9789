// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hubkinds tells admission plugins which kinds the hub has. It must not know why they ask, or how the hub is asked.
package hubkinds

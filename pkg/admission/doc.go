// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission says which admission plugins the server has and in which order they run. The rules are in the plugins, one
// package each; none of them may know the loops or how anything is stored. Who asks, and what they may, they ask as the registry does.
package admission

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission says which admission plugins the server has and in which order they run. The rules are in the plugins, one
// package each; none of them may know the controllers or how anything is stored. They learn the user of a request, and what the user may do, as the
// registry does.
package admission

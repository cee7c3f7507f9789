// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver turns flags into a running server: options, then a configuration, then a server that has both API groups, its
// storage, admission and the controllers. It knows what the parts need from each other and nothing of what they do.
package apiserver

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package outbound makes HTTP clients for endpoints that users name. The server stands where they do not: such a client reaches no address
// that somebody could misuse it for, whatever name stands for it. It does not know what is sent.
package outbound

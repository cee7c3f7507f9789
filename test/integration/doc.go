// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration tests the server as a whole, through its API only: the real server in the test's process, or its program.
// What takes a hub is tested in test/hub.
package integration

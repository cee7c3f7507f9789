// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testserver runs the real server in the test's process: production options, storage and API, with an etcd of its own and
// a handful of users in place of a hub. It needs no network beyond the loopback interface and leaves nothing behind.
package testserver

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storetest helps the tests of the registry: an etcd to store in, requests as the server would make them, and tables as
// text. It must not be used by anything but tests.
package storetest

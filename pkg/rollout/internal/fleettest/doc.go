// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fleettest helps the tests of controllers: a fleet on an API server that is played in memory, and waiting for what follows from
// changes. It must not be used by anything but tests.
package fleettest

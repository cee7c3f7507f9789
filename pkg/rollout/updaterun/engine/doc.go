// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine decides what a staged update run does next. Initialize plans a run and Step moves it on: each looks at the run as
// stored, the world as observed and the time, and says what follows without doing anything itself. It knows no client, no clock, no
// goroutine and no log, so that every rule can be tested, and simulated, without a server.
package engine

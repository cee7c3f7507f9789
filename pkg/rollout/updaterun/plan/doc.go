// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides what a staged update run is to do: which version goes to which clusters, in which stages and in which order. It
// looks at objects and at nothing else. It knows no clock: how long a run waits for what is missing, the engine decides. The tests of the
// engine's Initialize are those of the plan too.
package plan

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package updaterun serves ClusterStagedUpdateRuns and StagedUpdateRuns. A dry-run create answers with the plan of the run, made
// by a Planner; the package must not know how a run is planned or executed.
package updaterun

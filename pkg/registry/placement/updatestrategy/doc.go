// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package updatestrategy serves ClusterStagedUpdateStrategies and StagedUpdateStrategies. It must not know which runs use them.
package updatestrategy

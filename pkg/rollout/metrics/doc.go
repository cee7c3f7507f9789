// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics has what the controllers tell Prometheus of the fleet. Only the replica that leads tells it, so that each fact is one series and
// sums are right; a replica that stands by has the same caches and would tell everything twice.
//
// What is true now is collected from the caches at each scrape: such a series ends with what it tells of. What has happened is counted where it
// happens. No label has the name of a cluster. Names of runs are labels of runs that are not over, and for a short while after their end of the
// metrics that are KubeFleet's.
package metrics

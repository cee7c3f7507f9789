// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package updaterun moves staged update runs on, and says beforehand what one would do. What follows from a run and the world is
// package engine's to decide; here the world is read from the fleet's caches, decisions are carried out, and what changes wakes the
// runs that it concerns. It knows neither how resources are selected nor how they reach a cluster.
package updaterun

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package traces records each run as one trace of OpenTelemetry: the run, below it its stages, and below those the clusters, approvals and timed waits.
//
// A run takes longer than a server lives, so no span is open meanwhile. It is recorded when the part of the run that it tells of has ended, with
// explicit times, by the leader, once the status is written that has the end: another leader sees no end in it any more. So a server that is killed
// loses what it has not exported yet, and no span is recorded twice. Nor is the end in a status recorded whose write was done and returned an error,
// as a timeout. While a collector is away for long, the queue of spans fills, and more are dropped without a word. The ids of a trace and of its spans are derived from the uid of the run and
// from what the span tells of: a span can name its parent, which is recorded later, and perhaps by another server.
package traces

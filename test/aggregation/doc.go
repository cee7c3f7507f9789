// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command aggregation measures what the hub's aggregation layer adds to requests and to a run: the same, through a real kube-apiserver and sent
// to stagegate-apiserver itself, in turns. The members are made up: each Work is applied and available as soon as it is seen. Latencies
// are those of loopback. It asserts nothing, and what it measures is in docs/performance.md.
package main

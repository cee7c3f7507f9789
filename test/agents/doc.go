// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Command agents measures what the agents of many members cost a hub. The hub is real: a kube-apiserver on etcd, with stagegate-apiserver
// behind it. So are the agents, each with connections, a token, watches and heartbeats of its own, but for the process, which they share. The
// member clusters are made up, since no machine has room for a thousand: a few objects in memory that answer what an agent asks. Latencies
// are those of loopback. It asserts nothing, and what it measures is in docs/performance.md.
package main

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout runs the controllers that advance rollouts: on one replica at a time, those that --controllers names. Each controller is a
// package; what it reads and what it writes are API objects, so that each intermediate state can be read with kubectl, and no controller
// knows another:
//
//	MemberCluster ──membership──► joined, healthy, namespace fleet-member-<name>
//	MemberCluster ──clusterprofile──► ClusterProfile on the hub
//	placement + hub resources ──snapshot──► resource snapshot, policy snapshot
//	override + who uses which version ──override──► override snapshots
//	policy snapshot + MemberClusters ──scheduling──► bindings (Scheduled, Unscheduled)
//	placement (RollingUpdate) + overrides + rollout policies ──rollingupdate──► bindings (Bound, which snapshot)
//	eviction + disruption budget + bindings + rollout policies ──eviction──► bindings (marked and deleted), eviction status
//	placement (External) + run + strategy + approvals + overrides + rollout policies ──updaterun──► bindings, approval requests, run status
//	binding + snapshot + override snapshots ──work──► Work in fleet-member-<name>, binding status
//	Work ──apply──► objects on the member, Work status
//	bindings ──placementstatus──► placement status, its mirror in a namespace
//	Work (reportBackStrategy) ──reportback──► status of the objects on the hub, a condition of the placement
//	rollout policy + MemberClusters + bindings + runs ──rolloutpolicy──► policy status
//	sink + Secrets of the sink + runs ──notify──► requests to endpoints, sink status
//
// What they share is in members (a client for each member cluster), inspect (what is seen of a member), storeid (who rules a cluster), metrics and internal.
package rollout

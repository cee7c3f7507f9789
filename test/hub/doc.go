// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hub runs a real hub and real member clusters as processes on loopback: etcd, kube-apiserver and
// kube-controller-manager built from their sources, with certificates, RBAC, aggregation and audit as in production, and
// stagegate-apiserver registered with the hub and the members joined to it. The processes outlive the command that started
// them. The package knows Stagegate only by its binary, its manifests and its API; it imports nothing of the main module.
// It needs Linux (pidfd and /proc).
package hub

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests Stagegate on a real hub with real members: the tutorial with the commands and outputs of its document,
// approvals under RBAC, teams confined to their namespaces, and rollouts through kills and outages. What is not a test in
// here reads the document and compares with it; it must not know the hub.
package e2e

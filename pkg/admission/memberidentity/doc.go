// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memberidentity is an admission plugin that keeps the agent of a member to what an agent has to write: statuses, and its finalizer
// and its note on Works. RBAC knows no parts of an object, and an agent's token lies on a cluster that is not trusted. It must not know what an agent does.
package memberidentity

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package approvalrequest serves ClusterApprovalRequests and ApprovalRequests, and the subresources by which people decide them. It
// must not know what a run does with a decision.
package approvalrequest

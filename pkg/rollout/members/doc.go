// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package members knows how to reach the member clusters: one client configuration each, from the Secret that holds its
// credentials, and one supervised function each for as long as the cluster is a member. It knows nothing of what is done there. A member is
// not trusted: whatever asks it does so through the transport of its configuration, which bounds the answers.
package members

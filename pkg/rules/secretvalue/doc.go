// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secretvalue takes the values of Secrets out of texts. Whoever reads a status, an Event or a difference need not be allowed to read
// Secrets, and a member may quote what it refuses.
package secretvalue

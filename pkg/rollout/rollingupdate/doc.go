// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollingupdate is the controller that moves the clusters of a placement with the RollingUpdate strategy to the newest resource
// snapshot, a few at a time. It knows nothing of staged runs, and leaves placements with the External strategy alone.
package rollingupdate

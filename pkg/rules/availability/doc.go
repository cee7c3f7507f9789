// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package availability tells whether an object on a member is of use: a Deployment whose replicas are available, a Job that has completed,
// a custom resource that is Ready. Kinds that tell nothing count as available, and are said to be not trackable.
package availability

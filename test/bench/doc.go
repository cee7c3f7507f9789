// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bench measures the speed of the API and of rollouts. It runs the real server with its controllers and an etcd that syncs, beside a
// hub and members that are made up: the members say at once that everything is applied and available. It asserts nothing about time,
// and what it measures is in docs/performance.md.
package bench

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops tells what Argo CD and Flux make of an object, by the health checks in artifacts/gitops and by the libraries that they evaluate
// them with. In testdata, states has objects as the server stored them on a real hub, in TestHub of test/hub, and health.yaml says what the tools
// are to make of each. It is a module of its own, so that the others do without those libraries, and it knows no cluster.
package gitops

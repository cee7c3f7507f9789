// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package act is what people ask of the hub: to decide on an approval request, and to start, stop, resume, retry, skip or roll back a run. The plugin
// of kubectl and the dashboard act by it. Everything is a request with the user's rights; what is allowed the hub decides, by RBAC and by the state of
// the object. A request names the object that the user has seen, so that none lands on another one.
package act

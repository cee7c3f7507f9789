// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stagedupdatestrategyvalidation is the admission plugin for what strategies and runs say about other objects: member
// clusters, placements and each other. What cannot work is refused, what may not be meant earns a warning. It must not repeat
// rules that one object can tell by itself.
package stagedupdatestrategyvalidation

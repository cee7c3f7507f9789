// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package validation holds the rules of the rollout API group that markers on the types cannot say. It takes the hub types and
// looks at one object alone; metadata is the registry's.
package validation

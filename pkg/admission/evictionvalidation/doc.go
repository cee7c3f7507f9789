// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evictionvalidation is the admission plugin that refuses evictions and disruption budgets which their placement cannot have, and
// warns of those that are probably not meant. It spares its author a detour: the controller that carries out evictions holds the same rules.
// It must not decide whether a budget allows an eviction.
package evictionvalidation

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:deepcopy-gen=package
// +groupName=placement.kubernetes-fleet.io

// Package placement holds the internal types of the placement API, which the registry and admission work on. The versions that
// users see are in its subpackages v1beta1 and v1.
package placement

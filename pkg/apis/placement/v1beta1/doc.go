// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:openapi-gen=true
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:validation-gen=TypesWithField=TypeMeta
// +groupName=placement.kubernetes-fleet.io
// +k8s:openapi-model-package=io.kubernetes-fleet.placement.v1beta1

// Package v1beta1 is the v1beta1 version of the placement API: the version that is stored, and the hub, which registry, admission and
// controllers work on. The version v1 is generated from it.
package v1beta1

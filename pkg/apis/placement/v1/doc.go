// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:openapi-gen=true
// +k8s:deepcopy-gen=package
// +k8s:conversion-gen=github.com/stagegate/stagegate/pkg/apis/placement/v1beta1
// +k8s:defaulter-gen=TypeMeta
// +k8s:validation-gen=TypesWithField=TypeMeta
// +groupName=placement.kubernetes-fleet.io
// +k8s:openapi-model-package=io.kubernetes-fleet.placement.v1

// Package v1 is the v1 version of the placement API, the preferred one. It has every field of v1beta1, so that a write through it loses none.
package v1

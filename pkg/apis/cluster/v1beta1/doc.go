// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:openapi-gen=true
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:validation-gen=TypesWithField=TypeMeta
// +groupName=cluster.kubernetes-fleet.io
// +k8s:openapi-model-package=io.kubernetes-fleet.cluster.v1beta1

// Package v1beta1 has the clusters that belong to the fleet as API version v1beta1: the version that is stored, and the hub, which
// registry, admission and controllers work on. The version v1 is generated from it.
package v1beta1

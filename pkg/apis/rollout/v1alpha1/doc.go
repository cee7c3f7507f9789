// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:openapi-gen=true
// +k8s:deepcopy-gen=package
// +k8s:defaulter-gen=TypeMeta
// +k8s:validation-gen=TypesWithField=TypeMeta
// +groupName=rollout.stagegate.dev
// +k8s:openapi-model-package=dev.stagegate.rollout.v1alpha1

// Package v1alpha1 has policies over rollouts and sinks of notifications as API version v1alpha1: the version that is stored, and the hub, which registry,
// admission and controllers work on.
package v1alpha1

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:openapi-gen=true
// +k8s:deepcopy-gen=package
// +k8s:conversion-gen=github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1
// +k8s:defaulter-gen=TypeMeta
// +k8s:validation-gen=TypesWithField=TypeMeta
// +groupName=cluster.kubernetes-fleet.io
// +k8s:openapi-model-package=io.kubernetes-fleet.cluster.v1

// Package v1 has the clusters that belong to the fleet as API version v1, with every field of v1beta1. It says what
// clients may write and read; it knows nothing of storage or of how members are reached.
package v1

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// Defaults that a marker on the field can say stand there; here are the others.

func addDefaultingFuncs(scheme *runtime.Scheme) error {
	return RegisterDefaults(scheme)
}

// SetDefaults_StageConfig lets a stage update one cluster at a time.
func SetDefaults_StageConfig(in *StageConfig) {
	if in.MaxConcurrency == nil {
		in.MaxConcurrency = ptr.To(intstr.FromInt32(1))
	}
}

// SetDefaults_RollingUpdateConfig moves a quarter of the clusters at a time.
func SetDefaults_RollingUpdateConfig(in *RollingUpdateConfig) {
	if in.MaxUnavailable == nil {
		in.MaxUnavailable = ptr.To(intstr.FromString("25%"))
	}
	if in.MaxSurge == nil {
		in.MaxSurge = ptr.To(intstr.FromString("25%"))
	}
}

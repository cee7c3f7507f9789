// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/apimachinery/pkg/apis/meta/v1
// +k8s:validation-gen-scheme-registry=nil

// Package metavalidation holds the generated validation of the meta/v1 types that our types embed. The generator finds the
// hand-written functions that meta/v1's tags name only in the package it writes to, which cannot be one of apimachinery's.
// It knows no API group.
package metavalidation

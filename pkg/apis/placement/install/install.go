// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install puts every version of the placement API into a scheme.
package install

import (
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/stagegate/stagegate/pkg/apis/internal/hub"
	placementv1 "github.com/stagegate/stagegate/pkg/apis/placement/v1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Install registers v1beta1, which is the hub, and v1, and prefers v1. It panics on a programming error.
func Install(scheme *runtime.Scheme) {
	utilruntime.Must(v1beta1.AddToScheme(scheme))
	hub.Register(scheme, v1beta1.SchemeGroupVersion)
	utilruntime.Must(placementv1.AddToScheme(scheme))
	hub.Mirror(scheme, placementv1.SchemeGroupVersion, v1beta1.SchemeGroupVersion)
	utilruntime.Must(scheme.SetVersionPriority(placementv1.SchemeGroupVersion, v1beta1.SchemeGroupVersion))
}

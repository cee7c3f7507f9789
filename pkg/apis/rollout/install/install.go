// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install puts the version of the rollout API group into a scheme. It knows nothing of who uses the scheme.
package install

import (
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/stagegate/stagegate/pkg/apis/internal/hub"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// Install adds v1alpha1, which is the hub, to the scheme. It panics if the scheme has other types under the same names.
func Install(scheme *runtime.Scheme) {
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	hub.Register(scheme, v1alpha1.SchemeGroupVersion)
	utilruntime.Must(scheme.SetVersionPriority(v1alpha1.SchemeGroupVersion))
}

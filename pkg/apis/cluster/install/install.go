// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install puts every version of the cluster API group into a scheme. It knows nothing of who uses the scheme.
package install

import (
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	clusterv1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1"
	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/internal/hub"
)

// Install adds v1beta1, which is the hub, and v1 to the scheme; v1 is preferred. It panics if the scheme has other types under the
// same names.
func Install(scheme *runtime.Scheme) {
	utilruntime.Must(v1beta1.AddToScheme(scheme))
	hub.Register(scheme, v1beta1.SchemeGroupVersion)
	utilruntime.Must(clusterv1.AddToScheme(scheme))
	hub.Mirror(scheme, clusterv1.SchemeGroupVersion, v1beta1.SchemeGroupVersion)
	utilruntime.Must(scheme.SetVersionPriority(clusterv1.SchemeGroupVersion, v1beta1.SchemeGroupVersion))
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// eventScheme calls the types of the controllers by the preferred version of their group. kubectl looks for the Events of an object by
// that version, whichever one the controllers read.
func eventScheme() *runtime.Scheme {
	named := runtime.NewScheme()
	for gvk, kind := range scheme.Scheme.AllKnownTypes() {
		switch gvk.GroupVersion() {
		case placementv1beta1.SchemeGroupVersion, clusterv1beta1.SchemeGroupVersion, rolloutv1alpha1.SchemeGroupVersion:
			object, ok := reflect.New(kind).Interface().(runtime.Object)
			if !ok {
				continue
			}
			preferred := scheme.Scheme.PrioritizedVersionsForGroup(gvk.Group)[0]
			named.AddKnownTypeWithName(preferred.WithKind(gvk.Kind), object)
		}
	}
	return named
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package overridevalidation

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/client/scoped"
)

// override is a written override of either scope, as the rules see it.
type override struct {
	metav1.Object
	selectors []selector
	// tooMany is what is said when there may be no more of the scope.
	tooMany string
}

// selector is where an override names an object.
type selector struct {
	path   *field.Path
	object v1beta1.ResourceIdentifier
}

func overrideOf(object runtime.Object) (override, bool) {
	spec := field.NewPath("spec")
	switch o := object.(type) {
	case *v1beta1.ClusterResourceOverride:
		found := override{Object: o, tooMany: fmt.Sprintf("clusterResourceOverride limit has been reached: "+
			"at most %d cluster resources can be created. Delete one, or put the objects of several into one", limit)}
		for i, s := range o.Spec.ClusterResourceSelectors {
			found.selectors = append(found.selectors, selector{spec.Child("clusterResourceSelectors").Index(i),
				v1beta1.ResourceIdentifier{Group: s.Group, Version: s.Version, Kind: s.Kind, Name: s.Name}})
		}
		return found, true
	case *v1beta1.ResourceOverride:
		found := override{Object: o, tooMany: fmt.Sprintf("resourceOverride limit has been reached: "+
			"at most %d resources can be created. Delete one of the namespace, or put the objects of several into one", limit)}
		for i, s := range o.Spec.ResourceSelectors {
			found.selectors = append(found.selectors, selector{spec.Child("resourceSelectors").Index(i),
				v1beta1.ResourceIdentifier{Group: s.Group, Version: s.Version, Kind: s.Kind, Name: s.Name, Namespace: o.Namespace}})
		}
		return found, true
	}
	return override{}, false
}

// without are the selectors of objects that the override before does not select.
func (o override) without(before override) []selector {
	return slices.DeleteFunc(slices.Clone(o.selectors), func(s selector) bool {
		return slices.ContainsFunc(before.selectors, func(b selector) bool { return b.object == s.object })
	})
}

// others are the overrides beside one in its scope: all that are cluster-scoped, or those of its namespace.
func (p *Plugin) others(ctx context.Context, one override) ([]v1beta1.OverrideObject, error) {
	all, err := scoped.OverrideClient(p.Client.PlacementV1beta1(), one.GetNamespace()).List(ctx, metav1.ListOptions{})
	return slices.DeleteFunc(all, func(o v1beta1.OverrideObject) bool { return o.GetName() == one.GetName() }), err
}

// selecting is the name of the first override that selects an object. One that is being deleted changes nothing any more.
func selecting(all []v1beta1.OverrideObject, object v1beta1.ResourceIdentifier) string {
	for _, o := range all {
		if o.GetDeletionTimestamp().IsZero() && slices.Contains(o.OverriddenResources(), object) {
			return o.GetName()
		}
	}
	return ""
}

// describe is an object the way people write it: apps/v1 Deployment shop/web.
func describe(object v1beta1.ResourceIdentifier) string {
	gv, name := object.Version, object.Name
	if object.Group != "" {
		gv = object.Group + "/" + gv
	}
	if object.Namespace != "" {
		name = object.Namespace + "/" + name
	}
	return gv + " " + object.Kind + " " + name
}

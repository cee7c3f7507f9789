// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package fleettest

import (
	"errors"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

// NewClientset is a fake that keeps resource versions, uids and generations as a server does, and refuses a write to what has been
// changed meanwhile.
func NewClientset() *fake.Clientset {
	client := fake.NewClientset()
	mirrors := trackMirrors(client)
	client.PrependReactor("*", "*", keepVersions(func(resource schema.GroupVersionResource, namespace, name string) (runtime.Object, error) {
		if resource == mirrorResource {
			return mirrors.Get(resource, namespace, name)
		}
		return client.Tracker().Get(resource, namespace, name)
	}))
	return client
}

var mirrorResource = v1beta1.SchemeGroupVersion.WithResource("clusterresourceplacementstatuses")

// trackMirrors keeps the one kind that the fake does not, since it is never applied.
func trackMirrors(client *fake.Clientset) clienttesting.ObjectTracker {
	tracker := clienttesting.NewObjectTracker(scheme.Scheme, scheme.Codecs.UniversalDecoder())
	client.PrependReactor("*", mirrorResource.Resource, clienttesting.ObjectReaction(tracker))
	client.PrependWatchReactor(mirrorResource.Resource, func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := tracker.Watch(mirrorResource, action.GetNamespace())
		return true, w, err
	})
	return tracker
}

func keepVersions(get func(resource schema.GroupVersionResource, namespace, name string) (runtime.Object, error)) clienttesting.ReactionFunc {
	version := 0
	next := func(o metav1.Object) {
		version++
		o.SetResourceVersion(strconv.Itoa(version))
	}
	return func(action clienttesting.Action) (bool, runtime.Object, error) {
		switch a := action.(type) {
		case clienttesting.CreateActionImpl:
			o := a.GetObject().(metav1.Object)
			next(o)
			o.SetUID(types.UID("uid-" + o.GetResourceVersion()))
			o.SetGeneration(1)
			o.SetCreationTimestamp(metav1.Now())
		case clienttesting.UpdateActionImpl:
			o := a.GetObject().(metav1.Object)
			stored, err := get(a.GetResource(), a.GetNamespace(), o.GetName())
			if err != nil {
				return true, nil, err
			}
			old := stored.(metav1.Object)
			if v := o.GetResourceVersion(); v != "" && v != old.GetResourceVersion() {
				return true, nil, apierrors.NewConflict(a.GetResource().GroupResource(), o.GetName(), errors.New("it was changed"))
			}
			next(o)
			o.SetGeneration(old.GetGeneration())
			if a.GetSubresource() != "status" && !sameSpec(old, o) {
				o.SetGeneration(old.GetGeneration() + 1)
			}
			if a.GetSubresource() == "rollout" {
				meta.FindStatusCondition(o.(v1beta1.BindingObject).BindingStatus().Conditions, v1beta1.BindingRolloutStarted).ObservedGeneration = o.GetGeneration()
			}
		}
		return false, nil, nil
	}
}

func sameSpec(a, b any) bool {
	switch a := a.(type) {
	case v1beta1.BindingObject:
		return equality.Semantic.DeepEqual(a.BindingSpec(), b.(v1beta1.BindingObject).BindingSpec())
	case v1beta1.PlacementObject:
		return equality.Semantic.DeepEqual(a.PlacementSpec(), b.(v1beta1.PlacementObject).PlacementSpec())
	case v1beta1.OverrideObject:
		return overrides.SaysTheSame(a, b.(v1beta1.OverrideObject))
	case v1alpha1.RolloutPolicyObject:
		return equality.Semantic.DeepEqual(a.PolicySpec(), b.(v1alpha1.RolloutPolicyObject).PolicySpec())
	case *v1alpha1.NotificationSink:
		return equality.Semantic.DeepEqual(a.Spec, b.(*v1alpha1.NotificationSink).Spec)
	case v1beta1.UpdateRunObject:
		return equality.Semantic.DeepEqual(a.RunSpec(), b.(v1beta1.UpdateRunObject).RunSpec())
	}
	return true
}

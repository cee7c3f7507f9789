// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// fieldManager is whose fields the environment's own objects are.
const fieldManager = "hub-up"

// clients are what the environment talks to a cluster with, as its administrator.
type clients struct {
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	mapper  meta.RESTMapper
}

func newClients(config *rest.Config) (*clients, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &clients{
		kube:    kube,
		dynamic: dyn,
		mapper:  restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kube.Discovery())),
	}, nil
}

// resource returns the client for an object's kind and namespace. A namespaced object without a namespace belongs to the
// server's.
func (c *clients) resource(obj *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := obj.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", gvk.Kind, obj.GetName(), err)
	}
	client := c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return client, nil
	}
	if obj.GetNamespace() == "" {
		obj.SetNamespace(serverNamespace)
	}
	return client.Namespace(obj.GetNamespace()), nil
}

// apply makes the objects as given, whatever they are now.
func (c *clients) apply(ctx context.Context, objs ...*unstructured.Unstructured) error {
	for _, obj := range objs {
		client, err := c.resource(obj)
		if err != nil {
			return err
		}
		options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
		if _, err := client.Apply(ctx, obj.GetName(), obj, options); err != nil {
			return fmt.Errorf("applying %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return nil
}

// waitFor returns when a condition of the object is True. The error of a wait that ends before says what the condition was.
func waitFor(ctx context.Context, client dynamic.ResourceInterface, kind, name, condition string) error {
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return client.Watch(ctx, options)
		},
	}
	last := "it has no such condition"
	_, err := watchtools.UntilWithSync(ctx, lw, &unstructured.Unstructured{}, nil, func(event watch.Event) (bool, error) {
		obj, ok := event.Object.(*unstructured.Unstructured)
		if !ok || obj.GetName() != name {
			return false, nil
		}
		if event.Type == watch.Deleted {
			return false, errors.New("it was deleted")
		}
		conditions, _, err := unstructured.NestedSlice(obj.Object, "status", "conditions")
		if err != nil {
			return false, err
		}
		for _, item := range conditions {
			if c, ok := item.(map[string]any); ok && c["type"] == condition {
				last = fmt.Sprintf("%v, %v: %v", c["status"], c["reason"], c["message"])
				return c["status"] == string(metav1.ConditionTrue), nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for condition %s of %s %s (%s): %w", condition, kind, name, last, err)
	}
	return nil
}

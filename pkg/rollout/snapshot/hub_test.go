// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"
)

// hub is a fake hub with a few kinds.
type hub struct {
	t        *testing.T
	dynamic  *dynamicfake.FakeDynamicClient
	metadata *metadatafake.FakeMetadataClient

	mu      sync.Mutex
	lists   map[string][]metav1.APIResource
	failed  map[schema.GroupVersion]error
	down    error
	version int
	refused map[string]error
}

var readable = metav1.Verbs{"get", "list", "watch", "create"}

func newHub(t *testing.T) *hub {
	h := &hub{
		t: t,
		lists: map[string][]metav1.APIResource{
			"v1": {
				{Name: "namespaces", Kind: "Namespace", Verbs: readable},
				{Name: "namespaces/status", Kind: "Namespace", Verbs: readable},
				{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: readable},
				{Name: "secrets", Kind: "Secret", Namespaced: true, Verbs: readable},
				{Name: "services", Kind: "Service", Namespaced: true, Verbs: readable},
				{Name: "endpoints", Kind: "Endpoints", Namespaced: true, Verbs: readable},
				{Name: "pods", Kind: "Pod", Namespaced: true, Verbs: readable},
				{Name: "events", Kind: "Event", Namespaced: true, Verbs: readable},
				{Name: "bindings", Kind: "Binding", Namespaced: true, Verbs: metav1.Verbs{"create"}},
			},
			"autoscaling/v1": {{Name: "horizontalpodautoscalers", Kind: "HorizontalPodAutoscaler", Namespaced: true, Verbs: readable}},
			"autoscaling/v2": {{Name: "horizontalpodautoscalers", Kind: "HorizontalPodAutoscaler", Namespaced: true, Verbs: readable}},
			"rbac.authorization.k8s.io/v1": {
				{Name: "clusterroles", Kind: "ClusterRole", Verbs: readable},
				{Name: "roles", Kind: "Role", Namespaced: true, Verbs: readable},
			},
			"placement.kubernetes-fleet.io/v1": {
				{Name: "resourceenvelopes", Kind: "ResourceEnvelope", Namespaced: true, Verbs: readable},
				{Name: "resourceplacements", Kind: "ResourcePlacement", Namespaced: true, Verbs: readable},
			},
			"apiextensions.k8s.io/v1":   {{Name: "customresourcedefinitions", Kind: "CustomResourceDefinition", Verbs: readable}},
			"apiregistration.k8s.io/v1": {{Name: "apiservices", Kind: "APIService", Verbs: readable}},
		},
		failed:  map[schema.GroupVersion]error{},
		refused: map[string]error{},
	}
	listKinds := map[schema.GroupVersionResource]string{{Group: "example.com", Version: "v1", Resource: "widgets"}: "WidgetList"}
	for gv, list := range h.lists {
		parsed, _ := schema.ParseGroupVersion(gv)
		for _, r := range list {
			listKinds[parsed.WithResource(r.Name)] = r.Kind + "List"
		}
	}
	h.dynamic = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), listKinds)
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	h.metadata = metadatafake.NewSimpleMetadataClient(scheme)
	refuse := func(action clienttesting.Action) (bool, runtime.Object, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		err := h.refused[action.GetResource().Resource]
		return err != nil, nil, err
	}
	h.dynamic.PrependReactor("*", "*", refuse)
	h.metadata.PrependReactor("*", "*", refuse)
	return h
}

// ServerGroupsAndResourcesWithContext implements discoverer.
func (h *hub) ServerGroupsAndResourcesWithContext(context.Context) ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down != nil {
		return nil, nil, h.down
	}
	groups := map[string]*metav1.APIGroup{}
	var resources []*metav1.APIResourceList
	for gv, list := range h.lists {
		parsed, _ := schema.ParseGroupVersion(gv)
		group := groups[parsed.Group]
		if group == nil {
			group = &metav1.APIGroup{Name: parsed.Group}
			groups[parsed.Group] = group
		}
		version := metav1.GroupVersionForDiscovery{GroupVersion: gv, Version: parsed.Version}
		group.Versions = append(group.Versions, version)
		if parsed.Version > group.PreferredVersion.Version {
			group.PreferredVersion = version
		}
		if h.failed[parsed] == nil {
			resources = append(resources, &metav1.APIResourceList{GroupVersion: gv, APIResources: list})
		}
	}
	var all []*metav1.APIGroup
	for _, group := range groups {
		all = append(all, group)
	}
	if len(h.failed) > 0 {
		failed := map[schema.GroupVersion]error{}
		for gv, err := range h.failed {
			failed[gv] = err
		}
		return all, resources, &discovery.ErrGroupDiscoveryFailed{Groups: failed}
	}
	return all, resources, nil
}

func (h *hub) discover() *kinds { return discover(h.t.Context(), h, h.metadata) }

// set changes the hub under its lock.
func (h *hub) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *hub) refuse(resource string) {
	h.set(func() {
		h.refused[resource] = apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("not yours"))
	})
}

func (h *hub) allow(resource string) { h.set(func() { delete(h.refused, resource) }) }

func (h *hub) gvr(object *unstructured.Unstructured) schema.GroupVersionResource {
	gvk := object.GroupVersionKind()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.lists[gvk.GroupVersion().String()] {
		if r.Kind == gvk.Kind {
			return gvk.GroupVersion().WithResource(r.Name)
		}
	}
	h.t.Fatalf("the hub has no kind %s", gvk)
	return schema.GroupVersionResource{}
}

// put creates or changes an object, written as YAML.
func (h *hub) put(manifest string) {
	h.t.Helper()
	object := parse(h.t, manifest)
	h.version++
	object.SetResourceVersion(strconv.Itoa(h.version))
	gvr := h.gvr(object)
	only := &metav1.PartialObjectMetadata{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, only); err != nil {
		h.t.Fatal(err)
	}
	write := func(tracker clienttesting.ObjectTracker, obj runtime.Object) {
		err := tracker.Create(gvr, obj, object.GetNamespace())
		if apierrors.IsAlreadyExists(err) {
			err = tracker.Update(gvr, obj, object.GetNamespace())
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	// The object is there before its change is told.
	write(h.dynamic.Tracker(), object)
	write(h.metadata.Tracker(), only)
}

func (h *hub) remove(manifest string) {
	h.t.Helper()
	object := parse(h.t, manifest)
	gvr := h.gvr(object)
	for _, tracker := range []clienttesting.ObjectTracker{h.dynamic.Tracker(), h.metadata.Tracker()} {
		if err := tracker.Delete(gvr, object.GetNamespace(), object.GetName()); err != nil {
			h.t.Fatal(err)
		}
	}
}

func parse(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// Objects of the hub that many tests use.
func namespace(name string) string {
	return `{apiVersion: v1, kind: Namespace, metadata: {name: ` + name + `, labels: {kubernetes.io/metadata.name: ` + name + `}}, spec: {finalizers: [kubernetes]}}`
}

func configMap(namespace, name, value string) string {
	return `{apiVersion: v1, kind: ConfigMap, metadata: {name: ` + name + `, namespace: ` + namespace + `, labels: {app: ` + name + `}}, data: {key: ` + value + `}}`
}

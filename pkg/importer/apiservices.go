// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// AutomanagedLabel is on the APIServices that the hub makes for CustomResourceDefinitions.
const AutomanagedLabel = "kube-aggregator.kubernetes.io/automanaged"

// serviceName is the Service of the server in the namespace wellknown.SystemNamespace.
const serviceName = "stagegate-apiserver"

// What the APIServices of artifacts/deploy have too. The hub gives all versions of CustomResourceDefinitions 100: one that the server does not
// serve must not be preferred to those that it does.
const (
	groupPriority   = int64(1000)
	localPriority   = int64(100)
	servedPriority  = int64(110)
	priorityOfFirst = int64(120)
)

var apiServiceResource = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// versions are those of the groups that are imported which the server serves, the preferred one of each group first.
func versions() []schema.GroupVersion {
	var all []schema.GroupVersion
	for _, group := range groups {
		all = append(all, scheme.Scheme.PrioritizedVersionsForGroup(group)...)
	}
	return all
}

// apiServices returns those of the groups that are imported, by version. A version that the hub does not know is left out.
func (h *hub) apiServices(ctx context.Context) (map[schema.GroupVersion]*unstructured.Unstructured, error) {
	found := map[schema.GroupVersion]*unstructured.Unstructured{}
	for _, gv := range versions() {
		name := gv.Version + "." + gv.Group
		apiService, err := h.dynamic.Resource(apiServiceResource).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("APIService %s: %w", name, err)
		}
		found[gv] = apiService
	}
	return found, nil
}

// isLocal reports whether the hub itself answers for a version.
func isLocal(apiService *unstructured.Unstructured) bool {
	service, _, _ := unstructured.NestedMap(apiService.Object, "spec", "service")
	return len(service) == 0
}

// passOn has the hub pass requests for the groups on to the server. Until an administrator applies the APIServices of the installation, which
// have the authority of the server's certificate, the hub answers 503, so that nobody reads or writes the objects that were copied.
func (h *hub) passOn(ctx context.Context) error {
	found, err := h.apiServices(ctx)
	if err != nil {
		return err
	}
	for _, gv := range versions() {
		apiService := found[gv]
		if apiService == nil || !isLocal(apiService) {
			continue
		}
		priority := servedPriority
		if gv == scheme.Scheme.PrioritizedVersionsForGroup(gv.Group)[0] {
			priority = priorityOfFirst
		}
		labels := apiService.GetLabels()
		delete(labels, AutomanagedLabel)
		apiService.SetLabels(labels)
		apiService.Object["spec"] = map[string]any{
			"group": gv.Group, "version": gv.Version, "groupPriorityMinimum": groupPriority, "versionPriority": priority,
			"service": map[string]any{"namespace": wellknown.SystemNamespace, "name": serviceName, "port": int64(443)},
		}
		if err := h.update(ctx, apiService); err != nil {
			return err
		}
	}
	return nil
}

// takeBack has the hub answer for the groups itself, from its CustomResourceDefinitions.
func (h *hub) takeBack(ctx context.Context) error {
	found, err := h.apiServices(ctx)
	if err != nil {
		return err
	}
	for _, gv := range versions() {
		apiService := found[gv]
		if apiService == nil || isLocal(apiService) {
			continue
		}
		labels := apiService.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[AutomanagedLabel] = "true"
		apiService.SetLabels(labels)
		apiService.Object["spec"] = map[string]any{
			"group": gv.Group, "version": gv.Version, "groupPriorityMinimum": groupPriority, "versionPriority": localPriority,
		}
		if err := h.update(ctx, apiService); err != nil {
			return err
		}
	}
	return nil
}

func (h *hub) update(ctx context.Context, apiService *unstructured.Unstructured) error {
	// The resourceVersion read makes this fail where somebody else was faster.
	if _, err := h.dynamic.Resource(apiServiceResource).Update(ctx, apiService, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("APIService %s: %w", apiService.GetName(), err)
	}
	return nil
}

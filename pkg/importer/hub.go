// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	// pageSize is how many objects are read at once.
	pageSize = 500
	// What an import asks for is limited by the hub.
	hubQPS, hubBurst = 200, 400
)

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// hub is the hub as an import sees it.
type hub struct {
	kube     kubernetes.Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
}

func newHub(config *rest.Config) (*hub, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.WarningHandler = hubQPS, hubBurst, rest.NoWarnings{}
	h := &hub{}
	var err error
	if h.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("client of the hub: %w", err)
	}
	if h.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("dynamic client of the hub: %w", err)
	}
	if h.metadata, err = metadata.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("metadata client of the hub: %w", err)
	}
	return h, nil
}

// user is who the hub takes the import for.
func (h *hub) user(ctx context.Context) (string, error) {
	review, err := h.kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the hub who runs the import: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// definition is a CustomResourceDefinition of a group that is imported.
type definition struct {
	group, plural string
	uid           types.UID
	namespaced    bool
	served        []string
}

// version is that in which the objects are read: v1beta1 where it is served, since KubeFleet's v1 lacks fields, then v1, then any.
func (d definition) version() string {
	for _, v := range []string{"v1beta1", "v1"} {
		if slices.Contains(d.served, v) {
			return v
		}
	}
	if len(d.served) > 0 {
		return d.served[0]
	}
	return ""
}

func (d definition) resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: d.group, Version: d.version(), Resource: d.plural}
}

func (d definition) name() string { return d.plural + "." + d.group }

// definitions returns the CustomResourceDefinitions of the groups that are imported, in the order of their names.
func (h *hub) definitions(ctx context.Context) ([]definition, error) {
	list, err := h.dynamic.Resource(crdResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing CustomResourceDefinitions: %w", err)
	}
	var found []definition
	for _, crd := range list.Items {
		d := definition{uid: crd.GetUID()}
		d.group, _, _ = unstructured.NestedString(crd.Object, "spec", "group")
		if !slices.Contains(groups, d.group) {
			continue
		}
		d.plural, _, _ = unstructured.NestedString(crd.Object, "spec", "names", "plural")
		scope, _, _ := unstructured.NestedString(crd.Object, "spec", "scope")
		d.namespaced = scope == "Namespaced"
		versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
		for _, v := range versions {
			if version, ok := v.(map[string]any); ok && version["served"] == true {
				d.served = append(d.served, fmt.Sprint(version["name"]))
			}
		}
		found = append(found, d)
	}
	slices.SortFunc(found, func(a, b definition) int { return strings.Compare(a.name(), b.name()) })
	return found, nil
}

// objects calls a function with each object of a definition.
func (h *hub) objects(ctx context.Context, d definition, each func(*unstructured.Unstructured) error) error {
	client := h.dynamic.Resource(d.resource())
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return client.List(ctx, options)
	})
	pages.PageSize = pageSize
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(obj runtime.Object) error { return each(obj.(*unstructured.Unstructured)) })
	if err != nil {
		return fmt.Errorf("reading %s in %s: %w", d.name(), d.version(), err)
	}
	return nil
}

// kubeconfigs returns the members for which the server has a kubeconfig.
func (h *hub) kubeconfigs(ctx context.Context) (map[string]bool, error) {
	list, err := h.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(wellknown.SystemNamespace).
		List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Secrets of members in namespace %s: %w", wellknown.SystemNamespace, err)
	}
	found := map[string]bool{}
	for _, secret := range list.Items {
		found[secret.Name] = true
	}
	return found, nil
}

// webhooks returns the webhook configurations of the hub that are about the groups that are imported. Stagegate calls them too, and those of
// KubeFleet's agent would never answer.
func (h *hub) webhooks(ctx context.Context) ([]string, error) {
	var found []string
	for _, resource := range []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"} {
		list, err := h.dynamic.Resource(schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: resource}).
			List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", resource, err)
		}
		for _, configuration := range list.Items {
			if callsFor(configuration.Object) {
				found = append(found, strings.TrimSuffix(resource, "s")+"/"+configuration.GetName())
			}
		}
	}
	return found, nil
}

func callsFor(configuration map[string]any) bool {
	webhooks, _, _ := unstructured.NestedSlice(configuration, "webhooks")
	for _, w := range webhooks {
		webhook, _ := w.(map[string]any)
		rules, _, _ := unstructured.NestedSlice(webhook, "rules")
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			named, _, _ := unstructured.NestedStringSlice(rule, "apiGroups")
			if slices.ContainsFunc(named, func(group string) bool { return slices.Contains(groups, group) }) {
				return true
			}
		}
	}
	return false
}

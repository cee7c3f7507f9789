// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const sampleNamespace = "sample-namespace"

var groups = []string{"placement.kubernetes-fleet.io", "cluster.kubernetes-fleet.io", "rollout.stagegate.dev"}

// served is a resource as discovery describes it.
type served struct {
	metav1.APIResource

	gv           schema.GroupVersion
	subresources []metav1.APIResource
}

func (r served) String() string { return r.gv.Version + "/" + r.Name }

func (r served) gvr() schema.GroupVersionResource { return r.gv.WithResource(r.Name) }

func (r served) has(subresource string) bool {
	for _, s := range r.subresources {
		if s.Name == r.Name+"/"+subresource {
			return true
		}
	}
	return false
}

// client of the resource, in the namespace of the samples if it has one.
func (r served) client(t *testing.T, config *rest.Config) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if r.Namespaced {
		return client.Resource(r.gvr()).Namespace(sampleNamespace)
	}
	return client.Resource(r.gvr())
}

// discover returns all resources of our groups in all versions.
func discover(t *testing.T, config *rest.Config) []served {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var all []served
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		var resources []served
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") {
				resources = append(resources, served{APIResource: r, gv: gv})
			}
		}
		for i, r := range resources {
			for _, sub := range list.APIResources {
				if strings.HasPrefix(sub.Name, r.Name+"/") {
					resources[i].subresources = append(resources[i].subresources, sub)
				}
			}
		}
		all = append(all, resources...)
	}
	return all
}

// samples are valid objects by kind.
func samples(t *testing.T) map[string]map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/samples.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	if err := yaml.UnmarshalStrict(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// selectAlone has an override select an object of its own: no two may select the same.
func selectAlone(content map[string]any, kind, name string) {
	spec, _ := content["spec"].(map[string]any)
	switch kind {
	case "ClusterResourceOverride":
		spec["clusterResourceSelectors"].([]any)[0].(map[string]any)["name"] = name
	case "ResourceOverride":
		spec["resourceSelectors"].([]any)[0].(map[string]any)["name"] = name
	}
}

// sample is a valid object of the resource.
func sample(t *testing.T, r served, name string) *unstructured.Unstructured {
	t.Helper()
	content, ok := samples(t)[r.Kind]
	if !ok {
		t.Fatalf("testdata/samples.yaml has no %s", r.Kind)
	}
	obj := &unstructured.Unstructured{Object: content}
	selectAlone(content, r.Kind, name)
	obj.SetGroupVersionKind(r.gv.WithKind(r.Kind))
	obj.SetName(name)
	if r.Namespaced {
		obj.SetNamespace(sampleNamespace)
	}
	return obj
}

// sampleStrategy is a valid strategy of one stage.
func sampleStrategy(name string) *v1beta1.ClusterStagedUpdateStrategy {
	return &v1beta1.ClusterStagedUpdateStrategy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{Name: "all"}}},
	}
}

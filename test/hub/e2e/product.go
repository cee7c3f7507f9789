// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	productGroup = "product.example.com"
	productLabel = "product.example.com/part-of"
	// productKinds are the custom kinds of a product. The first ones have schemas of the size that operators have.
	productKinds      = 8
	productLargeKinds = 3
	// largeSchema is beyond what the annotation of a client-side apply may hold, 256 KiB.
	largeSchema = 300 << 10
)

var productNamespaces = []string{"product-system", "product-monitoring", "product-apps", "product-data"}

// product returns the objects of a version of a made-up product, 1 or 2, in an order in which they can be created. It has the shape of what
// people install: definitions of custom kinds with large schemas and objects of them, webhooks, roles, and in each of its namespaces
// workloads with all that belongs to them. From the first version to the second, objects of each kind are changed, added and removed.
func product(version int) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	var problem error
	add := func(manifest string, args ...any) {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(fmt.Appendf(nil, manifest, args...), &obj.Object); err != nil && problem == nil {
			problem = fmt.Errorf("%w:\n%.500s", err, fmt.Sprintf(manifest, args...))
			return
		}
		labels := obj.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[productLabel] = "product"
		obj.SetLabels(labels)
		objects = append(objects, obj)
	}
	// numbers are those of the n objects of a kind that a version has: one in eight is new in the second, and one in eight is gone.
	numbers := func(n int) (numbers []int) {
		for i := range n + n/8 {
			if version == 1 && i < n || version == 2 && i >= n/8 {
				numbers = append(numbers, i)
			}
		}
		return numbers
	}
	// revision is what changes of every third object.
	revision := func(i int) int {
		if i%3 == 0 {
			return version
		}
		return 1
	}

	for _, i := range numbers(productKinds) {
		add(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %[1]s.%[2]s},
			spec: {group: %[2]s, scope: Namespaced, names: {plural: %[1]s, singular: %[3]s, kind: %[4]s},
				versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, description: "revision %[5]d", properties: {spec: {type: object, properties: {
					size: {type: integer}, %[6]s}}}}}}]}}`,
			strings.ToLower(productKind(i))+"s", productGroup, strings.ToLower(productKind(i)), productKind(i), revision(i), schemaOf(i))
	}
	for _, namespace := range productNamespaces {
		add(`{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {revision: "%d"}}}`, namespace, version)
	}
	for _, i := range numbers(16) {
		add(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: product-%[1]d},
			rules: [{apiGroups: [""], resources: [configmaps], resourceNames: ["revision-%[2]d"], verbs: [get]}]}`, i, revision(i))
		add(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: product-%[1]d, annotations: {revision: "%[2]d"}},
			roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: product-%[1]d},
			subjects: [{kind: ServiceAccount, name: account-%[1]d, namespace: product-system}]}`, i, revision(i))
	}
	for _, namespace := range productNamespaces {
		for _, i := range numbers(8) {
			add(`{apiVersion: v1, kind: ServiceAccount, metadata: {name: account-%d, namespace: %s, annotations: {revision: "%d"}}, automountServiceAccountToken: false}`, i, namespace, revision(i))
			add(`{apiVersion: v1, kind: Service, metadata: {name: service-%d, namespace: %s}, spec: {selector: {app: "app-%[1]d"}, ports: [{port: %[3]d}]}}`, i, namespace, 8000+revision(i))
			add(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: role-%d, namespace: %s},
				rules: [{apiGroups: [""], resources: [configmaps], resourceNames: ["revision-%d"], verbs: [get]}]}`, i, namespace, revision(i))
			add(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: app-%[1]d, namespace: %[2]s}, spec: {replicas: 1, selector: {matchLabels: {app: app-%[1]d}},
				template: {metadata: {labels: {app: app-%[1]d}}, spec: {containers: [{name: c, image: "example.com/app-%[1]d:v%[3]d"}]}}}}`, i, namespace, revision(i))
			add(`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: app-%[1]d, namespace: %[2]s}, spec: {maxUnavailable: %[3]d, selector: {matchLabels: {app: app-%[1]d}}}}`, i, namespace, revision(i))
		}
		for _, i := range numbers(24) {
			add(`{apiVersion: v1, kind: ConfigMap, metadata: {name: config-%d, namespace: %s}, data: {revision: "%d", dashboard: %q}}`, i, namespace, revision(i), strings.Repeat("a line of a dashboard\n", 40))
		}
		for _, i := range numbers(24) {
			// Of kinds that both versions have, and, in the first, of one that goes with its objects.
			kind := 1 + i%(productKinds-1)
			if version == 1 && i == 0 {
				kind = 0
			}
			add(`{apiVersion: %s/v1, kind: %s, metadata: {name: custom-%d, namespace: %s}, spec: {size: %d}}`, productGroup, productKind(kind), i, namespace, revision(i))
		}
	}
	for _, i := range numbers(8) {
		// It validates what nobody makes: there is nobody to ask.
		add(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: product-%d}, webhooks: [{
			name: product-%[1]d.product.example.com, sideEffects: None, admissionReviewVersions: [v1], timeoutSeconds: %[2]d, failurePolicy: Fail,
			objectSelector: {matchLabels: {product.example.com/validate: "true"}}, rules: [{apiGroups: [%[3]s], apiVersions: [v1], operations: [CREATE], resources: ["*"]}],
			clientConfig: {service: {name: service-1, namespace: product-system}}}]}`, i, revision(i), productGroup)
	}
	return objects, problem
}

func productKind(i int) string { return "Custom" + string(rune('A'+i)) }

// schemaOf returns the properties of a custom kind besides what is set.
func schemaOf(i int) string {
	var properties []string
	for size := 0; i < productLargeKinds && size < largeSchema; {
		p := fmt.Sprintf("field%d: {type: object, x-kubernetes-preserve-unknown-fields: true, description: %q}", len(properties), strings.Repeat("What this field is for, at length. ", 30))
		properties, size = append(properties, p), size+len(p)
	}
	return strings.Join(properties, ", ")
}

// productPlacement places all of it.
const productPlacement = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: product}
spec:
  resourceSelectors:
  - {group: "", version: v1, kind: Namespace, labelSelector: {matchLabels: {product.example.com/part-of: product}}}
  - {group: apiextensions.k8s.io, version: v1, kind: CustomResourceDefinition, labelSelector: {matchLabels: {product.example.com/part-of: product}}}
  - {group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, labelSelector: {matchLabels: {product.example.com/part-of: product}}}
  - {group: rbac.authorization.k8s.io, version: v1, kind: ClusterRoleBinding, labelSelector: {matchLabels: {product.example.com/part-of: product}}}
  - {group: admissionregistration.k8s.io, version: v1, kind: ValidatingWebhookConfiguration, labelSelector: {matchLabels: {product.example.com/part-of: product}}}
  policy: {placementType: PickAll}
  # The changes from one version to the next are made one by one, and a snapshot is taken every second.
  revisionHistoryLimit: 100
  strategy: {type: External}
`

// nameOf tells an object from all others of a cluster.
func nameOf(obj *unstructured.Unstructured) object {
	return object{obj.GroupVersionKind(), obj.GetNamespace(), obj.GetName()}
}

// byName has the objects by their names.
func byName(objects []*unstructured.Unstructured) map[object]*unstructured.Unstructured {
	named := map[object]*unstructured.Unstructured{}
	for _, obj := range objects {
		named[nameOf(obj)] = obj
	}
	return named
}

// isWithin returns an error unless all of want is in got, which may have more, such as defaults.
func isWithin(path string, want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		actual, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v", path, got)
		}
		for key, value := range want {
			if err := isWithin(path+"."+key, value, actual[key]); err != nil {
				return err
			}
		}
	case []any:
		actual, ok := got.([]any)
		if !ok || len(actual) != len(want) {
			return fmt.Errorf("%s is %v, want %d items", path, got, len(want))
		}
		for i := range want {
			if err := isWithin(fmt.Sprintf("%s[%d]", path, i), want[i], actual[i]); err != nil {
				return err
			}
		}
	default:
		// YAML has floats where an API server has integers.
		if fmt.Sprint(want) != fmt.Sprint(got) {
			return fmt.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	return nil
}

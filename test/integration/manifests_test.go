// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

func readManifests(t *testing.T, pattern string) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "artifacts", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	var objs []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
			doc, err := docs.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			obj := &unstructured.Unstructured{}
			if err == nil {
				doc, err = yaml.YAMLToJSONStrict(doc)
			}
			if err == nil {
				err = obj.UnmarshalJSON(doc)
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			objs = append(objs, obj)
		}
	}
	return objs
}

// manifestHolders are the resources with content that users choose: manifests, and parts of them.
func manifestHolders(t *testing.T) sets.Set[string] {
	t.Helper()
	content := []reflect.Type{reflect.TypeFor[runtime.RawExtension](), reflect.TypeFor[apiextensionsv1.JSON]()}
	var holds func(reflect.Type, sets.Set[reflect.Type]) bool
	holds = func(typ reflect.Type, seen sets.Set[reflect.Type]) bool {
		if slices.Contains(content, typ) {
			return true
		}
		if seen.Has(typ) {
			return false
		}
		seen.Insert(typ)
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			return holds(typ.Elem(), seen)
		case reflect.Struct:
			for i := range typ.NumField() {
				if holds(typ.Field(i).Type, seen) {
					return true
				}
			}
		}
		return false
	}
	resources := sets.New[string]()
	for gvk, typ := range scheme.Scheme.AllKnownTypes() {
		if !slices.Contains(groups, gvk.Group) || gvk.Version == runtime.APIVersionInternal || strings.HasSuffix(gvk.Kind, "List") {
			continue
		}
		if _, object := reflect.New(typ).Interface().(metav1.Object); object && holds(typ, sets.New[reflect.Type]()) {
			resource, _ := meta.UnsafeGuessKindToResource(gvk)
			resources.Insert(resource.Resource)
		}
	}
	if !resources.HasAll("works", "resourceoverrides") {
		t.Fatalf("the search for what holds manifests has found %v only", sets.List(resources))
	}
	return resources
}

// TestTheEncryptionExampleHasAllThatHoldsManifests reads the example in the documentation, which is copied.
func TestTheEncryptionExampleHasAllThatHoldsManifests(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "keys-and-certificates.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(data), "kind: EncryptionConfiguration\n")
	if !found {
		t.Fatal("docs/keys-and-certificates.md has no EncryptionConfiguration")
	}
	example, _, _ = strings.Cut(example, "providers:")
	got := sets.New[string]()
	for line := range strings.Lines(example) {
		if resource, group, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "- "), "."); ok && slices.Contains(groups, group) {
			got.Insert(resource)
		}
	}
	if diff := cmp.Diff(sets.List(manifestHolders(t)), sets.List(got)); diff != "" {
		t.Errorf("what is encrypted (-what holds manifests +the example):\n%s", diff)
	}
}

func TestAPIServicesAreTheVersionsOfTheScheme(t *testing.T) {
	want := map[string]int64{}
	for _, group := range groups {
		versions := scheme.Scheme.PrioritizedVersionsForGroup(group)
		for i, gv := range versions {
			want[gv.String()] = int64(10 * (len(versions) - i))
			if group != rolloutv1alpha1.GroupName {
				// KubeFleet's definitions can be there too, and the hub gives their versions 100.
				want[gv.String()] += 100
			}
		}
	}
	got := map[string]int64{}
	for _, obj := range readManifests(t, "deploy/base/apiservices.yaml") {
		field := func(names ...string) string {
			s, _, _ := unstructured.NestedString(obj.Object, append([]string{"spec"}, names...)...)
			return s
		}
		gv := schema.GroupVersion{Group: field("group"), Version: field("version")}
		if want := gv.Version + "." + gv.Group; obj.GetName() != want {
			t.Errorf("%s should be %s", obj.GetName(), want)
		}
		if field("service", "name") != "stagegate-apiserver" || field("service", "namespace") != "fleet-system" {
			t.Errorf("%s is served by %s/%s", obj.GetName(), field("service", "namespace"), field("service", "name"))
		}
		got[gv.String()], _, _ = unstructured.NestedInt64(obj.Object, "spec", "versionPriority")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("APIServices (-scheme +manifests):\n%s", diff)
	}
}

func TestRolesNameWhatIsServed(t *testing.T) {
	s := testserver.Start(t)
	// theServers are what the controllers write and believe.
	theServers := sets.New("clusterresourceoverridesnapshots", "resourceoverridesnapshots", "clusterresourcesnapshots", "resourcesnapshots",
		"clusterschedulingpolicysnapshots", "schedulingpolicysnapshots", "clusterresourcebindings", "resourcebindings", "works")
	// editable are the subresources that go with writing runs.
	editable := sets.New("stop", "resume", "retry", "rollback")
	known := sets.New[string]()
	readable := sets.New[string]()
	for _, r := range discover(t, s.As(testserver.Alice)) {
		known.Insert(r.gv.Group + "/" + r.Name)
		readable.Insert(r.gv.Group + "/" + r.Name)
		for _, sub := range r.subresources {
			known.Insert(r.gv.Group + "/" + sub.Name)
		}
	}
	for _, obj := range readManifests(t, "rbac/*.yaml") {
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &role); err != nil {
			t.Fatal(err)
		}
		aggregated := slices.ContainsFunc(sets.List(sets.KeySet(role.Labels)), func(label string) bool {
			return strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-")
		})
		toView := role.Labels["rbac.authorization.k8s.io/aggregate-to-view"] != ""
		for _, rule := range role.Rules {
			if slices.Equal(rule.Resources, []string{"events"}) && slices.Equal(rule.APIGroups, []string{"", "events.k8s.io"}) {
				// They are the hub's, in both of its groups.
				if !sets.New("get", "list", "watch").HasAll(rule.Verbs...) {
					t.Errorf("%s allows to %v events", role.Name, rule.Verbs)
				}
				continue
			}
			for _, resource := range rule.Resources {
				name := rule.APIGroups[0] + "/" + resource
				if !known.Has(name) {
					t.Errorf("%s names %s, which is not served", role.Name, name)
				}
				_, subresource, _ := strings.Cut(resource, "/")
				if aggregated && subresource != "" && (toView || !editable.Has(subresource)) {
					t.Errorf("%s gives everybody who views or edits %s", role.Name, resource)
				}
				if theServers.Has(resource) && !sets.New("get", "list", "watch").HasAll(rule.Verbs...) {
					t.Errorf("%s allows to %v %s, which the server alone writes", role.Name, rule.Verbs, resource)
				}
				readable.Delete(name)
			}
			if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Resources, "*") || slices.Contains(rule.APIGroups, "*") {
				t.Errorf("%s has a wildcard: %+v", role.Name, rule)
			}
		}
	}
	if readable.Len() > 0 {
		t.Errorf("no role reads %v", sets.List(readable))
	}
}

// TestExamplesAreAccepted creates what the tutorial creates of our kinds.
func TestExamplesAreAccepted(t *testing.T) {
	s := testserver.Start(t)
	client, err := dynamic.NewForConfig(s.As(testserver.Alice))
	if err != nil {
		t.Fatal(err)
	}
	resources := map[schema.GroupVersionKind]served{}
	for _, r := range discover(t, s.As(testserver.Alice)) {
		resources[r.gv.WithKind(r.Kind)] = r
	}
	objs := slices.Concat(readManifests(t, "example/*.yaml"), readManifests(t, "example/cluster-scoped/*.yaml"), readManifests(t, "example/namespaced/*.yaml"))
	accepted := 0
	for _, obj := range objs {
		r, ok := resources[obj.GroupVersionKind()]
		if !ok {
			if slices.Contains(groups, obj.GroupVersionKind().Group) {
				t.Errorf("%s is not served", obj.GroupVersionKind())
			}
			continue
		}
		var resource dynamic.ResourceInterface = client.Resource(r.gvr())
		if r.Namespaced {
			resource = client.Resource(r.gvr()).Namespace(obj.GetNamespace())
		}
		if _, err := resource.Create(t.Context(), obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
			t.Errorf("%s %s: %v", obj.GetKind(), obj.GetName(), err)
		}
		accepted++
	}
	if accepted == 0 {
		t.Error("no example is of our kinds")
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestARunThatIsStoppedIsNoDrift has somebody stop a run whose manifest has a state.
func TestARunThatIsStoppedIsNoDrift(t *testing.T) {
	settings := readArgoCD(t)
	alice := newKubectl(t, testserver.Start(t).As(testserver.Alice))
	for _, in := range runScopes {
		alice.createRun(in, "run")
		var before, after unstructured.Unstructured
		for _, obj := range []*unstructured.Unstructured{&before, &after} {
			if err := obj.UnmarshalJSON([]byte(alice.run("get", in.resource, "run", "-o", "json"))); err != nil {
				t.Fatal(err)
			}
			if obj == &before {
				alice.run("patch", in.resource, "run", "--subresource=stop", "--type=merge", "-p", `{"spec":{"reason":"INC-7"}}`)
			}
		}
		specOf := func(obj *unstructured.Unstructured) any {
			var normalized map[string]any
			if err := json.Unmarshal(settings.normalize(t, obj), &normalized); err != nil {
				t.Fatal(err)
			}
			return normalized["spec"]
		}
		if reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) {
			t.Errorf("stopping %s changes no spec", in.kind)
		}
		if diff := cmp.Diff(specOf(&before), specOf(&after)); diff != "" {
			t.Errorf("a %s that is stopped is out of sync:\n%s", in.kind, diff)
		}
	}
}

// argoCD are the settings of artifacts/gitops/argocd-cm.yaml.
type argoCD struct {
	// fields are those with a duration, ignored those that are not compared.
	fields, ignored map[schema.GroupKind][][]string
	// health are the kinds with a health check.
	health sets.Set[schema.GroupKind]
}

func readArgoCD(t *testing.T) argoCD {
	t.Helper()
	settings := argoCD{fields: map[schema.GroupKind][][]string{}, ignored: map[schema.GroupKind][][]string{}, health: sets.New[schema.GroupKind]()}
	for key, value := range manifest[corev1.ConfigMap](t, "gitops/argocd-cm.yaml", "ConfigMap").Data {
		setting, of, found := strings.Cut(strings.TrimPrefix(key, "resource.customizations."), ".")
		group, kind, both := strings.Cut(of, "_")
		if !found || !both {
			t.Fatalf("the key %s is of no kind", key)
		}
		gk := schema.GroupKind{Group: group, Kind: kind}
		var known []struct{ Field, Type string }
		var ignored struct {
			JSONPointers []string `json:"jsonPointers"`
		}
		switch setting {
		case "health":
			settings.health.Insert(gk)
		case "knownTypeFields":
			if err := yaml.UnmarshalStrict([]byte(value), &known); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
		case "ignoreDifferences":
			if err := yaml.UnmarshalStrict([]byte(value), &ignored); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
		default:
			t.Errorf("the key %s is none that is tested", key)
		}
		for _, k := range known {
			if k.Type != "meta/v1/Duration" {
				t.Errorf("%s has type %s", key, k.Type)
			}
			settings.fields[gk] = append(settings.fields[gk], strings.Split(k.Field, "."))
		}
		for _, pointer := range ignored.JSONPointers {
			settings.ignored[gk] = append(settings.ignored[gk], strings.Split(strings.TrimPrefix(pointer, "/"), "/"))
		}
	}
	return settings
}

// normalize returns an object as Argo CD compares it.
func (a argoCD) normalize(t *testing.T, obj *unstructured.Unstructured) []byte {
	t.Helper()
	obj = obj.DeepCopy()
	gk := obj.GroupVersionKind().GroupKind()
	for _, path := range a.ignored[gk] {
		unstructured.RemoveNestedField(obj.Object, path...)
	}
	for _, path := range a.fields[gk] {
		if err := rewriteDurations(obj.Object, path); err != nil {
			t.Fatalf("%s %s: %v", obj.GetKind(), strings.Join(path, "."), err)
		}
	}
	data, err := obj.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rewriteDurations writes the durations at a path, which leads through the elements of lists, in one form.
func rewriteDurations(value any, path []string) error {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			if err := rewriteDurations(item, path); err != nil {
				return err
			}
		}
	case map[string]any:
		text, last := value[path[0]].(string)
		if !last {
			return rewriteDurations(value[path[0]], path[1:])
		}
		var duration metav1.Duration
		data, err := json.Marshal(text)
		if err == nil {
			err = json.Unmarshal(data, &duration)
		}
		if err != nil {
			return err
		}
		value[path[0]] = duration.Duration.String()
	}
	return nil
}

// userKinds are the kinds of this project, of which Argo CD is not told to exclude them.
func userKinds(t *testing.T) (kinds map[schema.GroupKind][]reflect.Type, excluded sets.Set[schema.GroupKind]) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "artifacts", "gitops", "argocd-exclusions.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ APIGroups, Kinds, Clusters []string }
	if err := yaml.UnmarshalStrict(data, &list); err != nil {
		t.Fatal(err)
	}
	excluded = sets.New[schema.GroupKind]()
	for _, entry := range list {
		for _, kind := range entry.Kinds {
			excluded.Insert(schema.GroupKind{Group: entry.APIGroups[0], Kind: kind})
		}
	}
	kinds = map[schema.GroupKind][]reflect.Type{}
	for gvk, typ := range scheme.Scheme.AllKnownTypes() {
		_, object := reflect.New(typ).Interface().(metav1.Object)
		if object && slices.Contains(groups, gvk.Group) && gvk.Version != runtime.APIVersionInternal {
			kinds[gvk.GroupKind()] = append(kinds[gvk.GroupKind()], typ)
		}
	}
	return kinds, excluded
}

// TestWhatArgoCDIsToldIsOfKindsThatExist also holds that both kinds of one thing are treated alike, and that no kind is left out which the server
// makes in great numbers.
func TestWhatArgoCDIsToldIsOfKindsThatExist(t *testing.T) {
	settings := readArgoCD(t)
	kinds, excluded := userKinds(t)
	told := sets.New[schema.GroupKind]().Union(settings.health).Union(excluded).Union(sets.KeySet(settings.fields)).Union(sets.KeySet(settings.ignored))
	for gk := range told {
		if len(kinds[gk]) == 0 {
			t.Errorf("%s is told of, and does not exist", gk)
		}
	}
	for gk := range kinds {
		twin := schema.GroupKind{Group: gk.Group, Kind: "Cluster" + gk.Kind}
		if len(kinds[twin]) > 0 && (settings.health.Has(gk) != settings.health.Has(twin) || excluded.Has(gk) != excluded.Has(twin)) {
			t.Errorf("%s and %s are not treated alike", gk, twin)
		}
		made := gk.Kind == "Work" || strings.HasSuffix(gk.Kind, "Snapshot") || strings.HasSuffix(gk.Kind, "Binding")
		if made != excluded.Has(gk) && gk.Kind != "InternalMemberCluster" && gk.Kind != "ClusterResourcePlacementStatus" {
			t.Errorf("%s is excluded: %t, want %t", gk, excluded.Has(gk), made)
		}
	}
}

// TestArgoCDIsToldOfEveryDuration looks for them in the types. There are no quantities or times in a spec, which have the same trouble.
func TestArgoCDIsToldOfEveryDuration(t *testing.T) {
	settings := readArgoCD(t)
	kinds, excluded := userKinds(t)
	for gk, types := range kinds {
		if excluded.Has(gk) {
			continue
		}
		want, got := sets.New[string](), sets.New[string]()
		for _, typ := range types {
			if spec, found := typ.FieldByName("Spec"); found {
				findDurations(t, "spec", spec.Type, want)
			}
		}
		for _, path := range settings.fields[gk] {
			got.Insert(strings.Join(path, "."))
		}
		if gk.Kind == "ClusterApprovalRequest" || gk.Kind == "ApprovalRequest" {
			// The server makes them.
			continue
		}
		if diff := cmp.Diff(sets.List(want), sets.List(got)); diff != "" {
			t.Errorf("durations of %s (-want +got):\n%s", gk, diff)
		}
	}
}

func findDurations(t *testing.T, path string, typ reflect.Type, found sets.Set[string]) {
	t.Helper()
	switch typ {
	case reflect.TypeFor[metav1.Duration]():
		found.Insert(path)
		return
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[resource.Quantity]():
		t.Errorf("%s is a %s", path, typ)
		return
	}
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		findDurations(t, path, typ.Elem(), found)
	case reflect.Struct:
		for i := range typ.NumField() {
			field := typ.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" && name != "-" {
				findDurations(t, path+"."+name, field.Type, found)
			}
		}
	}
}

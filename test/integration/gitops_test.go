// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// durations have every duration that a user can write, in another form than the server returns.
const durations = `apiVersion: placement.kubernetes-fleet.io/v1
kind: ClusterStagedUpdateStrategy
metadata: {name: durations}
spec:
  failurePolicy: {clusterTimeout: 90s}
  stages:
  - name: one
    labelSelector: {matchLabels: {environment: prod}}
    failurePolicy: {clusterTimeout: 15m, maxFailures: 5%}
    beforeStageTasks: [{type: Approval, approval: {expiresAfter: 24h}}]
    afterStageTasks: [{type: TimedWait, waitTime: 1m}, {type: Approval, approval: {expiresAfter: 36h}}]
---
apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: durations}
spec:
  rules:
    approval: {maxExpiresAfter: 72h}
    soak: {clusters: {matchLabels: {environment: staging}}, duration: 30m}
    failurePolicy: {maxClusterTimeout: 15m, maxFailures: 10%}
`

// committed are manifests of this project's kinds as people have them in git: the examples, the later one of two for the same object, and what has
// durations. What nobody commits is left out: a run that overrides a policy is an emergency's.
func committed(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objs := slices.Concat(readManifests(t, "example/*/*.yaml"), readManifests(t, "example/*.yaml"))
	for manifest := range strings.SplitSeq(durations, "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
			t.Fatal(err)
		}
		objs = append(objs, obj)
	}
	objs = slices.DeleteFunc(objs, func(obj *unstructured.Unstructured) bool {
		return !slices.Contains(groups, obj.GroupVersionKind().Group)
	})
	type key struct {
		schema.GroupKind
		namespace, name string
	}
	later := sets.New[key]()
	var kept []*unstructured.Unstructured
	for _, obj := range slices.Backward(objs) {
		k := key{obj.GroupVersionKind().GroupKind(), obj.GetNamespace(), obj.GetName()}
		_, overrides, err := unstructured.NestedMap(obj.Object, "spec", "policyOverride")
		if err != nil {
			t.Fatal(err)
		}
		if !overrides && !later.Has(k) {
			kept = append(kept, obj)
		}
		later.Insert(k)
	}
	slices.Reverse(kept)
	if len(kept) < 10 {
		t.Fatalf("only %d manifests are of this project's kinds", len(kept))
	}
	return kept
}

// TestAppliedAgainNothingChanges holds that what is in git is no drift to what is stored, for who applies it again and for who asks. The resource
// version is left out: a server-side apply leaves out defaults in lists, and is stored with the time at which they were put back.
func TestAppliedAgainNothingChanges(t *testing.T) {
	for way, flags := range map[string][]string{"client-side": nil, "server-side": {"--server-side"}} {
		t.Run(way, func(t *testing.T) {
			alice := newKubectl(t, testserver.Start(t).As(testserver.Alice))
			alice.write("git.yaml", asDocuments(t, committed(t)))
			apply := append([]string{"apply", "-f", "git.yaml"}, flags...)
			stored := []string{"get", "-f", "git.yaml", "-o", "yaml"}
			alice.run(apply...)
			versions := regexp.MustCompile(`(?m)^ *resourceVersion: .*\n`)
			before := versions.ReplaceAllString(alice.run(stored...), "")
			alice.run(apply...)
			if diff := cmp.Diff(before, versions.ReplaceAllString(alice.run(stored...), "")); diff != "" {
				t.Errorf("applying again changes (-before +after):\n%s", diff)
			}
			if out, err := alice.try("", append([]string{"diff", "-f", "git.yaml"}, flags...)...); err != nil || out != "" {
				t.Errorf("kubectl diff: %v\n%s", err, out)
			}
		})
	}
}

// TestArgoCDSeesNoDrift compares as Argo CD does by itself, with the settings that it gets: by a three-way merge, without asking the server.
func TestArgoCDSeesNoDrift(t *testing.T) {
	settings := readArgoCD(t)
	alice := newKubectl(t, testserver.Start(t).As(testserver.Alice))
	git := committed(t)
	alice.write("git.yaml", asDocuments(t, git))
	alice.run("apply", "-f", "git.yaml")
	var live unstructured.UnstructuredList
	if err := live.UnmarshalJSON([]byte(alice.run("get", "-f", "git.yaml", "-o", "json"))); err != nil {
		t.Fatal(err)
	}
	if len(live.Items) != len(git) {
		t.Fatalf("%d of %d objects are stored", len(live.Items), len(git))
	}
	for i, obj := range git {
		var applied, current unstructured.Unstructured
		if err := applied.UnmarshalJSON([]byte(live.Items[i].GetAnnotations()[corev1.LastAppliedConfigAnnotation])); err != nil {
			t.Fatal(err)
		}
		if len(applied.GetAnnotations()) == 0 {
			// kubectl applies an empty map, which Argo CD takes for none.
			applied.SetAnnotations(nil)
		}
		current.Object, _ = onlyFieldsOf(applied.Object, live.Items[i].Object).(map[string]any)
		patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(settings.normalize(t, &applied), settings.normalize(t, obj), settings.normalize(t, &current))
		if err != nil {
			t.Fatal(err)
		}
		if string(patch) != "{}" {
			t.Errorf("%s %s is out of sync: %s", obj.GetKind(), obj.GetName(), patch)
		}
	}
}

// onlyFieldsOf returns what is stored without the fields that were not applied, as Argo CD does for kinds that it does not know, in lists too.
func onlyFieldsOf(applied, stored any) any {
	switch applied := applied.(type) {
	case map[string]any:
		stored, ok := stored.(map[string]any)
		if !ok {
			return stored
		}
		kept := map[string]any{}
		for name, value := range stored {
			if of, found := applied[name]; found {
				kept[name] = onlyFieldsOf(of, value)
			}
		}
		return kept
	case []any:
		stored, ok := stored.([]any)
		if !ok {
			return stored
		}
		kept := slices.Clone(stored)
		for i := range min(len(applied), len(stored)) {
			kept[i] = onlyFieldsOf(applied[i], stored[i])
		}
		return kept
	}
	return stored
}

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

// asDocuments writes objects as the documents of one file: the test server knows no v1 List.
func asDocuments(t *testing.T, objs []*unstructured.Unstructured) string {
	t.Helper()
	var out strings.Builder
	for _, obj := range objs {
		data, err := yaml.Marshal(obj.Object)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n" + string(data))
	}
	return out.String()
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

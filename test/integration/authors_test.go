// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/dynamic"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// writtenBy are objects that have the server read, change or write another one: a Secret, or a ClusterRole where they are
// cluster-scoped. The change has it do so with one more.
var writtenBy = []struct {
	resource, manifest, change string
	// refused is what somebody is told who may not do that.
	refused string
	// unended is what they are told who may not end it, empty where anybody may who may write the object.
	unended string
}{
	{
		resource: "resourceplacements",
		manifest: `{kind: ResourcePlacement, metadata: {namespace: test-namespace}, spec: {resourceSelectors: [{group: "", version: v1, kind: Secret, name: s}]}}`,
		change:   `{spec: {resourceSelectors: [{group: "", version: v1, kind: Secret}]}}`,
		refused:  `user "nobody" cannot place`,
	},
	{
		resource: "clusterresourceplacements",
		manifest: `{kind: ClusterResourcePlacement, spec: {resourceSelectors: [{group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, name: r}]}}`,
		change:   `{spec: {resourceSelectors: [{group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole}]}}`,
		refused:  `user "nobody" cannot place`,
		unended:  `user "nobody" cannot stop placing `,
	},
	{
		resource: "resourceoverrides",
		manifest: `{kind: ResourceOverride, metadata: {namespace: test-namespace}, spec: {resourceSelectors: [{group: "", version: v1, kind: Secret, name: s}],
			policy: {overrideRules: [{clusterSelector: {}, overrideType: Delete}]}}}`,
		change:  `{spec: {policy: {overrideRules: [{overrideType: Delete}]}}}`,
		refused: `user "nobody" cannot override Secret test-namespace/s: needs update and delete on secrets in namespace test-namespace`,
		unended: `user "nobody" cannot stop overriding Secret test-namespace/s: needs update and delete on secrets in namespace test-namespace`,
	},
	{
		resource: "clusterresourceoverrides",
		manifest: `{kind: ClusterResourceOverride, spec: {clusterResourceSelectors: [{group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, name: r}],
			policy: {overrideRules: [{clusterSelector: {}, overrideType: Delete}]}}}`,
		change:  `{spec: {policy: {overrideRules: [{overrideType: Delete}]}}}`,
		refused: `user "nobody" cannot override ClusterRole r: needs update, delete and escalate on clusterroles.rbac.authorization.k8s.io`,
		unended: `user "nobody" cannot stop overriding ClusterRole r: needs update and delete on clusterroles.rbac.authorization.k8s.io`,
	},
	{
		resource: "resourceenvelopes",
		manifest: `{kind: ResourceEnvelope, metadata: {namespace: test-namespace}, data: {a: {kind: Secret, apiVersion: v1, metadata: {name: s, namespace: test-namespace}}}}`,
		change:   `{data: {a: {metadata: {name: other}}}}`,
		refused:  `user "nobody" cannot wrap Secret test-namespace/`,
		unended:  `user "nobody" cannot unwrap Secret test-namespace/`,
	},
	{
		resource: "clusterresourceenvelopes",
		manifest: `{kind: ClusterResourceEnvelope, data: {a: {kind: ClusterRole, apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: r}}}}`,
		change:   `{data: {a: {metadata: {name: other}}}}`,
		refused:  `user "nobody" cannot wrap ClusterRole `,
		unended:  `user "nobody" cannot unwrap ClusterRole `,
	},
}

// authorOf returns the client of a user for a resource.
func authorOf(t *testing.T, config *rest.Config, version, resource, namespace string) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	objects := client.Resource(schema.GroupVersionResource{Group: v1beta1.GroupName, Version: version, Resource: resource})
	if namespace == "" {
		return objects
	}
	return objects.Namespace(namespace)
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var parsed map[string]any
	if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// merged is an object with a change merged into it.
func merged(into, change map[string]any) {
	for key, value := range change {
		inner, isMap := value.(map[string]any)
		existing, wasMap := into[key].(map[string]any)
		if isMap && wasMap {
			merged(existing, inner)
		} else {
			into[key] = value
		}
	}
}

// waysToChange are those in which an object can be changed.
var waysToChange = map[string]func(ctx context.Context, as dynamic.ResourceInterface, object *unstructured.Unstructured, change map[string]any, dryRun []string) error{
	"put": func(ctx context.Context, as dynamic.ResourceInterface, object *unstructured.Unstructured, change map[string]any, dryRun []string) error {
		object = object.DeepCopy()
		merged(object.Object, change)
		_, err := as.Update(ctx, object, metav1.UpdateOptions{DryRun: dryRun})
		return err
	},
	"merge patch":     patchAs(types.MergePatchType),
	"strategic patch": patchAs(types.StrategicMergePatchType),
	"json patch": func(ctx context.Context, as dynamic.ResourceInterface, object *unstructured.Unstructured, change map[string]any, dryRun []string) error {
		object = object.DeepCopy()
		merged(object.Object, change)
		var steps []map[string]any
		for key := range change {
			steps = append(steps, map[string]any{"op": "replace", "path": "/" + key, "value": object.Object[key]})
		}
		patch, err := json.Marshal(steps)
		if err != nil {
			return err
		}
		_, err = as.Patch(ctx, object.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{DryRun: dryRun})
		return err
	},
	"apply": func(ctx context.Context, as dynamic.ResourceInterface, object *unstructured.Unstructured, change map[string]any, dryRun []string) error {
		object = object.DeepCopy()
		merged(object.Object, change)
		object.SetManagedFields(nil)
		object.SetResourceVersion("")
		_, err := as.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "author", Force: true, DryRun: dryRun})
		return err
	},
}

func patchAs(kind types.PatchType) func(context.Context, dynamic.ResourceInterface, *unstructured.Unstructured, map[string]any, []string) error {
	return func(ctx context.Context, as dynamic.ResourceInterface, object *unstructured.Unstructured, change map[string]any, dryRun []string) error {
		patch, err := json.Marshal(change)
		if err != nil {
			return err
		}
		_, err = as.Patch(ctx, object.GetName(), kind, patch, metav1.PatchOptions{DryRun: dryRun})
		return err
	}
}

// TestAuthorsMayDoThemselvesWhatTheyHaveTheServerDo has bob, who may do everything with Secrets and ClusterRoles, and nobody, who may do
// nothing with them. Both may write all of our kinds.
func TestAuthorsMayDoThemselvesWhatTheyHaveTheServerDo(t *testing.T) {
	s := testserver.Start(t, testserver.WithKindsOf(testserver.StartHub(t)), testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
		switch a.GetUser().GetName() {
		case testserver.Alice:
			return true
		case testserver.Bob:
			return a.GetAPIGroup() == v1beta1.GroupName || a.GetResource() == "secrets" || a.GetResource() == "clusterroles"
		}
		return a.GetAPIGroup() == v1beta1.GroupName
	}))
	all := []string{metav1.DryRunAll}
	for _, w := range writtenBy {
		for _, version := range []string{"v1", "v1beta1"} {
			t.Run(version+"/"+w.resource, func(t *testing.T) {
				object := &unstructured.Unstructured{Object: parse(t, w.manifest)}
				object.SetAPIVersion(v1beta1.GroupName + "/" + version)
				object.SetName("authored")
				as := func(user string) dynamic.ResourceInterface {
					return authorOf(t, s.As(user), version, w.resource, object.GetNamespace())
				}
				alice, bob, nobody := as(testserver.Alice), as(testserver.Bob), as(testserver.Nobody)
				refused := func(what string, err error) {
					t.Helper()
					if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), w.refused) {
						t.Errorf("%s is answered with %v, want %s", what, err, w.refused)
					}
				}
				taken := func(what string, err error) {
					t.Helper()
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
				for what, dryRun := range map[string][]string{"create": nil, "dry run of create": all} {
					_, err := nobody.Create(t.Context(), object, metav1.CreateOptions{DryRun: dryRun})
					refused(what, err)
					_, err = nobody.Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "author", DryRun: dryRun})
					refused(what+" by apply", err)
				}
				generated := object.DeepCopy()
				generated.SetName("")
				generated.SetGenerateName("authored-")
				_, err := nobody.Create(t.Context(), generated, metav1.CreateOptions{})
				refused("create under a name that the server makes", err)
				_, err = bob.Create(t.Context(), object, metav1.CreateOptions{DryRun: all})
				taken("dry run of create by bob", err)
				_, err = bob.Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "author"})
				taken("apply by bob", err)

				for way, change := range waysToChange {
					existing, err := alice.Get(t.Context(), object.GetName(), metav1.GetOptions{})
					if err != nil {
						t.Fatal(err)
					}
					// A strategic patch does not reach into manifests.
					if way != "strategic patch" || !strings.HasSuffix(w.resource, "envelopes") {
						refused(way, change(t.Context(), nobody, existing, parse(t, w.change), nil))
						refused("dry run of "+way, change(t.Context(), nobody, existing, parse(t, w.change), all))
						taken(way+" by bob", change(t.Context(), bob, existing, parse(t, w.change), all))
					}
					label := map[string]any{"metadata": map[string]any{"labels": map[string]any{"way": strings.ReplaceAll(way, " ", "-")}}}
					if strings.HasSuffix(w.resource, "envelopes") {
						refused(way+" of a label", change(t.Context(), nobody, existing, label, nil))
						taken(way+" of a label by bob", change(t.Context(), bob, existing, label, nil))
						continue
					}
					taken(way+" of a label", change(t.Context(), nobody, existing, label, nil))
				}
				existing, err := alice.Get(t.Context(), object.GetName(), metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				taken("a finalizer", patchAs(types.MergePatchType)(t.Context(), nobody, existing,
					map[string]any{"metadata": map[string]any{"finalizers": []any{"example.com/hold"}}}, nil))
				if strings.HasSuffix(w.resource, "placements") {
					_, err = nobody.Patch(t.Context(), object.GetName(), types.MergePatchType, []byte(`{"status":{"observedResourceIndex":"1"}}`), metav1.PatchOptions{}, "status")
					taken("the status", err)
				}
				for what, end := range map[string]func(as dynamic.ResourceInterface, dryRun []string) error{
					"delete": func(as dynamic.ResourceInterface, dryRun []string) error {
						return as.Delete(t.Context(), object.GetName(), metav1.DeleteOptions{DryRun: dryRun})
					},
					"delete all": func(as dynamic.ResourceInterface, dryRun []string) error {
						return as.DeleteCollection(t.Context(), metav1.DeleteOptions{DryRun: dryRun}, metav1.ListOptions{})
					},
					"an owner": func(as dynamic.ResourceInterface, dryRun []string) error {
						_, err := as.Patch(t.Context(), object.GetName(), types.MergePatchType,
							[]byte(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"c","uid":"u"}]}}`), metav1.PatchOptions{DryRun: dryRun})
						return err
					},
				} {
					if w.unended == "" {
						taken(what, end(nobody, all))
						continue
					}
					for _, dryRun := range [][]string{all, nil} {
						if err := end(nobody, dryRun); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), w.unended) {
							t.Errorf("%s is answered with %v, want %s", what, err, w.unended)
						}
					}
					taken(what+" by bob", end(bob, all))
				}
				taken("delete", bob.Delete(t.Context(), object.GetName(), metav1.DeleteOptions{}))
				taken("letting go", patchAs(types.MergePatchType)(t.Context(), nobody, existing, map[string]any{"metadata": map[string]any{"finalizers": nil}}, nil))
			})
		}
	}
}

const (
	quotaEnvelope = `{apiVersion: placement.kubernetes-fleet.io/v1, kind: ResourceEnvelope, metadata: {name: limits, namespace: test-namespace}, data: {
		quota: {apiVersion: v1, kind: ResourceQuota, metadata: {name: limits, namespace: test-namespace}, spec: {hard: {pods: "20"}}}}}`
	quotaOverride = `{apiVersion: placement.kubernetes-fleet.io/v1, kind: ResourceOverride, metadata: {name: limits, namespace: test-namespace}, spec: {
		resourceSelectors: [{group: "", version: v1, kind: ResourceQuota, name: limits}], policy: {overrideRules: [{clusterSelector: {}, overrideType: Delete}]}}}`
	quotaPlacement = `{apiVersion: placement.kubernetes-fleet.io/v1, kind: ResourcePlacement, metadata: {name: limits, namespace: test-namespace}, spec: {
		resourceSelectors: [{group: placement.kubernetes-fleet.io, version: v1, kind: ResourceEnvelope, %s}]}}`
)

// TestATeamDoesNotPlaceWhatTheTeamCannotWrite has nobody, who may read all and write our kinds, place an envelope of the platform to
// clusters of their choice. They are refused as soon as the server has read the envelope.
func TestATeamDoesNotPlaceWhatTheTeamCannotWrite(t *testing.T) {
	s := testserver.Start(t, testserver.WithKindsOf(testserver.StartHub(t)), testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
		return a.GetUser().GetName() == testserver.Alice || a.GetAPIGroup() == v1beta1.GroupName || a.GetVerb() == "get" || a.GetVerb() == "list"
	}))
	envelopes := authorOf(t, s.As(testserver.Alice), "v1", "resourceenvelopes", "test-namespace")
	if _, err := envelopes.Create(t.Context(), &unstructured.Unstructured{Object: parse(t, quotaEnvelope)}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	placements := authorOf(t, s.As(testserver.Nobody), "v1", "resourceplacements", "test-namespace")
	const want = `user "nobody" cannot place ResourceQuota test-namespace/limits of ResourceEnvelope test-namespace/limits: needs create, update and delete on `
	for _, selector := range []string{"name: limits", "labelSelector: {matchExpressions: [{key: none, operator: DoesNotExist}]}"} {
		var answer error
		err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, wait.ForeverTestTimeout, true, func(ctx context.Context) (bool, error) {
			_, answer = placements.Create(ctx, &unstructured.Unstructured{Object: parse(t, fmt.Sprintf(quotaPlacement, selector))}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return apierrors.IsForbidden(answer) && strings.Contains(answer.Error(), want), nil
		})
		if err != nil {
			t.Errorf("by %s: %v: answered with %v, want %s", selector, err, answer, want)
		}
	}
}

// TestANamespaceThatGoesTakesWhatIsInIt has nobody, who may delete our kinds and nothing else, empty a namespace as its controller does.
func TestANamespaceThatGoesTakesWhatIsInIt(t *testing.T) {
	for name, goes := range map[string]bool{"a namespace that goes": true, "one that stays": false} {
		t.Run(name, func(t *testing.T) {
			var going atomic.Bool
			hub := kubefake.NewClientset()
			hub.PrependReactor("get", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: action.(clienttesting.GetAction).GetName()}}
				if going.Load() {
					namespace.DeletionTimestamp = new(metav1.Now())
				}
				return true, namespace, nil
			})
			s := testserver.Start(t, testserver.WithKindsOf(testserver.StartHub(t)), testserver.WithHub(hub), testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
				return a.GetUser().GetName() == testserver.Alice || a.GetAPIGroup() == v1beta1.GroupName
			}))
			for resource, manifest := range map[string]string{"resourceenvelopes": quotaEnvelope, "resourceoverrides": quotaOverride, "resourceplacements": fmt.Sprintf(quotaPlacement, "name: limits")} {
				going.Store(false)
				alice := authorOf(t, s.As(testserver.Alice), "v1", resource, "test-namespace")
				if _, err := alice.Create(t.Context(), &unstructured.Unstructured{Object: parse(t, manifest)}, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				going.Store(goes)
				nobody := authorOf(t, s.As(testserver.Nobody), "v1", resource, "test-namespace")
				err := nobody.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
				if resource != "resourceplacements" && apierrors.IsForbidden(err) == goes || goes && err != nil {
					t.Errorf("%s: answered with %v", resource, err)
				}
			}
		})
	}
}

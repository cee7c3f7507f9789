// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

const watchTimeout = 30 * time.Second

// one server serves all tests that only use resources in their own way: each test of a resource has names of its own.
func forEachResource(t *testing.T, test func(t *testing.T, s *testserver.Server, r served)) {
	t.Helper()
	s := testserver.Start(t)
	resources := discover(t, s.As(testserver.Alice))
	if len(resources) == 0 {
		t.Fatal("discovery lists no resources")
	}
	for _, r := range resources {
		t.Run(r.String(), func(t *testing.T) { test(t, s, r) })
	}
}

func name(r served, suffix string) string { return "sample-" + r.gv.Version + "-" + suffix }

func create(t *testing.T, client dynamic.ResourceInterface, obj *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	created, err := client.Create(t.Context(), obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return created
}

func labelPatch(value string) []byte {
	return fmt.Appendf(nil, `{"metadata":{"labels":{"patched":%q}}}`, value)
}

func TestEveryResourceInEveryVersion(t *testing.T) {
	want := sets.New("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
	kinds := map[string]sets.Set[string]{}
	forEachResource(t, func(t *testing.T, s *testserver.Server, r served) {
		if got := sets.New(r.Verbs...); !got.Equal(want) {
			t.Errorf("verbs are %v, want %v", sets.List(got), sets.List(want))
		}
		if !slices.Contains(r.Categories, "fleet") {
			t.Errorf("categories are %v, want fleet among them", r.Categories)
		}
		if kinds[r.gv.Version] == nil {
			kinds[r.gv.Version] = sets.New[string]()
		}
		kinds[r.gv.Version].Insert(r.Kind)
		client := r.client(t, s.As(testserver.Alice))

		t.Run("create get list", func(t *testing.T) {
			obj := sample(t, r, name(r, "a"))
			created := create(t, client, obj)
			if created.GetUID() == "" || created.GetResourceVersion() == "" || created.GetGeneration() != 1 {
				t.Errorf("created without uid, resourceVersion or generation 1: %v", created.Object["metadata"])
			}
			got, err := client.Get(t.Context(), obj.GetName(), metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(created.Object, got.Object); diff != "" {
				t.Errorf("get differs from create (-created +got):\n%s", diff)
			}
			list, err := client.List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(list.Items, func(o unstructured.Unstructured) bool { return o.GetUID() == created.GetUID() }) {
				t.Error("the object is not in the list")
			}
			if _, err := client.Create(t.Context(), obj, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Errorf("creating it again: %v, want AlreadyExists", err)
			}
		})
		t.Run("dry run stores nothing", func(t *testing.T) {
			obj := sample(t, r, name(r, "dry"))
			if _, err := client.Create(t.Context(), obj, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Get(t.Context(), obj.GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("get after a dry run: %v, want NotFound", err)
			}
		})
		t.Run("patch and update", func(t *testing.T) {
			obj := create(t, client, sample(t, r, name(r, "patch")))
			for _, patchType := range []types.PatchType{types.MergePatchType, types.StrategicMergePatchType} {
				got, err := client.Patch(t.Context(), obj.GetName(), patchType, labelPatch(string(patchType[len("application/"):][:5])), metav1.PatchOptions{})
				if err != nil {
					t.Fatalf("%s: %v", patchType, err)
				}
				if got.GetLabels()["patched"] == "" {
					t.Errorf("%s changed nothing", patchType)
				}
				if got.GetGeneration() != 1 {
					t.Errorf("a label made generation %d", got.GetGeneration())
				}
				obj = got
			}
			obj.SetLabels(map[string]string{"updated": "yes"})
			if _, err := client.Update(t.Context(), obj, metav1.UpdateOptions{}); err != nil {
				t.Errorf("update: %v", err)
			}
			if _, err := client.Update(t.Context(), obj, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.Errorf("update of an old version: %v, want Conflict", err)
			}
		})
		t.Run("server-side apply", func(t *testing.T) {
			obj := sample(t, r, name(r, "apply"))
			obj.SetLabels(map[string]string{"applied": "one"})
			applied, err := client.Apply(t.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "one"})
			if err != nil {
				t.Fatal(err)
			}
			if len(applied.GetManagedFields()) != 1 {
				t.Errorf("managed fields are %v", applied.GetManagedFields())
			}
			obj.SetLabels(map[string]string{"applied": "two"})
			if _, err := client.Apply(t.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "two"}); !apierrors.IsConflict(err) {
				t.Errorf("another manager's value: %v, want Conflict", err)
			}
		})
		t.Run("unknown field", func(t *testing.T) {
			obj := sample(t, r, name(r, "unknown"))
			obj.Object["bogus"] = "value"
			_, err := client.Create(t.Context(), obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
			if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "bogus") {
				t.Errorf("got %v, want a BadRequest that names the field", err)
			}
		})
		t.Run("watch and delete", func(t *testing.T) { testWatch(t, client, sample(t, r, name(r, "watch"))) })
	})
	if diff := cmp.Diff(kinds["v1beta1"], kinds["v1"]); diff != "" {
		t.Errorf("v1 and v1beta1 have different kinds (-v1beta1 +v1):\n%s", diff)
	}
}

func testWatch(t *testing.T, client dynamic.ResourceInterface, obj *unstructured.Unstructured) {
	ctx, cancel := context.WithTimeout(t.Context(), watchTimeout)
	defer cancel()
	sendInitialEvents := true
	w, err := client.Watch(ctx, metav1.ListOptions{
		FieldSelector:        "metadata.name=" + obj.GetName(),
		AllowWatchBookmarks:  true,
		SendInitialEvents:    &sendInitialEvents,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	next(t, w, watch.Bookmark)
	created := create(t, client, obj)
	next(t, w, watch.Added)
	if _, err := client.Patch(ctx, obj.GetName(), types.MergePatchType, labelPatch("yes"), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, w, watch.Modified); got.GetLabels()["patched"] != "yes" {
		t.Errorf("modified to %v", got.GetLabels())
	}
	uid := created.GetUID()
	if err := client.Delete(ctx, obj.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); err != nil {
		t.Fatal(err)
	}
	// Some kinds have finalizers that the server sets; removing them is what their controllers do.
	next(t, w, watch.Deleted)
}

// next waits for an event of the type; a bookmark in between is no event.
func next(t *testing.T, w watch.Interface, want watch.EventType) *unstructured.Unstructured {
	t.Helper()
	for event := range w.ResultChan() {
		if event.Type == want {
			return event.Object.(*unstructured.Unstructured)
		}
		if event.Type != watch.Bookmark {
			t.Fatalf("got event %s (%v), want %s", event.Type, event.Object, want)
		}
	}
	t.Fatalf("the watch ended before %s", want)
	return nil
}

func TestStatusIsWrittenThroughItsSubresourceOnly(t *testing.T) {
	withStatus := 0
	forEachResource(t, func(t *testing.T, s *testserver.Server, r served) {
		if !r.has("status") {
			t.Skip("has no status subresource")
		}
		withStatus++
		client := r.client(t, s.Controllers())
		status := map[string]any{"conditions": []any{map[string]any{
			"type": "Test", "status": "True", "reason": "Testing", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
		}}}
		if r.Kind == "AppliedWork" {
			status = map[string]any{"appliedResources": []any{map[string]any{"ordinal": int64(0), "name": "sample"}}}
		}
		obj := sample(t, r, name(r, "status"))
		obj.Object["status"] = status
		created := create(t, client, obj)
		if got, ok := created.Object["status"].(map[string]any); ok && (got["conditions"] != nil || got["appliedResources"] != nil) {
			t.Errorf("create wrote a status: %v", got)
		}
		created.Object["status"] = status
		created.SetLabels(map[string]string{"through": "status"})
		updated, err := client.UpdateStatus(t.Context(), created, metav1.UpdateOptions{})
		if err != nil {
			t.Fatalf("update of the status: %v", err)
		}
		if updated.GetLabels()["through"] != "" {
			t.Error("a write of the status changed a label")
		}
		if updated.GetGeneration() != 1 {
			t.Errorf("a write of the status made generation %d", updated.GetGeneration())
		}
		got, ok := updated.Object["status"].(map[string]any)
		if !ok || (got["conditions"] == nil && got["appliedResources"] == nil) {
			t.Errorf("the status is %v", updated.Object["status"])
		}
		delete(updated.Object, "status")
		kept, err := client.Update(t.Context(), updated, metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, kept.Object["status"]); diff != "" {
			t.Errorf("an update of the object changed the status (-before +after):\n%s", diff)
		}
		patch, err := json.Marshal(map[string]any{"status": status})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Patch(t.Context(), obj.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			t.Errorf("patch of the status: %v", err)
		}
	})
	if withStatus == 0 {
		t.Error("no resource has a status")
	}
}

func TestListsArePagedAndSelected(t *testing.T) {
	s := testserver.Start(t)
	for _, r := range discover(t, s.As(testserver.Alice)) {
		if r.Kind != "ClusterStagedUpdateRun" && r.Kind != "ApprovalRequest" {
			continue
		}
		t.Run(r.String(), func(t *testing.T) {
			client := r.client(t, s.As(testserver.Alice))
			field, other := "spec.placementName", []string{"spec", "placementName"}
			if r.Kind == "ApprovalRequest" {
				field, other = "spec.targetStage", []string{"spec", "targetStage"}
			}
			const total = 7
			for i := range total {
				obj := sample(t, r, name(r, fmt.Sprint(i)))
				if i%2 == 0 {
					if err := unstructured.SetNestedField(obj.Object, "even", other...); err != nil {
						t.Fatal(err)
					}
				}
				obj.SetLabels(map[string]string{"version": r.gv.Version})
				create(t, client, obj)
			}
			options := metav1.ListOptions{Limit: 3, LabelSelector: "version=" + r.gv.Version}
			seen := sets.New[string]()
			for pages := 0; ; pages++ {
				page, err := client.List(t.Context(), options)
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Items) > 3 {
					t.Errorf("a page has %d items", len(page.Items))
				}
				for _, item := range page.Items {
					seen.Insert(item.GetName())
				}
				if options.Continue = page.GetContinue(); options.Continue == "" {
					if pages != 2 {
						t.Errorf("%d pages, want 3", pages+1)
					}
					break
				}
			}
			if seen.Len() != total {
				t.Errorf("saw %v, want %d", sets.List(seen), total)
			}
			selected, err := client.List(t.Context(), metav1.ListOptions{FieldSelector: field + "=even", LabelSelector: "version=" + r.gv.Version})
			if err != nil {
				t.Fatal(err)
			}
			if len(selected.Items) != 4 {
				t.Errorf("%s=even selects %d, want 4", field, len(selected.Items))
			}
			if _, err := client.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.bogus=x"}); !apierrors.IsBadRequest(err) {
				t.Errorf("selecting by an unknown field: %v, want BadRequest", err)
			}
		})
	}
}

func TestWhoMayNotWriteIsRefused(t *testing.T) {
	s := testserver.Start(t)
	for _, r := range discover(t, s.As(testserver.Nobody)) {
		if _, err := r.client(t, s.As(testserver.Nobody)).Create(t.Context(), sample(t, r, "a"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want Forbidden", r, err)
		}
	}
	config := s.As(testserver.Alice)
	config.BearerToken = "forged"
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	r := discover(t, s.As(testserver.Alice))[0]
	if _, err := client.Resource(r.gvr()).List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("a forged token: %v, want Unauthorized", err)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/dynamic"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// managers are those that an object's managedFields name, with what they did.
func managers(o *unstructured.Unstructured) []string {
	names := sets.New[string]()
	for _, entry := range o.GetManagedFields() {
		names.Insert(strings.TrimSpace(entry.Manager + " " + string(entry.Operation) + " " + entry.Subresource))
	}
	return sets.List(names)
}

// TestWhatControllersCreateBeginsWithoutManagedFields and gets them as soon as somebody applies it, who is told what the controllers own.
func TestWhatControllersCreateBeginsWithoutManagedFields(t *testing.T) {
	forEachResource(t, func(t *testing.T, s *testserver.Server, r served) {
		controllers, alice := r.client(t, s.Controllers()), r.client(t, s.As(testserver.Alice))
		expect := func(when string, o *unstructured.Unstructured, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, managers(o), cmp.Transformer("list", func(l []string) []string { return append([]string{}, l...) })); diff != "" {
				t.Errorf("managers %s (-want +got):\n%s", when, diff)
			}
		}

		obj := sample(t, r, name(r, "tracked"))
		obj.SetLabels(map[string]string{"label": "controllers"})
		dry := mustDo(controllers.Create(t.Context(), obj, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}))(t)
		expect("of a dry run", dry)
		obj = mustDo(controllers.Create(t.Context(), obj, metav1.CreateOptions{FieldManager: "stagegate"}))(t)
		expect("of an object that controllers have created", obj)
		obj.SetAnnotations(map[string]string{"annotation": "controller's"})
		obj = mustDo(controllers.Update(t.Context(), obj, metav1.UpdateOptions{FieldManager: "stagegate"}))(t)
		expect("after an update", obj)
		if r.has("status") {
			obj = mustDo(controllers.Patch(t.Context(), obj.GetName(), types.MergePatchType, []byte(`{"status":{}}`), metav1.PatchOptions{FieldManager: "stagegate"}, "status"))(t)
			expect("after a write of the status", obj)
		}
		obj = mustDo(alice.Patch(t.Context(), obj.GetName(), types.MergePatchType, labelPatch("alice"), metav1.PatchOptions{FieldManager: "edit"}))(t)
		expect("after a user's patch", obj)

		applied := &unstructured.Unstructured{}
		applied.SetGroupVersionKind(obj.GroupVersionKind())
		applied.SetName(obj.GetName())
		applied.SetLabels(map[string]string{"label": "alice"})
		_, err := alice.Apply(t.Context(), obj.GetName(), applied, metav1.ApplyOptions{FieldManager: "alice"})
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `"before-first-apply"`) || !strings.Contains(err.Error(), ".metadata.labels.label") {
			t.Errorf("a value other than the controllers': %v, want a conflict over .metadata.labels.label with before-first-apply", err)
		}
		obj = mustDo(alice.Get(t.Context(), obj.GetName(), metav1.GetOptions{}))(t)
		expect("after a conflict", obj)
		obj = mustDo(alice.Apply(t.Context(), obj.GetName(), applied, metav1.ApplyOptions{FieldManager: "alice", Force: true}))(t)
		expect("of an object that somebody has applied", obj, "alice Apply", "before-first-apply Update")
		obj.SetAnnotations(map[string]string{"annotation": "new"})
		obj = mustDo(controllers.Update(t.Context(), obj, metav1.UpdateOptions{FieldManager: "stagegate"}))(t)
		expect("after the controllers' next update", obj, "alice Apply", "before-first-apply Update", "stagegate Update")
		applied.SetAnnotations(map[string]string{"annotation": "alice's"})
		_, err = alice.Apply(t.Context(), obj.GetName(), applied, metav1.ApplyOptions{FieldManager: "alice"})
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `"stagegate"`) {
			t.Errorf("a value other than the controllers': %v, want a conflict with stagegate", err)
		}

		theirs := mustDo(alice.Create(t.Context(), sample(t, r, name(r, "tracked-user")), metav1.CreateOptions{FieldManager: "kubectl-create"}))(t)
		expect("of an object that a user has created", theirs, "kubectl-create Update")
		theirs.SetAnnotations(map[string]string{"annotation": "controller's"})
		theirs = mustDo(controllers.Update(t.Context(), theirs, metav1.UpdateOptions{FieldManager: "stagegate"}))(t)
		expect("after the controllers' update of it", theirs, "kubectl-create Update", "stagegate Update")
		if r.has("status") {
			before := theirs.GetManagedFields()
			status := mustDo(controllers.Patch(t.Context(), theirs.GetName(), types.MergePatchType, []byte(`{"status":{"conditions":[]}}`), metav1.PatchOptions{FieldManager: "stagegate"}, "status"))(t)
			status.SetLabels(map[string]string{"label": "not the status"})
			mustDo(controllers.UpdateStatus(t.Context(), status, metav1.UpdateOptions{FieldManager: "stagegate"}))(t)
			theirs = mustDo(alice.Get(t.Context(), theirs.GetName(), metav1.GetOptions{}))(t)
			if diff := cmp.Diff(before, theirs.GetManagedFields()); diff != "" {
				t.Errorf("managedFields after the controllers' writes of the status (-before +after):\n%s", diff)
			}
			mine := mustDo(alice.Patch(t.Context(), theirs.GetName(), types.MergePatchType, []byte(`{"status":null}`), metav1.PatchOptions{FieldManager: "alice"}, "status"))(t)
			mine = mustDo(alice.Patch(t.Context(), mine.GetName(), types.MergePatchType, labelPatch("alice"), metav1.PatchOptions{FieldManager: "edit"}))(t)
			expect("after a user's patch", mine, "edit Update", "kubectl-create Update", "stagegate Update")
		}

		ours := sample(t, r, name(r, "tracked-applied"))
		ours = mustDo(controllers.Apply(t.Context(), ours.GetName(), ours, metav1.ApplyOptions{FieldManager: "stagegate"}))(t)
		expect("of an object that controllers apply", ours, "stagegate Apply")
	})
}

// TestKubectlEditsAndAppliesWhatControllersCreated with what a person types.
func TestKubectlEditsAndAppliesWhatControllersCreated(t *testing.T) {
	s := testserver.Start(t)
	works := dynamic.NewForConfigOrDie(s.Controllers()).Resource(v1beta1.SchemeGroupVersion.WithResource("works")).Namespace(sampleNamespace)
	work := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"workload": map[string]any{"manifests": []any{
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "before", "namespace": "default"}},
	}}}}}
	work.SetGroupVersionKind(v1beta1.SchemeGroupVersion.WithKind("Work"))
	work.SetName("app-work")
	mustDo(works.Create(t.Context(), work, metav1.CreateOptions{}))(t)

	k := newKubectl(t, s.As(testserver.Alice))
	k.write("edit.sh", "#!/bin/sh\nsed -i 's/^metadata:$/metadata:\\n  labels:\\n    edited: by-hand/' \"$1\"\n")
	if err := os.Chmod(k.dir+"/edit.sh", 0o700); err != nil {
		t.Fatal(err)
	}
	edit := exec.CommandContext(t.Context(), k.path, "edit", "work", "app-work", "-n", sampleNamespace)
	edit.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig, "HOME="+k.dir, "KUBE_EDITOR="+k.dir+"/edit.sh")
	if out, err := edit.CombinedOutput(); err != nil {
		t.Fatalf("kubectl edit: %v\n%s", err, out)
	}
	shown := k.run("get", "work", "app-work", "-n", sampleNamespace, "-o", "yaml", "--show-managed-fields")
	if !strings.Contains(shown, "edited: by-hand") || strings.Contains(shown, "managedFields") {
		t.Errorf("after kubectl edit, want the label and no managedFields:\n%s", shown)
	}

	const manifest = `{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"Work","metadata":{"name":"app-work","namespace":"` + sampleNamespace + `"},
		"spec":{"workload":{"manifests":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"after","namespace":"default"}}]}}}`
	apply := []string{"apply", "--server-side", "--field-manager", "alice", "-f", "-"}
	out, err := k.try(manifest, apply...)
	if err == nil || !strings.Contains(out, `conflict with "before-first-apply"`) || !strings.Contains(out, ".spec.workload.manifests") {
		t.Errorf("kubectl apply --server-side: %v, want a conflict with before-first-apply over the manifests:\n%s", err, out)
	}
	if out, err := k.try(manifest, append(apply, "--force-conflicts")...); err != nil {
		t.Errorf("with --force-conflicts: %v\n%s", err, out)
	}
	shown = k.run("get", "work", "app-work", "-n", sampleNamespace, "-o", "yaml", "--show-managed-fields")
	if !strings.Contains(shown, "manager: alice") || !strings.Contains(shown, "f:manifests") || !strings.Contains(shown, "name: after") {
		t.Errorf("after kubectl apply, want fields that alice owns:\n%s", shown)
	}
}

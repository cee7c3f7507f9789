// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestWhatTypedClientsOfKubeFleetWrite creates and updates objects with all that a Go client of KubeFleet sends without being asked to.
func TestWhatTypedClientsOfKubeFleetWrite(t *testing.T) {
	data, err := os.ReadFile("testdata/typedclients.yaml")
	if err != nil {
		t.Fatal(err)
	}
	forEachResource(t, func(t *testing.T, s *testserver.Server, r served) {
		if r.gv.Group == rolloutv1alpha1.GroupName {
			t.Skip("KubeFleet does not have the group")
		}
		var all map[string]map[string]any
		if err := yaml.UnmarshalStrict(data, &all); err != nil {
			t.Fatal(err)
		}
		content, ok := all[r.Kind]
		if !ok {
			t.Fatalf("testdata/typedclients.yaml has no %s", r.Kind)
		}
		written := content["writtenStatus"]
		delete(content, "writtenStatus")
		if r.has("status") != (written != nil) {
			t.Fatalf("has a status: %v, writtenStatus: %v", r.has("status"), written)
		}
		obj := &unstructured.Unstructured{Object: content}
		obj.SetAPIVersion(r.gv.String())
		obj.SetKind(r.Kind)
		obj.SetName("typed-" + r.gv.Version)
		selectAlone(content, r.Kind, obj.GetName())
		obj.Object["metadata"].(map[string]any)["creationTimestamp"] = nil

		client := r.client(t, s.As(testserver.Alice))
		created := create(t, client, obj)
		if written != nil {
			withStatus := obj.DeepCopy()
			withStatus.SetResourceVersion(created.GetResourceVersion())
			withStatus.Object["status"] = written
			if created, err = client.UpdateStatus(t.Context(), withStatus, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
				t.Fatalf("update of the status: %v", err)
			}
		}
		again := obj.DeepCopy()
		again.SetResourceVersion(created.GetResourceVersion())
		again.SetLabels(map[string]string{"updated": "yes"})
		updated, err := client.Update(t.Context(), again, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			t.Fatalf("update: %v", err)
		}
		if got := updated.GetGeneration(); got != 1 {
			t.Errorf("the same object again is generation %d", got)
		}
	})
}

// TestThePlanOfARunIsKeptWhoeverWritesItsStatus has somebody who may write statuses change the plan of a run that is under way.
func TestThePlanOfARunIsKeptWhoeverWritesItsStatus(t *testing.T) {
	k := newKubectl(t, testserver.Start(t).As(testserver.Alice))
	for _, in := range runScopes {
		t.Run(in.kind, func(t *testing.T) {
			k.createRun(in, "planned")
			for what, patch := range map[string]string{
				"status.stagesStatus[1].stageName": `[{"op": "replace", "path": "/status/stagesStatus/1/stageName", "value": "later"}]`,
				"status.stagesStatus[0].clusters":  `[{"op": "remove", "path": "/status/stagesStatus/0/clusters/0"}]`,
				"status.resourceSnapshotIndexUsed": `[{"op": "remove", "path": "/status/resourceSnapshotIndexUsed"}]`,
				"status.conditions":                `[{"op": "remove", "path": "/status"}]`,
			} {
				out, err := k.try("", "patch", in.resource, "planned", "--subresource=status", "--type=json", "-p", patch)
				if err == nil || !strings.Contains(out, what+": Forbidden: ") || !strings.Contains(out, "create a new run instead") {
					t.Errorf("%s: %v\n%s", patch, err, out)
				}
			}
			k.run("patch", in.resource, "planned", "--subresource=status", "--type=json", "-p",
				`[{"op": "add", "path": "/status/stagesStatus/1/clusters/0/message", "value": "not available yet"}]`)
		})
	}
}

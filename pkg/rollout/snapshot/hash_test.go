// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// The hashes are those that upstream stores for the same objects.
func TestHashIsUpstreams(t *testing.T) {
	var items []*item
	for _, manifest := range []string{`
apiVersion: v1
kind: ConfigMap
metadata:
  name: test-cm
  namespace: test-namespace
  uid: 6e8e1a1c-2b7c-4d7e-9c39-5c8f8c6b2d11
  resourceVersion: "12"
  creationTimestamp: "2026-11-23T02:20:24Z"
  managedFields: [{manager: kubectl}]
data: {key: value2}
`, `
apiVersion: v1
kind: Namespace
metadata:
  name: test-namespace
  uid: 6e8e1a1c-2b7c-4d7e-9c39-5c8f8c6b2d12
  resourceVersion: "10"
  creationTimestamp: "2026-11-23T02:20:24Z"
  labels: {kubernetes.io/metadata.name: test-namespace}
spec: {finalizers: [kubernetes]}
status: {phase: Active}
`} {
		i, err := newItem(parse(t, manifest))
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, i)
	}
	sortItems(items)
	c, err := newContent(items)
	if err != nil {
		t.Fatal(err)
	}
	if want := "10dd7a3d1e5f9849afe956cfbac080a60671ad771e9bda7dd34415f867c75648"; c.hash != want {
		t.Errorf("hash of the resources is %s, want %s", c.hash, want)
	}

	policy, err := hashOf(&v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType})
	if err != nil {
		t.Fatal(err)
	}
	if want := "8cc57dee59684ff88766e26936c8fb125f4bde234a2beb5c54aded4569db0d5a"; policy != want {
		t.Errorf("hash of the policy is %s, want %s", policy, want)
	}
}

func TestHashOfNothingIsThatOfAnEmptyList(t *testing.T) {
	c, err := newContent(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hashOf(map[string]any{"selectedResources": []any{}})
	if err != nil {
		t.Fatal(err)
	}
	if c.hash != want {
		t.Errorf("hash is %s, want %s", c.hash, want)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestOrder(t *testing.T) {
	want := []string{
		"PriorityClass scheduling.k8s.io/v1 /p",
		"Namespace v1 /n",
		"Secret v1 a/b",
		"ConfigMap v1 a/a",
		"ConfigMap v1 a/b",
		"ConfigMap v1 b/a",
		"Service serving.knative.dev/v1 a/a",
		"Service v1 a/a",
		"Deployment apps/v1 a/a",
		"ValidatingWebhookConfiguration admissionregistration.k8s.io/v1 /v",
		"Widget a.example.com/v1 z/z",
		"Apple b.example.com/v1 a/a",
		"Widget b.example.com/v1 a/a",
	}
	var items []*item
	for i := range want {
		// 7 has no factor in common with the length: every one comes up, and not in order.
		f := strings.Fields(want[i*7%len(want)])
		group, version, found := strings.Cut(f[1], "/")
		if !found {
			group, version = "", f[1]
		}
		namespace, name, _ := strings.Cut(f[2], "/")
		items = append(items, &item{id: v1beta1.ResourceIdentifier{Group: group, Version: version, Kind: f[0], Namespace: namespace, Name: name}})
	}
	sortItems(items)
	var got []string
	for _, i := range items {
		got = append(got, strings.Join([]string{i.id.Kind, i.gvk().GroupVersion().String(), i.id.Namespace + "/" + i.id.Name}, " "))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

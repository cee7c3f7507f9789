// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestKindsThatANamespaceBringsAlongAreThoseOfASelection(t *testing.T) {
	h := newHub(t)
	h.failed[schema.GroupVersion{Group: "example.com", Version: "v1"}] = errors.New("stale")
	h.failed[schema.GroupVersion{Group: "metrics.k8s.io", Version: "v1"}] = errors.New("stale")
	kinds, err := (&KindReader{discovery: h, metadata: h.metadata}).Kinds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := h.discover()
	var got, want []string
	for _, k := range kinds.Served {
		if k.InNamespaces {
			got = append(got, k.GroupVersion().WithResource(k.Resource).String())
		}
		if served := found.served[k.GroupVersionKind]; served.resource != k.Resource || served.namespaced != k.Namespaced {
			t.Errorf("%v is told as %+v", served, k)
		}
	}
	for _, k := range found.inNamespaces {
		want = append(want, k.gvr().String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds in namespaces (-want +got):\n%s", diff)
	}
	if len(kinds.Served) != len(found.served) {
		t.Errorf("%d kinds, want %d", len(kinds.Served), len(found.served))
	}
	if diff := cmp.Diff(map[schema.GroupVersion]string{{Group: "example.com", Version: "v1"}: "stale"}, kinds.Failed); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
}

func TestAHubThatDoesNotAnswerTellsNoKinds(t *testing.T) {
	h := newHub(t)
	h.down = errors.New("no route")
	if _, err := (&KindReader{discovery: h, metadata: h.metadata}).Kinds(t.Context()); !errors.Is(err, h.down) {
		t.Errorf("answered with %v", err)
	}
}

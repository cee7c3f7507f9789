// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestKindsOfANamespace(t *testing.T) {
	found := newHub(t).discover()
	var got []string
	for _, k := range found.inNamespaces {
		got = append(got, k.Group+"/"+k.Version+"/"+k.resource)
	}
	want := []string{
		// Neither Pods and Events nor what cannot be listed; one version of each kind; of our own kinds only the envelope.
		"/v1/configmaps", "/v1/endpoints", "/v1/secrets", "/v1/services",
		"autoscaling/v2/horizontalpodautoscalers",
		"placement.kubernetes-fleet.io/v1/resourceenvelopes",
		"rbac.authorization.k8s.io/v1/roles",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds in namespaces (-want +got):\n%s", diff)
	}
	if err := found.unknown(limits{}); err != nil {
		t.Errorf("unknown: %v", err)
	}
	if _, served := found.served[schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "HorizontalPodAutoscaler"}]; !served {
		t.Error("a selector cannot name a version that is not preferred")
	}
}

func TestKindsOfAGroupThatDoesNotAnswerAreUnknown(t *testing.T) {
	for name, tc := range map[string]struct {
		group string
		want  string
	}{
		"a group that can be selected":  {"rbac.authorization.k8s.io", "not everything that is selected can be seen: the kinds of rbac.authorization.k8s.io/v1: stale"},
		"a group that is never matters": {"metrics.k8s.io", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.failed[schema.GroupVersion{Group: tc.group, Version: "v1"}] = errors.New("stale")
			got := ""
			if err := h.discover().unknown(limits{}); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("unknown: %q, want %q", got, tc.want)
			}
		})
	}
}

func TestKindsEqual(t *testing.T) {
	h := newHub(t)
	before := h.discover()
	if !before.equal(h.discover()) {
		t.Error("the same kinds are not equal")
	}
	if before.equal(nil) {
		t.Error("kinds are equal to none")
	}
	h.failed[schema.GroupVersion{Version: "v1"}] = errors.New("down")
	if before.equal(h.discover()) {
		t.Error("kinds are equal to fewer")
	}
}

func TestAVersionThatIsRegisteredButNotServedIsUnknown(t *testing.T) {
	h := newHub(t)
	for _, name := range []string{"v1.", "v2.autoscaling", "v1.example.com", "v1.metrics.k8s.io"} {
		h.put(`{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: ` + name + `}}`)
	}
	err := h.discover().unknown(limits{})
	want := "not everything that is selected can be seen: the kinds of example.com/v1: registered, but not served"
	if err == nil || err.Error() != want {
		t.Errorf("unknown: %v, want %s", err, want)
	}
}

func TestKindsCannotBeKnownWithoutTheAPIServices(t *testing.T) {
	h := newHub(t)
	h.refuse("apiservices")
	if err := h.discover().unknown(limits{}); err == nil {
		t.Error("all kinds are known")
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

func placementIn(namespace string, terms ...v1beta1.ResourceSelectorTerm) v1beta1.PlacementObject {
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "app", UID: "app-uid", Generation: 1}
	spec := v1beta1.PlacementSpec{ResourceSelectors: terms, Strategy: v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType}}
	if namespace == "" {
		return &v1beta1.ClusterResourcePlacement{ObjectMeta: meta, Spec: spec}
	}
	return &v1beta1.ResourcePlacement{ObjectMeta: meta, Spec: spec}
}

func named(group, version, kind, name string) v1beta1.ResourceSelectorTerm {
	return v1beta1.ResourceSelectorTerm{Group: group, Version: version, Kind: kind, Name: name}
}

func labeled(group, version, kind string, labels map[string]string) v1beta1.ResourceSelectorTerm {
	return v1beta1.ResourceSelectorTerm{Group: group, Version: version, Kind: kind, LabelSelector: &metav1.LabelSelector{MatchLabels: labels}}
}

func namespaceTerm(name string, scope v1beta1.SelectionScope) v1beta1.ResourceSelectorTerm {
	return v1beta1.ResourceSelectorTerm{Version: "v1", Kind: "Namespace", Name: name, SelectionScope: scope}
}

func TestSelection(t *testing.T) {
	type terms = []v1beta1.ResourceSelectorTerm
	labels := func(app string) map[string]string { return map[string]string{"app": app} }
	namespaceA := namespaceTerm("a", v1beta1.NamespaceWithResources)
	for name, tc := range map[string]struct {
		namespace string
		terms     terms
		change    func(*hub)
		want      []string
		wantUser  string
		wantOther string
	}{
		"a namespace brings everything in it along": {
			terms: terms{namespaceA},
			want:  []string{"Namespace a", "Secret a/s", "ConfigMap a/one", "ConfigMap a/two", "Role a/r", "Service a/svc"},
		},
		"that is the default": {
			terms: terms{namespaceTerm("a", "")},
			want:  []string{"Namespace a", "Secret a/s", "ConfigMap a/one", "ConfigMap a/two", "Role a/r", "Service a/svc"},
		},
		"a namespace alone": {
			terms: terms{namespaceTerm("a", v1beta1.NamespaceOnly)},
			want:  []string{"Namespace a"},
		},
		"but no reserved one": {
			terms:    terms{namespaceTerm("kube-system", v1beta1.NamespaceOnly)},
			wantUser: "invalid clusterResourcePlacement app: namespace kube-system is not allowed to propagate",
		},
		"nor one among others": {
			terms:    terms{{Version: "v1", Kind: "Namespace", SelectionScope: v1beta1.NamespaceOnly, LabelSelector: &metav1.LabelSelector{}}},
			wantUser: "invalid clusterResourcePlacement app: namespace kube-system is not allowed to propagate",
		},
		"a namespace with what other selectors find in it": {
			terms: terms{namespaceTerm("a", v1beta1.NamespaceWithResourceSelectors), labeled("", "v1", "ConfigMap", labels("one")),
				named("rbac.authorization.k8s.io", "v1", "ClusterRole", "reader")},
			want: []string{"Namespace a", "ConfigMap a/one", "ClusterRole reader"},
		},
		"which is one namespace": {
			terms: terms{{
				Version: "v1", Kind: "Namespace", SelectionScope: v1beta1.NamespaceWithResourceSelectors,
				LabelSelector: &metav1.LabelSelector{MatchLabels: labels("x")},
			}},
			change: func(h *hub) {
				h.put(`{apiVersion: v1, kind: Namespace, metadata: {name: x1, labels: {app: x}}}`)
				h.put(`{apiVersion: v1, kind: Namespace, metadata: {name: x2, labels: {app: x}}}`)
			},
			wantUser: "invalid clusterResourcePlacement app: NamespaceWithResourceSelectors mode requires exactly one namespace, but 2 namespaces were selected",
		},
		"which exists": {
			terms:    terms{namespaceTerm("none", v1beta1.NamespaceWithResourceSelectors)},
			wantUser: "invalid clusterResourcePlacement app: NamespaceWithResourceSelectors mode requires exactly one namespace, but no namespaces were selected",
		},
		"and is not reserved": {
			terms:    terms{namespaceTerm("kube-system", v1beta1.NamespaceWithResourceSelectors)},
			wantUser: "invalid clusterResourcePlacement app: namespace kube-system is not allowed to propagate",
		},
		"a reserved namespace cannot be placed": {
			terms:    terms{namespaceTerm("kube-system", v1beta1.NamespaceWithResources)},
			wantUser: "invalid clusterResourcePlacement app: namespace kube-system is not allowed to propagate",
		},
		"a namespace that is not there is nothing": {
			terms: terms{namespaceTerm("none", v1beta1.NamespaceWithResources)},
		},
		"a namespace being deleted is skipped": {
			terms: terms{namespaceTerm("gone", v1beta1.NamespaceWithResources)},
		},
		"by name": {
			terms: terms{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "reader")},
			want:  []string{"ClusterRole reader"},
		},
		"by a name that is not there": {
			terms: terms{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "none")},
		},
		"by label": {
			terms: terms{labeled("rbac.authorization.k8s.io", "v1", "ClusterRole", labels("writer"))},
			want:  []string{"ClusterRole writer"},
		},
		"all of a kind": {
			terms: terms{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "")},
			want:  []string{"ClusterRole reader", "ClusterRole writer"},
		},
		"any selector suffices": {
			terms: terms{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "writer"), namespaceTerm("a", v1beta1.NamespaceOnly)},
			want:  []string{"Namespace a", "ClusterRole writer"},
		},
		"a disabled kind is skipped": {
			terms: terms{named("", "v1", "Node", ""), named("cluster.kubernetes-fleet.io", "v1", "MemberCluster", "m"), namespaceTerm("a", v1beta1.NamespaceOnly)},
			want:  []string{"Namespace a"},
		},
		"a kind of namespaces needs one": {
			terms:    terms{named("", "v1", "ConfigMap", "one")},
			wantUser: "invalid placement app: cannot select namespace-scoped resource /v1, Resource=configmaps in a clusterResourcePlacement",
		},
		"a kind that is not there": {
			terms:    terms{named("example.com", "v1", "Widget", "w")},
			wantUser: `invalid placement app, failed to get GVR of the selector: no matches for kind "Widget" in version "example.com/v1"`,
		},
		"an object selected twice": {
			terms:    terms{namespaceA, namespaceTerm("a", v1beta1.NamespaceOnly)},
			wantUser: "found duplicate resource {Group: Version:v1 Kind:Namespace Name:a Namespace: Envelope:<nil>}",
		},
		"an object selected in two versions": {
			namespace: "a",
			terms:     terms{named("autoscaling", "v1", "HorizontalPodAutoscaler", "h"), named("autoscaling", "v2", "HorizontalPodAutoscaler", "h")},
			change: func(h *hub) {
				h.put(`{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: a}}`)
				h.put(`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: a}}`)
			},
			wantUser: "found duplicate resource {Group:autoscaling Version:v2 Kind:HorizontalPodAutoscaler Name:h Namespace:a Envelope:<nil>}",
		},
		"a namespaced placement selects in its namespace": {
			namespace: "a",
			terms:     terms{named("", "v1", "ConfigMap", "one"), labeled("rbac.authorization.k8s.io", "v1", "Role", labels("r"))},
			want:      []string{"ConfigMap a/one", "Role a/r"},
		},
		"but in no reserved one": {
			namespace: "kube-system",
			terms:     terms{named("", "v1", "ConfigMap", "none")},
			wantUser:  "invalid resourcePlacement kube-system/app: namespace kube-system is not allowed to propagate",
		},
		"and neither a Namespace": {
			namespace: "a",
			terms:     terms{namespaceA},
			wantUser:  "invalid placement a/app: cannot select cluster-scoped resource Namespace in a resourcePlacement",
		},
		"nor another kind without one": {
			namespace: "a",
			terms:     terms{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "reader")},
			wantUser:  "invalid placement a/app: cannot select cluster-scoped resource rbac.authorization.k8s.io/v1, Resource=clusterroles in a resourcePlacement",
		},
		"Endpoints of a Service are its own": {
			namespace: "a",
			terms:     terms{named("", "v1", "Endpoints", "")},
			change: func(h *hub) {
				h.put(`{apiVersion: v1, kind: Endpoints, metadata: {name: svc, namespace: a}}`)
				h.put(`{apiVersion: v1, kind: Endpoints, metadata: {name: external, namespace: a}}`)
			},
			want: []string{"Endpoints a/external"},
		},
		"a group that does not answer hides what is in a namespace": {
			terms:     terms{namespaceA},
			change:    func(h *hub) { h.failed[schema.GroupVersion{Group: "example.com", Version: "v1"}] = errors.New("stale") },
			wantOther: "not everything that is selected can be seen: the kinds of example.com/v1: stale",
		},
		"and its own kinds": {
			terms:     terms{named("example.com", "v1", "Widget", "w")},
			change:    func(h *hub) { h.failed[schema.GroupVersion{Group: "example.com", Version: "v1"}] = errors.New("stale") },
			wantOther: "not everything that is selected can be seen: the kinds of example.com/v1: stale",
		},
		"but no others": {
			terms:  terms{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "reader")},
			change: func(h *hub) { h.failed[schema.GroupVersion{Group: "example.com", Version: "v1"}] = errors.New("stale") },
			want:   []string{"ClusterRole reader"},
		},
		"a hub that does not answer hides everything": {
			terms:     terms{named("rbac.authorization.k8s.io", "v1", "ClusterRole", "reader")},
			change:    func(h *hub) { h.down = errors.New("connection refused") },
			wantOther: "not everything that is selected can be seen: the kinds of the hub: connection refused",
		},
		"a kind that may not be read is named": {
			terms:     terms{namespaceA},
			change:    func(h *hub) { h.refuse("secrets") },
			wantOther: "not everything that is selected can be seen: secrets in namespace a: secrets is forbidden: not yours",
		},
		"the user's mistake comes before what is missing": {
			terms:    terms{namespaceA, named("nowhere.example.com", "v1", "Thing", "")},
			change:   func(h *hub) { h.refuse("secrets") },
			wantUser: `invalid placement app, failed to get GVR of the selector: no matches for kind "Thing" in version "nowhere.example.com/v1"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			for _, manifest := range []string{
				namespace("a"), namespace("b"), namespace("kube-system"),
				`{apiVersion: v1, kind: Namespace, metadata: {name: gone, deletionTimestamp: "2026-01-01T00:00:00Z"}}`,
				configMap("a", "two", "x"), configMap("a", "one", "x"), configMap("b", "other", "x"), configMap("a", "kube-root-ca.crt", "x"),
				configMap("gone", "left", "x"),
				`{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a}}`,
				`{apiVersion: v1, kind: Service, metadata: {name: svc, namespace: a}}`,
				`{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a}}`,
				`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r, namespace: a, labels: {app: r}}}`,
				`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: writer, labels: {app: writer}}}`,
				`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader}}`,
			} {
				h.put(manifest)
			}
			if tc.change != nil {
				tc.change(h)
			}
			found, err := selectItems(t.Context(), &liveView{hub: h.dynamic, served: h.discover()}, limits{}, placementIn(tc.namespace, tc.terms...))
			var got []string
			if found == nil {
				found = &selected{}
			}
			for _, i := range found.items {
				name := i.id.Name
				if i.id.Namespace != "" {
					name = i.id.Namespace + "/" + name
				}
				got = append(got, i.id.Kind+" "+name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("selected (-want +got):\n%s", diff)
			}
			message := ""
			if err != nil {
				message = err.Error()
			}
			if want := tc.wantUser + tc.wantOther; message != want {
				t.Errorf("error %q, want %q", message, want)
			}
			if got := reconcile.IsTerminal(err); got != (tc.wantUser != "") {
				t.Errorf("user error: %t", got)
			}
		})
	}
}

func TestOnlyAFewOfManyMissingThingsAreNamed(t *testing.T) {
	err := &incomplete{missing: []string{"a", "b", "c", "d", "e", "f", "g"}}
	if want := "not everything that is selected can be seen: a; b; c; d; e; and 2 more"; err.Error() != want {
		t.Errorf("message %q, want %q", err, want)
	}
}

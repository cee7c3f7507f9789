// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"reflect"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

var (
	deployment = v1beta1.ResourceIdentifier{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	role       = v1beta1.ResourceIdentifier{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "reader"}
)

func clusterOverride(name string, selected ...v1beta1.ResourceIdentifier) *v1beta1.ClusterResourceOverride {
	o := &v1beta1.ClusterResourceOverride{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, r := range selected {
		o.Spec.ClusterResourceSelectors = append(o.Spec.ClusterResourceSelectors,
			v1beta1.ResourceSelectorTerm{Group: r.Group, Version: r.Version, Kind: r.Kind, Name: r.Name})
	}
	o.Spec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{ClusterSelector: &v1beta1.ClusterSelector{}}}}
	return o
}

func namespacedOverride(namespace, name string, selected v1beta1.ResourceIdentifier) *v1beta1.ResourceOverride {
	o := &v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	o.Spec.ResourceSelectors = []v1beta1.ResourceSelector{{Group: selected.Group, Version: selected.Version, Kind: selected.Kind, Name: selected.Name}}
	o.Spec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{ClusterSelector: &v1beta1.ClusterSelector{}}}}
	return o
}

func snapshot(o v1beta1.OverrideObject, index int) v1beta1.OverrideSnapshotObject {
	s := o.NewSnapshot(nil)
	s.SetNamespace(o.GetNamespace())
	s.SetName(wellknown.OverrideSnapshotName(o.GetName(), index))
	s.SetLabels(map[string]string{wellknown.ParentOverrideLabel: o.GetName(), wellknown.OverrideIndexLabel: strconv.Itoa(index)})
	return s
}

func TestAnOverrideIsForWhatItNames(t *testing.T) {
	cluster := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	namespaced := &v1beta1.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	elsewhere := &v1beta1.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "web"}}
	ref := func(o *v1beta1.ResourceOverride, name string, scope v1beta1.ResourceScope) v1beta1.OverrideObject {
		o.Spec.Placement = &v1beta1.PlacementRef{Name: name, Scope: scope}
		return o
	}
	shop := func() *v1beta1.ResourceOverride { return namespacedOverride("shop", "o", deployment) }
	withEnvelope := deployment
	withEnvelope.Envelope = &v1beta1.EnvelopeIdentifier{Name: "e"}
	otherVersion := deployment
	otherVersion.Version = "v1beta1"
	for name, test := range map[string]struct {
		override  v1beta1.OverrideObject
		placement metav1.Object
		resources []v1beta1.ResourceIdentifier
		want      bool
	}{
		"every placement, cluster-scoped":        {shop(), cluster, []v1beta1.ResourceIdentifier{role, deployment}, true},
		"every placement, namespaced":            {shop(), namespaced, []v1beta1.ResourceIdentifier{deployment}, true},
		"cluster-scoped by default":              {ref(shop(), "web", ""), cluster, []v1beta1.ResourceIdentifier{deployment}, true},
		"cluster-scoped of another name":         {ref(shop(), "other", v1beta1.ClusterScoped), cluster, []v1beta1.ResourceIdentifier{deployment}, false},
		"cluster-scoped, and not the namespaced": {ref(shop(), "web", v1beta1.ClusterScoped), namespaced, []v1beta1.ResourceIdentifier{deployment}, false},
		"namespaced":                             {ref(shop(), "web", v1beta1.NamespaceScoped), namespaced, []v1beta1.ResourceIdentifier{deployment}, true},
		"namespaced, and not the cluster-scoped": {ref(shop(), "web", v1beta1.NamespaceScoped), cluster, []v1beta1.ResourceIdentifier{deployment}, false},
		"namespaced, of another namespace":       {ref(shop(), "web", v1beta1.NamespaceScoped), elsewhere, []v1beta1.ResourceIdentifier{deployment}, false},
		"nothing that it changes":                {shop(), cluster, []v1beta1.ResourceIdentifier{role}, false},
		"a name in another namespace":            {namespacedOverride("bank", "o", deployment), cluster, []v1beta1.ResourceIdentifier{deployment}, false},
		"another version":                        {shop(), cluster, []v1beta1.ResourceIdentifier{otherVersion}, false},
		"in an envelope":                         {shop(), cluster, []v1beta1.ResourceIdentifier{withEnvelope}, true},
		"a cluster-scoped object":                {clusterOverride("o", role), cluster, []v1beta1.ResourceIdentifier{role}, true},
		"the namespace of an object":             {clusterOverride("o", namespace("shop")), cluster, []v1beta1.ResourceIdentifier{deployment}, true},
		"another namespace":                      {clusterOverride("o", namespace("bank")), cluster, []v1beta1.ResourceIdentifier{deployment, role}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := len(For([]v1beta1.OverrideObject{test.override}, test.placement, test.resources)) == 1; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestTheNewestVersionIsInForceOnceItSaysTheSame(t *testing.T) {
	edited := clusterOverride("edited", role)
	old := snapshot(edited, 9)
	edited.Spec.ClusterResourceSelectors[0].Name = "writer"
	kept := clusterOverride("kept", role)
	deleted := clusterOverride("deleted", role)
	now := metav1.Now()
	deleted.DeletionTimestamp = &now
	twin := namespacedOverride("shop", "kept", deployment)
	impostor := snapshot(kept, 12)
	impostor.SetName("impostor")

	latest, pending := Latest(
		[]v1beta1.OverrideObject{edited, kept, deleted, twin, clusterOverride("new", role)},
		[]v1beta1.OverrideSnapshotObject{old, snapshot(kept, 2), snapshot(kept, 10), snapshot(deleted, 0), snapshot(twin, 0), impostor})

	if got, want := names(latest), []string{"kept-10", "kept-0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("in force: got %v, want %v", got, want)
	}
	if got, want := names(pending), []string{"edited", "new"}; !reflect.DeepEqual(got, want) {
		t.Errorf("pending: got %v, want %v", got, want)
	}
}

func names[O metav1.Object](objects []O) (found []string) {
	for _, o := range objects {
		found = append(found, o.GetName())
	}
	return found
}

func TestRulesPickClusters(t *testing.T) {
	term := func(key, value string) v1beta1.ClusterSelectorTerm {
		return v1beta1.ClusterSelectorTerm{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}
	}
	with := func(o v1beta1.OverrideObject, selectors ...*v1beta1.ClusterSelector) v1beta1.OverrideSnapshotObject {
		s := snapshot(o, 0)
		s.OverridePolicy().OverrideRules = nil
		for _, selector := range selectors {
			s.OverridePolicy().OverrideRules = append(s.OverridePolicy().OverrideRules, v1beta1.OverrideRule{ClusterSelector: selector})
		}
		return s
	}
	rules, err := NewRules([]v1beta1.OverrideSnapshotObject{
		with(clusterOverride("z-everywhere", role), &v1beta1.ClusterSelector{}),
		with(clusterOverride("nowhere", role), nil),
		with(clusterOverride("europe", role), nil, &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{term("region", "us"), term("region", "eu")}}),
		with(clusterOverride("asia", role), &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{term("region", "asia")}}),
		with(namespacedOverride("shop", "b", deployment), &v1beta1.ClusterSelector{}),
		with(namespacedOverride("bank", "c", deployment), &v1beta1.ClusterSelector{}),
		with(namespacedOverride("shop", "a", deployment), &v1beta1.ClusterSelector{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	cluster, namespaced := rules.On(labels.Set{"region": "eu"})
	if want := []string{"europe-0", "z-everywhere-0"}; !reflect.DeepEqual(cluster, want) {
		t.Errorf("got %v, want %v", cluster, want)
	}
	want := []v1beta1.NamespacedName{{Namespace: "bank", Name: "c-0"}, {Namespace: "shop", Name: "a-0"}, {Namespace: "shop", Name: "b-0"}}
	if !reflect.DeepEqual(namespaced, want) {
		t.Errorf("got %v, want %v", namespaced, want)
	}
}

func TestAnOverrideStopsWhatItsScopeRulesOnly(t *testing.T) {
	namespaced, cluster := namespacedOverride("shop", "o", deployment), clusterOverride("o", role)
	for name, test := range map[string]struct {
		override  v1beta1.Override
		placement string
		want      bool
	}{
		"a namespace's, what is placed from it":       {namespaced, "shop", true},
		"a namespace's, what the platform places":     {namespaced, "", false},
		"a namespace's, what another one places":      {namespaced, "bank", false},
		"the platform's, what the platform places":    {cluster, "", true},
		"the platform's, what is placed by namespace": {cluster, "shop", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Vetoes(test.override, test.placement); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// TestWorksAreFoundInTheirScopeAndOnTheirCluster has Works whose labels name a placement and a binding of the same name in the other scope, or
// are in the namespace of another member: who takes those for a binding's own would remove them as superfluous.
func TestWorksAreFoundInTheirScopeAndOnTheirCluster(t *testing.T) {
	f := fleet.New(fake.NewClientset())
	add := func(name, cluster, namespace, placement, binding string) {
		t.Helper()
		work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.MemberNamespace(cluster), Name: name, Labels: map[string]string{
			wellknown.ParentPlacementLabel: placement, wellknown.ParentBindingLabel: binding,
		}}}
		if namespace != "" {
			work.Labels[wellknown.ParentNamespaceLabel] = namespace
		}
		if err := f.Works.Informer().GetIndexer().Add(work); err != nil {
			t.Fatal(err)
		}
	}
	add("b", "east", "", "web", "web-1")
	add("a", "east", "", "web", "web-1")
	add("earlier", "east", "", "web", "web-0")
	add("namespaced", "east", "team", "web", "web-1")
	add("elsewhere", "west", "", "web", "web-1")
	add("other", "east", "", "web-1", "web-1-1")

	expect := func(what string, works []*v1beta1.Work, want ...string) {
		t.Helper()
		got := map[string]bool{}
		for _, work := range works {
			got[work.Name] = true
		}
		wanted := map[string]bool{}
		for _, name := range want {
			wanted[name] = true
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	web, teams := reconcile.Key{Name: "web"}, reconcile.Key{Namespace: "team", Name: "web"}
	expect("of the placement", f.WorksOf(web), "a", "b", "earlier", "elsewhere")
	expect("of the placement on east", f.WorksOn(web, "east"), "a", "b", "earlier")
	expect("of the namespace's placement", f.WorksOf(teams), "namespaced")
	expect("of the namespace's placement on west", f.WorksOn(teams, "west"))

	binding := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}}
	binding.Spec.TargetCluster = "east"
	works := f.WorksOfBinding(binding)
	expect("of the binding", works, "a", "b")
	if len(works) == 2 && works[0].Name != "a" {
		t.Errorf("the Works of a binding are %s and %s, want them by name", works[0].Name, works[1].Name)
	}
	theirs := &v1beta1.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web-1"}}
	theirs.Spec.TargetCluster = "east"
	expect("of the namespace's binding", f.WorksOfBinding(theirs), "namespaced")
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// TestBindingsWakeTheScheduler tells changes of a binding that the scheduler acts on from those that rolling out makes.
func TestBindingsWakeTheScheduler(t *testing.T) {
	binding := &v1beta1.ClusterResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "app-a", Labels: map[string]string{wellknown.ParentPlacementLabel: "app"}},
		Spec:       v1beta1.ResourceBindingSpec{TargetCluster: "a", State: v1beta1.BindingStateBound, SchedulingPolicySnapshotName: "app-0"},
	}
	for name, test := range map[string]struct {
		change func(*v1beta1.ClusterResourceBinding)
		wakes  bool
	}{
		"nothing":    {func(*v1beta1.ClusterResourceBinding) {}, false},
		"a version":  {func(b *v1beta1.ClusterResourceBinding) { b.Spec.ResourceSnapshotName = "app-1-snapshot" }, false},
		"a deletion": {func(b *v1beta1.ClusterResourceBinding) { b.DeletionTimestamp = &metav1.Time{Time: now} }, true},
		"a policy":   {func(b *v1beta1.ClusterResourceBinding) { b.Spec.SchedulingPolicySnapshotName = "app-1" }, true},
		"a state":    {func(b *v1beta1.ClusterResourceBinding) { b.Spec.State = v1beta1.BindingStateUnscheduled }, true},
		"a policy and a state": {func(b *v1beta1.ClusterResourceBinding) {
			b.Spec.SchedulingPolicySnapshotName, b.Spec.State = "app-1", v1beta1.BindingStateUnscheduled
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			changed := binding.DeepCopy()
			test.change(changed)
			if wakes := len(bindingChanged(binding, changed)) > 0; wakes != test.wakes {
				t.Errorf("wakes the scheduler: %t, want %t", wakes, test.wakes)
			}
		})
	}
	app := []reconcile.Key{{Name: "app"}}
	if diff := cmp.Diff(app, bindingChanged(nil, binding)); diff != "" {
		t.Errorf("a new binding wakes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(app, bindingChanged(binding, nil)); diff != "" {
		t.Errorf("a binding that is gone wakes (-want +got):\n%s", diff)
	}
}

// TestMembersWakeWhomTheyConcern has one cluster change, and placements of many policies: only those wake that may pick the cluster by the change.
func TestMembersWakeWhomTheyConcern(t *testing.T) {
	prod := v1beta1.ClusterSelectorTerm{LabelSelector: matching("env", "prod")}
	roomy := v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{
		{Name: "resources.kubernetes-fleet.io/available-cpu", Operator: v1beta1.PropertySelectorGreaterThan, Values: []string{"2"}},
	}}}
	large := v1beta1.ClusterSelectorTerm{PropertySelector: &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{
		{Name: nodes, Operator: v1beta1.PropertySelectorGreaterThan, Values: []string{"3"}},
	}}}
	policies := map[string]*v1beta1.PlacementPolicy{
		"any": nil, "held": nil, "prod": affinity(prod), "held-prod": affinity(prod), "roomy": affinity(roomy), "large": affinity(large),
		"some": pickN(prod), "enough": pickN(prod), "zones": pickN(spreadOver("zone", 1, hard)), "ranked": pickN(sorted(1, nil, nodes, descending)),
		"named":    {PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"a"}},
		"unnamed":  {PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"b"}},
		"team/any": nil, "team/prod": affinity(prod),
	}
	var known []runtime.Object
	for path, policy := range policies {
		namespace, name, namespaced := strings.Cut(path, "/")
		if !namespaced {
			namespace, name = "", path
		}
		placement, snapshot := objects(namespace)
		placement.SetName(name)
		placement.SetUID(types.UID(path))
		placement.PlacementSpec().Policy = policy
		snapshot.SetName(name + "-0")
		snapshot.SetLabels(map[string]string{wellknown.ParentPlacementLabel: name, wellknown.LatestSnapshotLabel: "true"})
		if name == "enough" {
			snapshot.PolicySnapshotStatus().ObservedCRPGeneration = 1
			snapshot.PolicySnapshotStatus().Conditions = []metav1.Condition{{Type: v1beta1.PolicySnapshotScheduled, Status: metav1.ConditionTrue, ObservedGeneration: 1}}
		}
		if strings.HasPrefix(name, "held") {
			known = append(known, &v1beta1.ClusterResourceBinding{
				ObjectMeta: metav1.ObjectMeta{Name: bindingName(placement, "a"), Labels: map[string]string{wellknown.ParentPlacementLabel: name}},
				Spec:       v1beta1.ResourceBindingSpec{TargetCluster: "a", State: v1beta1.BindingStateBound},
			})
		}
		known = append(known, placement, snapshot)
	}
	w := newWorld(t, "", known...)
	everybody := slices.Sorted(maps.Keys(policies))
	roomier := withAvailable("cpu", "3")
	const unheld = "any named ranked team/any zones"
	for name, test := range map[string]struct {
		before, after func(*clusterv1beta1.MemberCluster)
		wakes         string
	}{
		"nothing":                          {nil, func(*clusterv1beta1.MemberCluster) {}, ""},
		"an annotation":                    {nil, func(m *clusterv1beta1.MemberCluster) { m.Annotations = map[string]string{"a": "b"} }, ""},
		"a heartbeat":                      {silentFor(time.Minute), silentFor(0), ""},
		"a label that nobody reads":        {nil, func(m *clusterv1beta1.MemberCluster) { m.Labels["color"] = "red" }, ""},
		"a label that lets it in":          {nil, labeled("env", "prod"), "prod some team/prod"},
		"a label that keeps it out":        {labeled("env", "prod"), labeled("env", "dev"), "prod some team/prod"},
		"a label that changes nothing":     {labeled("env", "test"), labeled("env", "dev"), ""},
		"a label that is gone":             {labeled("zone", "x"), labeled(), "zones"},
		"a label of a constraint":          {labeled("zone", "x"), labeled("zone", "y"), "zones"},
		"a property that lets it in":       {nil, reporting(nodes, "4"), "large"},
		"a property that changes nothing":  {reporting(nodes, "5"), reporting(nodes, "4"), ""},
		"a property that nobody reads":     {nil, reporting(nodes, "3", "example.com/cost", "2"), ""},
		"resources that let it in":         {nil, roomier, "roomy"},
		"resources that change nothing":    {roomier, withAvailable("cpu", "4"), ""},
		"resources that nobody reads":      {nil, withAvailable("memory", "4"), ""},
		"a taint":                          {nil, tainted, "any ranked team/any zones"},
		"a taint that is gone":             {tainted, nil, "any ranked team/any zones"},
		"an illness":                       {nil, unhealthyFor(time.Hour), ""},
		"a recovery":                       {unhealthyFor(time.Hour), nil, unheld},
		"a heartbeat after a long silence": {silentFor(time.Hour), nil, unheld},
		"a joining":                        {notJoined, nil, unheld},
		"a first heartbeat":                {notOnline, nil, unheld},
		"a first report of namespaces":     {nil, namespaces(metav1.ConditionTrue, "team"), ""},
		"a namespace that comes":           {namespaces(metav1.ConditionTrue, "x"), namespaces(metav1.ConditionTrue, "team"), "team/any"},
		"a namespace that concerns nobody": {namespaces(metav1.ConditionTrue, "x"), namespaces(metav1.ConditionTrue, "x", "y"), ""},
		"a deletion":                       {nil, leaving, strings.Join(everybody, " ")},
		"another cluster of its name":      {nil, func(m *clusterv1beta1.MemberCluster) { m.UID = "another" }, strings.Join(everybody, " ")},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := member("a"), member("a")
			if test.before != nil {
				test.before(before)
			}
			if test.after != nil {
				test.after(after)
			}
			if wakes := told(w.controller.memberChanged(before, after)); wakes != test.wakes {
				t.Errorf("wakes %q, want %q", wakes, test.wakes)
			}
		})
	}
	if wakes := told(w.controller.memberChanged(nil, member("a"))); wakes != strings.Join(everybody, " ") {
		t.Errorf("a new cluster wakes %q", wakes)
	}
	if wakes := told(w.controller.memberChanged(member("a"), nil)); wakes != strings.Join(everybody, " ") {
		t.Errorf("a cluster that is gone wakes %q", wakes)
	}
}

func told(keys []reconcile.Key) string {
	found := sets.New[string]()
	for _, key := range keys {
		found.Insert(strings.TrimPrefix(key.String(), "/"))
	}
	return strings.Join(sets.List(found), " ")
}

// TestADecisionWakesTheScheduler: what it has written comes back, so that it does not wait for its own write for ever.
func TestADecisionWakesTheScheduler(t *testing.T) {
	before, after := boundTo("", "a", "app-0"), boundTo("", "a", "app-0")
	after.BindingSpec().ClusterDecision.Reason = "another"
	if len(bindingChanged(before, after)) == 0 {
		t.Error("a decision does not wake the scheduler")
	}
}

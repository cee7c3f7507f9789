// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// TestMembersWakeTheScheduler tells changes of a cluster that a policy can see from those that it cannot.
func TestMembersWakeTheScheduler(t *testing.T) {
	placement, _ := objects("")
	w := newWorld(t, "", placement)
	cluster := member("a")
	for name, test := range map[string]struct {
		change func(*clusterv1beta1.MemberCluster)
		wakes  bool
	}{
		"nothing":       {func(*clusterv1beta1.MemberCluster) {}, false},
		"an annotation": {func(m *clusterv1beta1.MemberCluster) { m.Annotations = map[string]string{"a": "b"} }, false},
		"a heartbeat": {func(m *clusterv1beta1.MemberCluster) {
			m.Status.AgentStatus = []clusterv1beta1.AgentStatus{{Type: "MemberAgent", LastReceivedHeartbeat: metav1.NewTime(now)}}
		}, false},
		"a label": {func(m *clusterv1beta1.MemberCluster) { m.Labels["environment"] = "prod" }, true},
		"a taint": {tainted, true},
		"a property": {func(m *clusterv1beta1.MemberCluster) {
			m.Status.Properties["kubernetes-fleet.io/node-count"] = clusterv1beta1.PropertyValue{Value: "4"}
		}, true},
		"free resources": {func(m *clusterv1beta1.MemberCluster) {
			m.Status.ResourceUsage.Available = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
		}, true},
		"membership": {notJoined, true},
		"health": {func(m *clusterv1beta1.MemberCluster) {
			m.Status.Conditions = append(m.Status.Conditions, metav1.Condition{Type: clusterv1beta1.ConditionTypeMemberClusterHealthy, Status: metav1.ConditionTrue})
		}, true},
		"a deletion": {leaving, true},
	} {
		t.Run(name, func(t *testing.T) {
			changed := cluster.DeepCopy()
			test.change(changed)
			if wakes := len(w.controller.memberChanged(cluster, changed)) > 0; wakes != test.wakes {
				t.Errorf("wakes the scheduler: %t, want %t", wakes, test.wakes)
			}
		})
	}
	app := []reconcile.Key{{Name: "app"}}
	if diff := cmp.Diff(app, w.controller.memberChanged(nil, cluster)); diff != "" {
		t.Errorf("a new cluster wakes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(app, w.controller.memberChanged(cluster, nil)); diff != "" {
		t.Errorf("a cluster that is gone wakes (-want +got):\n%s", diff)
	}
}

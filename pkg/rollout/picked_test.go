// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	hubfake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/rollingupdate"
	"github.com/stagegate/stagegate/pkg/rollout/scheduling"
	"github.com/stagegate/stagegate/pkg/rollout/work"
)

// picking is a PickN placement app that prefers the clusters b and c to a, which is one of production, with the controllers at work on it
// that have to do with what a cluster gets.
type picking struct{ *fleettest.World }

func (p picking) member(name, environment string) {
	p.Helper()
	_, err := p.Client.ClusterV1beta1().MemberClusters().Create(p.Context(), &clusterv1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"environment": environment}},
		Status: clusterv1beta1.MemberClusterStatus{
			Conditions: []metav1.Condition{
				{Type: clusterv1beta1.ConditionTypeMemberClusterJoined, Status: metav1.ConditionTrue},
				{Type: clusterv1beta1.ConditionTypeMemberClusterHealthy, Status: metav1.ConditionTrue},
			},
			// The last heartbeat of the test is to be recent.
			AgentStatus: []clusterv1beta1.AgentStatus{{Type: clusterv1beta1.MemberAgent, LastReceivedHeartbeat: metav1.NewTime(time.Now().Add(time.Hour))}},
		},
	}, metav1.CreateOptions{})
	p.Must(err)
}

func (p picking) start(strategy v1beta1.RolloutStrategyType) {
	p.Helper()
	p.member("a", "prod")
	p.member("b", "dev")
	p.member("c", "dev")
	preferred := []v1beta1.PreferredClusterSelector{{Weight: 10, Preference: v1beta1.ClusterSelectorTerm{
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "dev"}},
	}}}
	policy := &v1beta1.PlacementPolicy{
		PlacementType: v1beta1.PickNPlacementType,
		Affinity:      &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{PreferredDuringSchedulingIgnoredDuringExecution: preferred}},
	}
	fleettest.Create(p.World, p.Fleet.Placements, "app", func(o v1beta1.PlacementObject) {
		o.SetFinalizers([]string{wellknown.SchedulerCleanupFinalizer})
		o.PlacementSpec().Policy = policy
		o.PlacementSpec().Strategy.Type = strategy
		if strategy == v1beta1.RollingUpdateRolloutStrategyType {
			o.PlacementSpec().Strategy.RollingUpdate = &v1beta1.RollingUpdateConfig{MaxUnavailable: new(intstr.FromString("100%"))}
		}
	})
	fleettest.Create(p.World, p.Fleet.PolicySnapshots, "app-0", func(o v1beta1.PolicySnapshotObject) {
		o.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "app", wellknown.LatestSnapshotLabel: "true"})
		o.SetAnnotations(map[string]string{wellknown.PlacementGenerationAnnotation: "1", wellknown.NumberOfClustersAnnotation: "2"})
		o.PolicySnapshotSpec().Policy = policy
	})
	fleettest.Create(p.World, p.Fleet.Snapshots, "app-0-snapshot", func(o v1beta1.ResourceSnapshotObject) {
		o.SetLabels(map[string]string{
			wellknown.ParentPlacementLabel: "app", wellknown.ResourceIndexLabel: "0", wellknown.LatestSnapshotLabel: "true",
		})
		o.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "hash", wellknown.NumberOfSnapshotsAnnotation: "1"})
	})
	ctx, stop := context.WithCancel(p.Context())
	p.Cleanup(stop)
	events := &record.FakeRecorder{}
	for _, c := range []runner{
		scheduling.New(p.Fleet, events, clock.RealClock{}),
		rollingupdate.New(p.Fleet, events, clock.RealClock{}),
		work.New(p.Fleet, hubfake.NewClientset(), nil, events, clock.RealClock{}),
	} {
		p.Run(func(context.Context) error { return c.Run(ctx) })
	}
	p.settle()
}

// settle lets the controllers do all that there is to do, and what they would do later by themselves.
func (p picking) settle() {
	time.Sleep(2 * time.Minute)
	synctest.Wait()
}

func (p picking) scale(number string) {
	p.Helper()
	fleettest.Update(p.World, p.Fleet.PolicySnapshots, "app-0", func(o v1beta1.PolicySnapshotObject) {
		o.GetAnnotations()[wellknown.NumberOfClustersAnnotation] = number
	})
	p.settle()
}

// run brings the version to clusters, as a staged run does.
func (p picking) run(clusters ...string) {
	p.Helper()
	for _, b := range p.Fleet.Bindings.ByIndex(fleet.ByPlacement, p.Key("app")) {
		if !slices.Contains(clusters, b.BindingSpec().TargetCluster) {
			continue
		}
		fleettest.Update(p.World, p.Fleet.Bindings, b.GetName(), func(o v1beta1.BindingObject) {
			o.BindingSpec().State, o.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateBound, "app-0-snapshot"
			o.BindingSpec().ApplyStrategy = (*v1beta1.ApplyStrategy)(nil).WithDefaults()
		})
		fleettest.UpdateStatus(p.World, p.Fleet.Bindings, b.GetName(), func(o v1beta1.BindingObject) {
			meta.SetStatusCondition(&o.BindingStatus().Conditions, metav1.Condition{
				Type: v1beta1.BindingRolloutStarted, Status: metav1.ConditionTrue, Reason: "RolloutStarted", ObservedGeneration: o.GetGeneration(),
			})
		})
	}
	p.settle()
}

// is holds what each cluster is to have and, after a plus sign, that there is a Work for it.
func (p picking) is(want string) {
	p.Helper()
	var shown []string
	for _, b := range p.Fleet.Bindings.ByIndex(fleet.ByPlacement, p.Key("app")) {
		cluster := b.BindingSpec().TargetCluster
		one := cluster + " " + string(b.BindingSpec().State)
		works, err := p.Client.PlacementV1beta1().Works(wellknown.MemberNamespace(cluster)).List(p.Context(), metav1.ListOptions{})
		p.Must(err)
		if len(works.Items) > 0 {
			one += "+"
		}
		shown = append(shown, one)
	}
	slices.Sort(shown)
	if diff := cmp.Diff(want, strings.Join(shown, ", ")); diff != "" {
		p.Fatalf("(-want +got):\n%s", diff)
	}
}

// TestSchedulingMovesNoProtectedCluster holds that a cluster which a rollout policy keeps for staged runs gets nothing when PickN picks it, and
// keeps what it has when PickN drops it: also if the placement moves its clusters itself, from before there was the policy.
func TestSchedulingMovesNoProtectedCluster(t *testing.T) {
	for scope, namespace := range map[string]string{"cluster-scoped": "", "namespaced": "team"} {
		for _, strategy := range []v1beta1.RolloutStrategyType{v1beta1.ExternalRolloutStrategyType, v1beta1.RollingUpdateRolloutStrategyType} {
			t.Run(scope+"/"+string(strategy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := picking{fleettest.New(t, namespace)}
					p.start(strategy)
					if strategy == v1beta1.ExternalRolloutStrategyType {
						p.is("b Scheduled, c Scheduled")
						p.run("b", "c")
					}
					p.is("b Bound+, c Bound+")

					fleettest.Create(p.World, p.Fleet.Policies, "guard", func(o v1alpha1.RolloutPolicyObject) {
						*o.PolicySpec() = v1alpha1.RolloutPolicySpec{
							Clusters: &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}}, Rules: v1alpha1.PolicyRules{Staged: true},
						}
					})
					p.scale("3")
					p.is("a Scheduled, b Bound+, c Bound+")
					p.run("a")
					p.is("a Bound+, b Bound+, c Bound+")
					p.scale("2")
					p.is("a Unscheduled+, b Bound+, c Bound+")
					p.scale("3")
					p.is("a Bound+, b Bound+, c Bound+")
					p.scale("2")
					p.is("a Unscheduled+, b Bound+, c Bound+")
				})
			})
		}
	}
}

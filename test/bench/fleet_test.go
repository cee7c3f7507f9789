// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const (
	stageLabel = "stage"
	orderLabel = "order"
)

// join makes member clusters and their namespaces on the hub, with the share of each stage in per cent, or all in one stage "all".
func (r *rig) join(clusters int, shares ...int) {
	r.Helper()
	members, namespaces := r.fleet.ClusterV1beta1().MemberClusters(), r.namespaces.CoreV1().Namespaces()
	r.each(clusters, func(i int) error {
		stage := "all"
		for s, limit := 0, 0; s < len(shares); s++ {
			if limit += shares[s]; i*100 < limit*clusters {
				stage = stageName(s)
				break
			}
		}
		name := memberName(i)
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: wellknown.MemberNamespace(name)}}
		if _, err := namespaces.Create(r.ctx, namespace, metav1.CreateOptions{}); err != nil {
			return err
		}
		member, err := members.Create(r.ctx, &clusterv1beta1.MemberCluster{
			ObjectMeta: metav1.ObjectMeta{
				Name:   name,
				Labels: map[string]string{stageLabel: stage, orderLabel: strconv.Itoa(i)},
			},
			Spec: clusterv1beta1.MemberClusterSpec{Identity: rbacv1.Subject{Kind: "User", Name: "nobody"}, HeartbeatPeriodSeconds: 600},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		for _, t := range []string{
			clusterv1beta1.ConditionTypeMemberClusterReadyToJoin,
			clusterv1beta1.ConditionTypeMemberClusterJoined,
			clusterv1beta1.ConditionTypeMemberClusterHealthy,
		} {
			meta.SetStatusCondition(&member.Status.Conditions, metav1.Condition{
				Type: t, Status: metav1.ConditionTrue, Reason: t, ObservedGeneration: member.Generation,
			})
		}
		member.Status.AgentStatus = []clusterv1beta1.AgentStatus{{Type: clusterv1beta1.MemberAgent, LastReceivedHeartbeat: metav1.Now()}}
		_, err = members.UpdateStatus(r.ctx, member, metav1.UpdateOptions{})
		return err
	})
}

func memberName(i int) string { return fmt.Sprintf("member-%05d", i) }

func stageName(i int) string { return "stage" + strconv.Itoa(i) }

// strategyOf makes a strategy of one stage for all clusters.
func (r *rig) strategyOf(name string, maxConcurrency string, before ...v1beta1.StageTask) {
	r.Helper()
	r.createStrategy(name, stage("all", maxConcurrency, before...))
}

func stage(name, maxConcurrency string, before ...v1beta1.StageTask) v1beta1.StageConfig {
	concurrency, order := intstr.Parse(maxConcurrency), orderLabel
	return v1beta1.StageConfig{
		Name:             name,
		LabelSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{stageLabel: name}},
		SortingLabelKey:  &order,
		MaxConcurrency:   &concurrency,
		BeforeStageTasks: before,
	}
}

func (r *rig) createStrategy(name string, stages ...v1beta1.StageConfig) {
	r.Helper()
	_, err := r.api.ClusterStagedUpdateStrategies().Create(r.ctx, &v1beta1.ClusterStagedUpdateStrategy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1beta1.UpdateStrategySpec{Stages: stages},
	}, metav1.CreateOptions{})
	r.must(err)
}

// everywhere picks all clusters.
var everywhere = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType}

// place makes placements that pick all clusters and that runs move, with versions 0 and 1 of one ConfigMap to place, and waits until their
// clusters are picked and ready to be moved.
func (r *rig) place(clusters int, placements ...string) {
	r.Helper()
	r.placeBy(everywhere, v1beta1.ExternalRolloutStrategyType, clusters, placements...)
}

func (r *rig) placeBy(policy *v1beta1.PlacementPolicy, strategy v1beta1.RolloutStrategyType, clusters int, placements ...string) {
	r.Helper()
	ready := sets.New[string]()
	until(r, r.bindingsOf(placements...), func() error {
		r.each(len(placements), func(i int) error { return r.createPlacement(placements[i], policy, strategy) })
		return nil
	}, func(b *v1beta1.ClusterResourceBinding) bool {
		if slices.Contains(b.Finalizers, wellknown.WorkCleanupFinalizer) {
			ready.Insert(b.Name)
		}
		return ready.Len() == clusters*len(placements)
	})
	scheduled := sets.New[string]()
	policies := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return r.api.ClusterSchedulingPolicySnapshots().List(ctx, of(placements, o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return r.api.ClusterSchedulingPolicySnapshots().Watch(ctx, of(placements, o))
		},
	}
	until(r, policies, nothing, func(p *v1beta1.ClusterSchedulingPolicySnapshot) bool {
		if meta.IsStatusConditionTrue(p.Status.Conditions, v1beta1.PolicySnapshotScheduled) && int(p.Status.SelectedClusters) == clusters {
			scheduled.Insert(p.Name)
		}
		return scheduled.Len() == len(placements)
	})
}

// bindingsOf watches the bindings of some placements.
func (r *rig) bindingsOf(placements ...string) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return r.api.ClusterResourceBindings().List(ctx, of(placements, o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return r.api.ClusterResourceBindings().Watch(ctx, of(placements, o))
		},
	}
}

// of selects what belongs to some placements.
func of(placements []string, o metav1.ListOptions) metav1.ListOptions {
	o.LabelSelector = wellknown.ParentPlacementLabel + " in (" + strings.Join(placements, ",") + ")"
	return o
}

func (r *rig) createPlacement(name string, policy *v1beta1.PlacementPolicy, strategy v1beta1.RolloutStrategyType) error {
	placement, err := r.api.ClusterResourcePlacements().Create(r.ctx, &v1beta1.ClusterResourcePlacement{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1beta1.PlacementSpec{
			ResourceSelectors: []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: "app"}},
			Policy:            policy,
			Strategy:          v1beta1.RolloutStrategy{Type: strategy},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for index := range 2 {
		if err := r.createVersion(name, index, index == 1); err != nil {
			return err
		}
	}
	_, err = r.api.ClusterSchedulingPolicySnapshots().Create(r.ctx, &v1beta1.ClusterSchedulingPolicySnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Name: wellknown.PolicySnapshotName(name, 0),
			Labels: map[string]string{
				wellknown.ParentPlacementLabel: name,
				wellknown.PolicyIndexLabel:     "0",
				wellknown.LatestSnapshotLabel:  "true",
			},
			Annotations: map[string]string{wellknown.PlacementGenerationAnnotation: strconv.FormatInt(placement.Generation, 10)},
		},
		Spec: v1beta1.SchedulingPolicySnapshotSpec{Policy: policy, PolicyHash: []byte("all")},
	}, metav1.CreateOptions{})
	return err
}

// createVersion makes a version of what a placement places.
func (r *rig) createVersion(placement string, index int, latest bool) error {
	_, err := r.api.ClusterResourceSnapshots().Create(r.ctx, &v1beta1.ClusterResourceSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Name: wellknown.ResourceSnapshotName(placement, index),
			Labels: map[string]string{
				wellknown.ParentPlacementLabel: placement,
				wellknown.ResourceIndexLabel:   strconv.Itoa(index),
				wellknown.LatestSnapshotLabel:  strconv.FormatBool(latest),
			},
			Annotations: map[string]string{
				wellknown.ResourceHashAnnotation:      strconv.Itoa(index),
				wellknown.NumberOfSnapshotsAnnotation: "1",
				wellknown.NumberOfEnvelopesAnnotation: "0",
			},
		},
		Spec: v1beta1.ResourceSnapshotSpec{SelectedResources: []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{Raw: fmt.Appendf(nil,
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"app","name":"settings"},"data":{"version":"%d"}}`, index)}}}},
	}, metav1.CreateOptions{})
	return err
}

// startRun creates a run that goes at once.
func (r *rig) startRun(name, placement, strategy string, version int) error {
	_, err := r.api.ClusterStagedUpdateRuns().Create(r.ctx, &v1beta1.ClusterStagedUpdateRun{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1beta1.UpdateRunSpec{
			PlacementName: placement, StagedUpdateStrategyName: strategy, ResourceSnapshotIndex: strconv.Itoa(version), State: v1beta1.StateRun,
		},
	}, metav1.CreateOptions{})
	return err
}

// runs watches all runs, or the one with a name.
func (r *rig) runs(name string) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return r.api.ClusterStagedUpdateRuns().List(ctx, named(name, o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return r.api.ClusterStagedUpdateRuns().Watch(ctx, named(name, o))
		},
	}
}

// named selects the object with a name, or all of them without one.
func named(name string, o metav1.ListOptions) metav1.ListOptions {
	if name != "" {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
	return o
}

// run creates a run and returns how long it took until it was seen to have succeeded.
func (r *rig) run(name, placement, strategy string, version int) time.Duration {
	r.Helper()
	return until(r, r.runs(name), func() error { return r.startRun(name, placement, strategy, version) }, r.succeeded)
}

// succeeded reports whether a run has, and gives the benchmark up if it cannot any more.
func (r *rig) succeeded(run *v1beta1.ClusterStagedUpdateRun) bool {
	for _, t := range []string{v1beta1.RunInitialized, v1beta1.RunSucceeded} {
		if c := meta.FindStatusCondition(run.Status.Conditions, t); c != nil && c.Status == metav1.ConditionFalse && run.Status.InitializationStartTime == nil {
			r.Fatalf("run %s: %s: %s", run.Name, c.Reason, c.Message)
		}
	}
	return meta.IsStatusConditionTrue(run.Status.Conditions, v1beta1.RunSucceeded)
}

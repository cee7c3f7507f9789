// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/generated/informers/externalversions"
	"github.com/stagegate/stagegate/test/realhub"
)

const (
	ringLabel = "ring"
	// again is how long a refused or unanswered request rests.
	again = 200 * time.Millisecond
	// latency is how long a made-up member takes to apply a Work.
	latency = 50 * time.Millisecond
	// answerers is how many members answer at once.
	answerers = 16
	// appConfig is the ConfigMap that every placement places.
	appConfig = "settings"
)

// rings are the shares of the members in each stage, in per cent.
var rings = []int{10, 20, 30, 40}

// fleet is the members, the placements and the people.
type fleet struct {
	settings
	api  versioned.Interface
	core kubernetes.Interface
	book *book
	// hands are what the runs of each placement are dealt.
	hands [][]hand
}

// persist makes a request until the server answers yes or no. While it is being killed and started it does neither.
func persist(ctx context.Context, request func() error) error {
	for {
		err := request()
		switch {
		case err == nil || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsAlreadyExists(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		pause(ctx, again)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// prepare joins the members and makes the placements and strategies, before anything is killed.
func (f *fleet) prepare(ctx context.Context, h *realhub.Hub) error {
	core, err := h.Core()
	if err != nil {
		return err
	}
	f.core = core
	for i := range f.members {
		if err := f.join(ctx, i); err != nil {
			return fmt.Errorf("joining %s: %w", memberName(i), err)
		}
	}
	for _, s := range strategies(f.clusterTimeout()) {
		if _, err := f.api.PlacementV1beta1().ClusterStagedUpdateStrategies().Create(ctx, s, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	for i := range f.placements {
		if err := f.place(ctx, placementName(i)); err != nil {
			return fmt.Errorf("placement %s: %w", placementName(i), err)
		}
	}
	return nil
}

func memberName(i int) string    { return fmt.Sprintf("member-%03d", i) }
func placementName(i int) string { return fmt.Sprintf("app-%02d", i) }

// join makes a member that has joined: the controller that joins real ones does not run.
func (f *fleet) join(ctx context.Context, i int) error {
	ring := 0
	for limit := rings[0]; i*100 >= limit*f.members; limit += rings[ring] {
		ring++
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: wellknown.MemberNamespace(memberName(i))}}
	if _, err := f.core.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	members := f.api.ClusterV1beta1().MemberClusters()
	member, err := members.Create(ctx, &clusterv1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: memberName(i), Labels: map[string]string{ringLabel: fmt.Sprint(ring)}},
		Spec:       clusterv1beta1.MemberClusterSpec{Identity: rbacv1.Subject{Kind: "User", Name: "nobody"}, HeartbeatPeriodSeconds: 600},
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
	_, err = members.UpdateStatus(ctx, member, metav1.UpdateOptions{})
	return err
}

// place makes a placement of a namespace of its own.
func (f *fleet) place(ctx context.Context, name string) error {
	if _, err := f.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: appConfig}, Data: map[string]string{"version": "first"}}
	if _, err := f.core.CoreV1().ConfigMaps(name).Create(ctx, config, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := f.override(ctx, name); err != nil {
		return err
	}
	_, err := f.api.PlacementV1beta1().ClusterResourcePlacements().Create(ctx, &v1beta1.ClusterResourcePlacement{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1beta1.PlacementSpec{
			ResourceSelectors: []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: name}},
			Strategy:          v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType},
		},
	}, metav1.CreateOptions{})
	return err
}

// awaitPlaced waits until every placement has picked every member.
func (f *fleet) awaitPlaced(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, again, 5*time.Minute, true, func(ctx context.Context) (bool, error) {
		bindings, err := f.api.PlacementV1beta1().ClusterResourceBindings().List(ctx, metav1.ListOptions{})
		if err != nil || len(bindings.Items) < f.members*f.settings.placements {
			return false, err
		}
		policies, err := f.api.PlacementV1beta1().ClusterSchedulingPolicySnapshots().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		scheduled := 0
		for _, p := range policies.Items {
			if meta.IsStatusConditionTrue(p.Status.Conditions, v1beta1.PolicySnapshotScheduled) && int(p.Status.SelectedClusters) == f.members {
				scheduled++
			}
		}
		return scheduled == f.settings.placements, nil
	})
}

const (
	plainStrategy   = "plain"
	waitingStrategy = "waiting"
	gatedStrategy   = "gated"
)

// strategies differ in what stands between the stages, and in what clusters that fail come to.
func strategies(clusterTimeout time.Duration) []*v1beta1.ClusterStagedUpdateStrategy {
	limits := []intstr.IntOrString{intstr.FromInt32(1), intstr.FromString("30%"), intstr.FromInt32(5), intstr.FromString("100%")}
	waiting := func(i int) *v1beta1.StageTask {
		return &v1beta1.StageTask{Type: v1beta1.StageTaskTypeTimedWait, WaitTime: &metav1.Duration{Duration: time.Duration(i+1) * time.Second}}
	}
	approval := v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval}
	var made []*v1beta1.ClusterStagedUpdateStrategy
	for _, name := range []string{plainStrategy, waitingStrategy, gatedStrategy, tolerantStrategy, failingStrategy, pausingStrategy, returningStrategy} {
		strategy := &v1beta1.ClusterStagedUpdateStrategy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		strategy.Spec.FailurePolicy = failurePolicy(name, clusterTimeout)
		for i := range rings {
			stage := v1beta1.StageConfig{
				Name:           fmt.Sprintf("ring%d", i),
				LabelSelector:  &metav1.LabelSelector{MatchLabels: map[string]string{ringLabel: fmt.Sprint(i)}},
				MaxConcurrency: ptr.To(limits[i]),
			}
			switch {
			case name == waitingStrategy && i < len(rings)-1:
				stage.AfterStageTasks = []v1beta1.StageTask{*waiting(i)}
			case name == gatedStrategy && i == 1:
				stage.AfterStageTasks = []v1beta1.StageTask{approval}
			case name == gatedStrategy && i == 3:
				stage.BeforeStageTasks = []v1beta1.StageTask{approval}
			}
			strategy.Spec.Stages = append(strategy.Spec.Stages, stage)
		}
		made = append(made, strategy)
	}
	return made
}

// answer stands in for all members until the context ends: each Work is applied and available a moment after it is seen.
func (f *fleet) answer(ctx context.Context) {
	factory := externalversions.NewSharedInformerFactory(f.api, 0)
	works := factory.Placement().V1beta1().Works()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](again, 5*time.Second))
	enqueue := func(obj any) {
		if work := obj.(*v1beta1.Work); !isApplied(work) {
			queue.AddAfter(cache.MetaObjectToName(work), latency)
		}
	}
	// A new informer refuses no handler.
	_, _ = works.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: enqueue, UpdateFunc: func(_, obj any) { enqueue(obj) }})
	factory.Start(ctx.Done())
	go func() {
		<-ctx.Done()
		queue.ShutDown()
	}()
	workqueue.ParallelizeUntil(context.WithoutCancel(ctx), answerers, answerers, func(int) {
		for {
			key, shutdown := queue.Get()
			if shutdown {
				return
			}
			work, err := works.Lister().Works(key.Namespace).Get(key.Name)
			if err == nil && !isApplied(work) {
				_, err = f.api.PlacementV1beta1().Works(key.Namespace).UpdateStatus(ctx, applied(work), metav1.UpdateOptions{})
			}
			if err != nil && !apierrors.IsNotFound(err) {
				queue.AddRateLimited(key)
			} else {
				queue.Forget(key)
			}
			queue.Done(key)
		}
	})
}

func isApplied(work *v1beta1.Work) bool {
	c := meta.FindStatusCondition(work.Status.Conditions, v1beta1.WorkAvailable)
	return c != nil && c.ObservedGeneration == work.Generation
}

// applied is a Work with the status that an applier gives it.
func applied(work *v1beta1.Work) *v1beta1.Work {
	available := !isBroken(work)
	work = work.DeepCopy()
	work.Status.Conditions, work.Status.LeftGeneration = appliedConditions(work.Generation, available), work.Generation
	work.Status.ManifestConditions = nil
	for i, manifest := range work.Spec.Workload.Manifests {
		var object metav1.PartialObjectMetadata
		// What is no object has no identity to report.
		_ = json.Unmarshal(manifest.Raw, &object)
		work.Status.ManifestConditions = append(work.Status.ManifestConditions, v1beta1.ManifestCondition{
			Identifier: v1beta1.WorkResourceIdentifier{
				Ordinal: i, Version: object.APIVersion, Kind: object.Kind, Namespace: object.Namespace, Name: object.Name,
			},
			Conditions: appliedConditions(1, available),
		})
	}
	return work
}

func appliedConditions(generation int64, available bool) []metav1.Condition {
	now := metav1.Now()
	conditions := []metav1.Condition{
		{Type: v1beta1.WorkApplied, Status: metav1.ConditionTrue, Reason: "Applied", Message: "Manifest has been applied successfully",
			ObservedGeneration: generation, LastTransitionTime: now},
		{Type: v1beta1.WorkAvailable, Status: metav1.ConditionTrue, Reason: "Available", Message: "Manifest is available",
			ObservedGeneration: generation, LastTransitionTime: now},
	}
	if !available {
		conditions[1].Status, conditions[1].Reason, conditions[1].Message = metav1.ConditionFalse, "NotAvailable", "Manifest is not yet available"
	}
	return conditions
}

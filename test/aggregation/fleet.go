// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
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
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
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
	app       = "app"
	appConfig = "settings"
	// all is the strategy with one stage for all clusters.
	all = "all"
	// patience is how long anything may take.
	patience = 5 * time.Minute
	// setters is how many requests prepare something at once, and answers how many members answer at once.
	setters = 16
	answers = 16
)

// fleet is the members, and who prepares what is measured: the administrator, past the hub.
type fleet struct {
	settings
	hub  *realhub.Hub
	core kubernetes.Interface
	api  versioned.Interface
}

func newFleet(ctx context.Context, hub *realhub.Hub, s settings) (*fleet, [2]way, error) {
	var ways [2]way
	core, err := hub.Core()
	if err != nil {
		return nil, ways, err
	}
	through, err := hub.Fleet()
	if err != nil {
		return nil, ways, err
	}
	config, err := hub.ServerConfig(ctx)
	if err != nil {
		return nil, ways, err
	}
	direct, err := versioned.NewForConfig(config)
	if err != nil {
		return nil, ways, err
	}
	ways = [2]way{{"to the server", direct}, {"through the hub", through}}
	return &fleet{settings: s, hub: hub, core: core, api: direct}, ways, nil
}

// use is the CPU time that the server and the hub have used.
func (f *fleet) use() ([2]time.Duration, error) {
	server, err := f.hub.CPU(realhub.Server)
	if err != nil {
		return [2]time.Duration{}, err
	}
	hub, err := f.hub.CPU(realhub.APIServer)
	return [2]time.Duration{server, hub}, err
}

func each(ctx context.Context, n int, do func(i int) error) error {
	errs := make([]error, n)
	workqueue.ParallelizeUntil(ctx, setters, n, func(i int) { errs[i] = do(i) })
	return errors.Join(append(errs, ctx.Err())...)
}

func memberName(i int) string  { return fmt.Sprintf("member-%03d", i) }
func requestName(i int) string { return fmt.Sprintf("request-%d", i) }

// prepare joins the members, places a namespace on them, and makes what is listed and approved.
func (f *fleet) prepare(ctx context.Context) error {
	if err := each(ctx, f.members, func(i int) error { return f.join(ctx, i) }); err != nil {
		return fmt.Errorf("joining members: %w", err)
	}
	strategies := f.api.PlacementV1beta1().ClusterStagedUpdateStrategies()
	if _, err := strategies.Create(ctx, strategy(all), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := each(ctx, listed, func(i int) error {
		_, err := strategies.Create(ctx, strategy(fmt.Sprintf("listed-%d", i)), metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("creating strategies: %w", err)
	}
	if err := each(ctx, 2*f.settings.requests, func(i int) error {
		_, err := f.api.PlacementV1beta1().ClusterApprovalRequests().Create(ctx, &v1beta1.ClusterApprovalRequest{
			ObjectMeta: metav1.ObjectMeta{Name: requestName(i)},
			Spec:       v1beta1.ApprovalRequestSpec{TargetUpdateRun: "run", TargetStage: all},
		}, metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("creating approval requests: %w", err)
	}
	return f.place(ctx)
}

// join makes a member that has joined: the controller that joins real ones does not run.
func (f *fleet) join(ctx context.Context, i int) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: wellknown.MemberNamespace(memberName(i))}}
	if _, err := f.core.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	members := f.api.ClusterV1beta1().MemberClusters()
	member, err := members.Create(ctx, &clusterv1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: memberName(i)},
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

func strategy(name string) *v1beta1.ClusterStagedUpdateStrategy {
	return &v1beta1.ClusterStagedUpdateStrategy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{{
			Name: all, LabelSelector: &metav1.LabelSelector{}, MaxConcurrency: ptr.To(intstr.FromString("100%")),
		}}},
	}
}

// place makes a placement of a namespace, and returns when it has picked all members and has a version.
func (f *fleet) place(ctx context.Context) error {
	if _, err := f.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: app}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := f.core.CoreV1().ConfigMaps(app).Create(ctx, content(0), metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := f.api.PlacementV1beta1().ClusterResourcePlacements().Create(ctx, &v1beta1.ClusterResourcePlacement{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: v1beta1.PlacementSpec{
			ResourceSelectors: []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: app}},
			Strategy:          v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType},
		},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	placed := sets.New[string]()
	if err := until(ctx, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return f.api.PlacementV1beta1().ClusterResourceBindings().List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return f.api.PlacementV1beta1().ClusterResourceBindings().Watch(ctx, o)
		},
	}, nothing, func(b *v1beta1.ClusterResourceBinding) (bool, error) {
		if slices.Contains(b.Finalizers, wellknown.WorkCleanupFinalizer) {
			placed.Insert(b.Name)
		}
		return placed.Len() == f.members, nil
	}); err != nil {
		return err
	}
	return f.change(ctx, 0)
}

// move changes what is placed, and returns how long a run takes over all members, which the user creates and watches and the members answer
// one of the ways.
func (f *fleet) move(ctx context.Context, api versioned.Interface, n int) (took time.Duration, err error) {
	if err := f.change(ctx, n+1); err != nil {
		return 0, err
	}
	members, end := context.WithCancel(ctx)
	var answering sync.WaitGroup
	answering.Go(func() { answer(members, api) })
	defer answering.Wait()
	defer end()
	name := fmt.Sprintf("run-%d", n)
	runs := api.PlacementV1beta1().ClusterStagedUpdateRuns()
	only := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		return o
	}
	var start time.Time
	err = until(ctx, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return runs.List(ctx, only(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return runs.Watch(ctx, only(o))
		},
	}, func() error {
		start = time.Now()
		_, err := runs.Create(ctx, &v1beta1.ClusterStagedUpdateRun{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       v1beta1.UpdateRunSpec{PlacementName: app, StagedUpdateStrategyName: all, State: v1beta1.StateRun},
		}, metav1.CreateOptions{})
		return err
	}, func(run *v1beta1.ClusterStagedUpdateRun) (bool, error) {
		for _, c := range run.Status.Conditions {
			if c.Status == metav1.ConditionFalse && (c.Type == v1beta1.RunInitialized || c.Type == v1beta1.RunSucceeded) {
				return false, fmt.Errorf("run %s: %s: %s", name, c.Reason, c.Message)
			}
		}
		return meta.IsStatusConditionTrue(run.Status.Conditions, v1beta1.RunSucceeded), nil
	})
	return time.Since(start), err
}

// content is what is placed.
func content(version int) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: appConfig}, Data: map[string]string{"version": strconv.Itoa(version)}}
}

// change has the hub hold another version, and returns when there is a snapshot of it.
func (f *fleet) change(ctx context.Context, version int) error {
	index := strconv.Itoa(version)
	return until(ctx, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return f.api.PlacementV1beta1().ClusterResourceSnapshots().List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return f.api.PlacementV1beta1().ClusterResourceSnapshots().Watch(ctx, o)
		},
	}, func() error {
		_, err := f.core.CoreV1().ConfigMaps(app).Update(ctx, content(version), metav1.UpdateOptions{})
		return err
	}, func(s *v1beta1.ClusterResourceSnapshot) (bool, error) {
		return s.Labels[wellknown.ResourceIndexLabel] == index && s.Labels[wellknown.LatestSnapshotLabel] == "true", nil
	})
}

// until watches objects, does something, and returns once an object is seen with which everything is done.
func until[O runtime.Object](ctx context.Context, lw cache.ListerWatcher, do func() error, done func(O) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var zero O
	_, err := watchtools.UntilWithSync(ctx, lw, zero, func(cache.Store) (bool, error) { return false, do() }, func(e watch.Event) (bool, error) {
		o, ok := e.Object.(O)
		if !ok || e.Type == watch.Deleted {
			return false, nil
		}
		return done(o)
	})
	return err
}

func nothing() error { return nil }

// answer stands in for all members until the context ends: each Work is applied and available as soon as it is seen.
func answer(ctx context.Context, api versioned.Interface) {
	factory := externalversions.NewSharedInformerFactory(api, 0)
	works := factory.Placement().V1beta1().Works()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	enqueue := func(obj any) {
		if work := obj.(*v1beta1.Work); !isApplied(work) {
			queue.Add(cache.MetaObjectToName(work))
		}
	}
	// A new informer refuses no handler.
	_, _ = works.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: enqueue, UpdateFunc: func(_, obj any) { enqueue(obj) }})
	factory.Start(ctx.Done())
	var running sync.WaitGroup
	for range answers {
		running.Go(func() {
			for {
				key, shutdown := queue.Get()
				if shutdown {
					return
				}
				work, err := works.Lister().Works(key.Namespace).Get(key.Name)
				if err == nil && !isApplied(work) {
					_, err = api.PlacementV1beta1().Works(key.Namespace).UpdateStatus(ctx, applied(work), metav1.UpdateOptions{})
				}
				if err != nil && ctx.Err() == nil {
					queue.AddRateLimited(key)
				}
				queue.Done(key)
			}
		})
	}
	<-ctx.Done()
	queue.ShutDown()
	running.Wait()
	factory.Shutdown()
}

func isApplied(work *v1beta1.Work) bool {
	c := meta.FindStatusCondition(work.Status.Conditions, v1beta1.WorkAvailable)
	return c != nil && c.ObservedGeneration == work.Generation
}

// applied is a Work with the status that an applier gives it.
func applied(work *v1beta1.Work) *v1beta1.Work {
	work = work.DeepCopy()
	work.Status.Conditions = conditions(work.Generation)
	work.Status.ManifestConditions = nil
	for i, manifest := range work.Spec.Workload.Manifests {
		var object metav1.PartialObjectMetadata
		// What is no object has no identity to report.
		_ = json.Unmarshal(manifest.Raw, &object)
		work.Status.ManifestConditions = append(work.Status.ManifestConditions, v1beta1.ManifestCondition{
			Identifier: v1beta1.WorkResourceIdentifier{
				Ordinal: i, Version: object.APIVersion, Kind: object.Kind, Namespace: object.Namespace, Name: object.Name,
			},
			Conditions: conditions(1),
		})
	}
	return work
}

func conditions(generation int64) []metav1.Condition {
	now := metav1.Now()
	return []metav1.Condition{
		{Type: v1beta1.WorkApplied, Status: metav1.ConditionTrue, Reason: "Applied", Message: "Manifest has been applied successfully",
			ObservedGeneration: generation, LastTransitionTime: now},
		{Type: v1beta1.WorkAvailable, Status: metav1.ConditionTrue, Reason: "Available", Message: "Manifest is available",
			ObservedGeneration: generation, LastTransitionTime: now},
	}
}

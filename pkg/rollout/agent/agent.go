// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	clusterclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/apply"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	// name of the agent in logs and metrics, fieldManager of what it writes on the hub besides Works.
	name         = "agent"
	fieldManager = "stagegate-member-agent"
	// foreignReports is after how many heartbeat periods without a report of another agent one on another cluster reports.
	foreignReports = 3
)

// Options of an Agent.
type Options struct {
	// Cluster is the name of the MemberCluster. It is required.
	Cluster string
	// Version of the agent, reported as a property. Empty reports none.
	Version string
	// Clock defaults to the real one.
	Clock clock.WithTicker
	// Health is told how the agent fares. Nil is nobody.
	Health *Health
}

// view is what looks at the member: inspect.Cluster.
type view interface {
	Observe(context.Context, inspect.Look) (inspect.Observation, time.Duration)
	Collect(ctx context.Context, period time.Duration, awaited func(*inspect.Report) bool) (again time.Duration, news bool)
	Report() *inspect.Report
}

// order is what the hub wants of the agent: whose member the cluster is to be. With another one everything begins again.
type order struct {
	ruler             storeid.Ruler
	recorded, adopted string
}

func (o order) identity(member string) inspect.Identity {
	return inspect.As(o.ruler, member, o.recorded, o.adopted)
}

// Agent serves one member. It serves one term, during which no other replica does.
type Agent struct {
	options   Options
	internals clusterclient.InternalMemberClusterInterface
	// look makes a view of the member, apply applies Works until its context ends.
	look  func() view
	apply func(ctx context.Context, o order) error
	// namespaces of the member, nil for not to be told when they change.
	namespaces cache.SharedIndexInformer

	informer cache.SharedIndexInformer
	queue    *reconcile.Queue
	reading  *reconcile.Queue
	key      reconcile.Key

	doubted atomic.Bool

	mu    sync.Mutex
	order order
	view  view
	// changed is when the namespaces of the member last did.
	changed time.Time
	// applying ends when what is applied has ended, nil where nothing is.
	applying *applying
}

type applying struct {
	order order
	stop  context.CancelFunc
	done  chan struct{}
}

// New returns the agent of a member, which reaches the hub by the client and the member by the config.
func New(hub versioned.Interface, member *rest.Config, options Options) (*Agent, error) {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	metadatas, err := metadata.NewForConfig(member)
	if err != nil {
		return nil, fmt.Errorf("client of the member: %w", err)
	}
	a := newAgent(hub, options)
	a.look = func() view { return inspect.New(member, "", options.Clock) }
	a.apply = func(ctx context.Context, o order) error {
		works := hub.PlacementV1beta1().Works(wellknown.MemberNamespace(options.Cluster))
		applier := apply.New(works, member, apply.Options{
			Cluster: options.Cluster, Ruler: o.ruler, ClusterUID: o.recorded, Doubt: a.doubt, Clock: options.Clock,
		})
		defer a.options.Health.applies(applier.Works)()
		return applier.Run(ctx)
	}
	a.namespaces = metadatainformer.NewFilteredMetadataInformer(metadatas, corev1.SchemeGroupVersion.WithResource("namespaces"),
		metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()
	a.watch()
	return a, nil
}

func newAgent(hub versioned.Interface, options Options) *Agent {
	namespace := wellknown.MemberNamespace(options.Cluster)
	a := &Agent{
		options:   options,
		internals: hub.ClusterV1beta1().InternalMemberClusters(namespace),
		key:       reconcile.Key{Namespace: namespace, Name: options.Cluster},
	}
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, options.Cluster).String()
	a.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return a.internals.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return a.internals.Watch(ctx, o)
		},
	}, hub), &v1beta1.InternalMemberCluster{}, 0, cache.Indexers{})
	a.queue = reconcile.NewWithClock(name, 1, a.serve, options.Clock)
	a.reading = reconcile.NewWithClock(name+"-reports", 1, a.collect, options.Clock)
	return a
}

// watch has changes of the InternalMemberCluster, and of the member's namespaces, wake the agent.
func (a *Agent) watch() {
	a.queue.Watch(a.informer, reconcile.Self)
	a.reading.Watch(a.informer, reconcile.Self)
	if a.namespaces != nil {
		_, _ = a.namespaces.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { a.onNamespace() },
			DeleteFunc: func(any) { a.onNamespace() },
		})
	}
}

func (a *Agent) onNamespace() {
	a.mu.Lock()
	a.changed = a.options.Clock.Now()
	a.mu.Unlock()
	a.reading.Enqueue(a.key)
}

func (a *Agent) doubt() {
	a.doubted.Store(true)
	a.queue.Enqueue(a.key)
}

// Run serves until the context ends, and returns once nothing is applied any more. It may be called once.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer a.stop()
	defer cancel()
	running.Go(func() { a.informer.RunWithContext(ctx) })
	if a.namespaces != nil {
		running.Go(func() { a.namespaces.RunWithContext(ctx) })
	}
	reading := make(chan error, 1)
	go func() {
		defer cancel()
		reading <- a.reading.Run(ctx)
	}()
	err := a.queue.Run(ctx)
	cancel()
	return errors.Join(err, <-reading)
}

// serve does what the InternalMemberCluster asks for.
func (a *Agent) serve(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	obj, found, err := a.informer.GetStore().GetByKey(key.String())
	if err != nil {
		return 0, err
	}
	if !found {
		// It is not known whether the cluster is a member. What is on it stays.
		a.letGo(ctx, "the hub has no InternalMemberCluster for the member")
		return 0, nil
	}
	internal := obj.(*v1beta1.InternalMemberCluster)
	o, ok := orderOf(internal)
	switch {
	case !internal.DeletionTimestamp.IsZero():
		a.letGo(ctx, "the InternalMemberCluster is being deleted")
		return 0, nil
	case !ok:
		a.letGo(ctx, "the MemberCluster does not have the annotation "+wellknown.DeliveryAnnotation+": "+wellknown.DeliveryPull)
		return 0, nil
	}
	look := inspect.Look{Period: period(internal), As: o.identity(a.options.Cluster)}
	switch internal.Spec.State {
	case v1beta1.ClusterStateJoin:
		return a.join(ctx, internal, o, look)
	case v1beta1.ClusterStateLeave:
		return a.leave(ctx, internal, o, look)
	}
	return 0, nil
}

// orderOf returns what an InternalMemberCluster orders, and false where an agent is not to serve it.
func orderOf(internal *v1beta1.InternalMemberCluster) (order, bool) {
	o := order{
		ruler:    storeid.Ruler{Store: internal.Annotations[wellknown.StoreIDAnnotation], Hub: internal.Annotations[wellknown.HubUIDAnnotation]},
		recorded: internal.Annotations[wellknown.ClusterUIDAnnotation],
		adopted:  internal.Annotations[wellknown.AdoptClusterUIDAnnotation],
	}
	return o, wellknown.IsPulled(internal.Annotations) && o.ruler.Store != "" && o.ruler.Hub != ""
}

func period(internal *v1beta1.InternalMemberCluster) time.Duration {
	if seconds := internal.Spec.HeartbeatPeriodSeconds; seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return time.Minute
}

// join looks at the member, applies what is placed there while the cluster is the member, and reports.
func (a *Agent) join(ctx context.Context, internal *v1beta1.InternalMemberCluster, o order, look inspect.Look) (time.Duration, error) {
	member := a.viewFor(o)
	look.Doubted = a.doubted.Swap(false)
	seen, again := member.Observe(ctx, look)
	if ctx.Err() != nil {
		// The member was not given the time to answer.
		return 0, ctx.Err()
	}
	switch {
	case seen.Failure == nil:
		a.start(ctx, o)
	case seen.Failure.Revokes():
		a.letGo(ctx, seen.Failure.Message)
		if a.isReportedByAnother(internal, seen, look.Period) {
			return again, nil
		}
	}
	if seen.Failure == nil && a.options.Version != "" {
		seen.Properties = maps.Clone(seen.Properties)
		seen.Properties[wellknown.AgentVersionProperty] = wording.Shorten(a.options.Version, inspect.MaxProperty)
	}
	r := reporter(internal, look.Period)
	r.Observed(seen)
	r.Alive(a.options.Clock.Now(), seen.Failure)
	if report := member.Report(); seen.Failure == nil && report != nil {
		r.Collected(report)
	}
	return again, a.write(ctx, internal, r)
}

// isReportedByAnother reports whether this cluster is not the member, and the one that is goes on reporting: a token was copied along.
func (a *Agent) isReportedByAnother(internal *v1beta1.InternalMemberCluster, seen inspect.Observation, period time.Duration) bool {
	agent := inspect.AgentOf(internal.Status.AgentStatus)
	return seen.Failure.Reason == inspect.ReasonOtherMember && agent != nil &&
		a.options.Clock.Now().Before(agent.LastReceivedHeartbeat.Add(foreignReports*period))
}

// leave cleans up on the member, once nothing is applied any more, and says so.
func (a *Agent) leave(ctx context.Context, internal *v1beta1.InternalMemberCluster, o order, look inspect.Look) (time.Duration, error) {
	a.letGo(ctx, "the cluster leaves the fleet")
	if inspect.HasLeft(internal) {
		return 0, nil
	}
	look.Leaving = true
	seen, again := a.viewFor(o).Observe(ctx, look)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	r := reporter(internal, look.Period)
	if seen.Failure != nil && !seen.Failure.Revokes() {
		r.FailedToLeave(a.options.Clock.Now(), seen.Failure)
		return again, a.write(ctx, internal, r)
	}
	r.Alive(a.options.Clock.Now(), nil)
	r.Left()
	return 0, a.write(ctx, internal, r)
}

func reporter(internal *v1beta1.InternalMemberCluster, period time.Duration) inspect.Reporter {
	return inspect.Reporter{Status: inspect.Restored(internal), Generation: internal.Generation, Period: period}
}

func (a *Agent) write(ctx context.Context, internal *v1beta1.InternalMemberCluster, r inspect.Reporter) error {
	status := inspect.Internal(r.Status, internal.Generation)
	if equality.Semantic.DeepEqual(internal.Status, status) {
		return nil
	}
	internal = internal.DeepCopy()
	internal.Status = status
	switch _, err := a.internals.UpdateStatus(ctx, internal, metav1.UpdateOptions{FieldManager: fieldManager}); {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("status of InternalMemberCluster %s/%s on the hub: %w", internal.Namespace, internal.Name, err)
	default:
		a.options.Health.beat(r.Period)
	}
	return nil
}

// collect reads what the member has where that is due.
func (a *Agent) collect(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	a.mu.Lock()
	member := a.view
	a.mu.Unlock()
	obj, found, err := a.informer.GetStore().GetByKey(key.String())
	if err != nil || !found || member == nil {
		return 0, err
	}
	again, news := member.Collect(ctx, period(obj.(*v1beta1.InternalMemberCluster)), func(last *inspect.Report) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return last.ListedBefore(a.changed)
	})
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if news {
		a.queue.Enqueue(key)
	}
	return again, nil
}

// viewFor is the view of the member under an order; what was seen under another one counts no more.
func (a *Agent) viewFor(o order) view {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.view == nil || a.order != o {
		a.view, a.order = a.look(), o
	}
	return a.view
}

// start applies what is placed on the member, if that is not done already.
func (a *Agent) start(ctx context.Context, o order) {
	if a.applying != nil && a.applying.order == o {
		return
	}
	a.stop()
	klog.FromContext(ctx).Info("Applying what is placed on the member", "store", o.ruler.Store, "hub", o.ruler.Hub)
	ctx, cancel := context.WithCancel(ctx)
	running := &applying{order: o, stop: cancel, done: make(chan struct{})}
	a.applying = running
	go func() {
		defer close(running.done)
		reconcile.Forever(ctx, apply.Name, func(ctx context.Context) error { return a.apply(ctx, o) })
	}()
}

// letGo ends what is applied, and says why. Everything on the member stays as it is.
func (a *Agent) letGo(ctx context.Context, why string) {
	a.options.Health.idles(why)
	if a.applying != nil {
		klog.FromContext(ctx).Info("Applying nothing: what is on the member stays as it is", "reason", why)
	}
	a.stop()
}

func (a *Agent) stop() {
	if a.applying != nil {
		a.applying.stop()
		<-a.applying.done
		a.applying = nil
	}
}

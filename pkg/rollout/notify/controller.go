// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/outbound"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/metrics"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// Name of the controller.
const Name = "notify"

const (
	// workers is how many sinks are reconciled at the same time.
	workers = 2
	// writeEvery is how often the status of a sink is written at most, and writeManyEvery is that of one with more than manyCursors. What was delivered
	// since is delivered once more where the server is killed.
	writeEvery, writeManyEvery = time.Second, 10 * time.Second
	manyCursors                = 100
	// writeTimeEvery is how far status.handledBefore may be behind where nothing else changes: runs without a cursor are handled since.
	writeTimeEvery = time.Hour
	// compactEvery is how often cursors are looked for that are no longer needed.
	compactEvery = time.Minute
)

// Options of a Controller.
type Options struct {
	// Addresses are which addresses may be reached.
	Addresses *outbound.Rules
	// Hub is the uid of the hub, for receivers who have several.
	Hub string
}

// Controller has sinks told what happens to runs.
type Controller struct {
	fleet   *fleet.Fleet
	secrets cache.SharedIndexInformer
	options Options
	clock   clock.WithTicker
	queue   *reconcile.Queue

	mu      sync.Mutex
	sinks   map[string]*sinkState
	senders sync.WaitGroup
}

// sinkState is a sink for which a sender runs.
type sinkState struct {
	uid        types.UID
	generation int64
	ledger     *ledger
	// stop ends the sender and returns once it has ended.
	stop func()
	// looked and compacted are when the status was last looked at, and when cursors that are no longer needed were.
	looked, compacted time.Time
}

// New makes the controller for one term of leadership. The hub has the Secrets of sinks.
func New(f *fleet.Fleet, hub kubernetes.Interface, options Options, t clock.WithTicker) *Controller {
	c := &Controller{fleet: f, options: options, clock: t, sinks: map[string]*sinkState{}}
	c.secrets = coreinformers.NewFilteredSecretInformer(hub, wellknown.SystemNamespace, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.LabelSelector = wellknown.NotificationSinkLabel
	})
	if err := c.secrets.SetTransform(withoutManagedFields); err != nil {
		// Only a running informer is refused.
		panic(err)
	}
	c.queue = reconcile.NewWithClock(Name, workers, c.reconcile, t)
	c.queue.Watch(f.Sinks.Informer(), reconcile.Self)
	c.queue.Watch(c.secrets, reconcile.ByObject(func(secret metav1.Object) []reconcile.Key {
		return []reconcile.Key{{Name: secret.GetLabels()[wellknown.NotificationSinkLabel]}}
	}))
	return c
}

func withoutManagedFields(obj any) (any, error) {
	if secret, ok := obj.(*corev1.Secret); ok {
		secret.ManagedFields = nil
	}
	return obj, nil
}

// Run has sinks told until the context ends.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer c.senders.Wait()
	defer cancel()
	c.senders.Go(func() { c.secrets.RunWithContext(ctx) })
	return c.queue.Run(ctx)
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	sink, err := c.fleet.Sinks.Lister().Get(key.Name)
	if err != nil {
		c.forget(key.Name)
		return 0, reconcile.IgnoreNotFound(err)
	}
	state, err := c.ensure(ctx, sink)
	if err != nil {
		return 0, c.write(ctx, sink, nil, err)
	}
	now := c.clock.Now()
	if left := state.looked.Add(spacing(state.ledger.size())).Sub(now); left > 0 {
		return left, nil
	}
	state.looked = now
	if now.Sub(state.compacted) >= compactEvery {
		if lost := state.ledger.compact(c.fleet.Runs.All); lost > 0 {
			lose(ctx, sink.Name, state.ledger, lost, "runs were deleted before "+wording.Count(int(lost), "notification")+" about them were sent")
		}
		state.compacted = now
	}
	_, invalid := resolve(sink, c.secrets.GetStore())
	if err := c.write(ctx, sink, state, invalid); err != nil {
		return 0, err
	}
	if state.ledger.size() > 0 {
		return compactEvery, nil
	}
	return 0, nil
}

// ensure has the sender of a sink run with its present spec. The state is for one worker at a time, which has the key of the sink.
func (c *Controller) ensure(ctx context.Context, sink *v1alpha1.NotificationSink) (*sinkState, error) {
	c.mu.Lock()
	state := c.sinks[sink.Name]
	c.mu.Unlock()
	if state != nil && state.uid == sink.UID && state.generation == sink.Generation {
		return state, nil
	}
	if state != nil {
		state.stop()
	}
	if state == nil || state.uid != sink.UID {
		state = &sinkState{uid: sink.UID, ledger: newLedger(sink, c.clock), compacted: c.clock.Now()}
	} else {
		state.ledger.reconsider()
	}
	match, err := policy.NewMatch(sink.Spec.Match)
	if err != nil {
		c.forget(sink.Name)
		return nil, err
	}
	metrics.NotifiesSink(sink.Name)
	state.generation, state.stop = sink.Generation, c.start(ctx, sink, match, state.ledger)
	c.mu.Lock()
	c.sinks[sink.Name] = state
	c.mu.Unlock()
	return state, nil
}

// start runs a sender until the context ends or the returned function is called.
func (c *Controller) start(ctx context.Context, sink *v1alpha1.NotificationSink, match policy.Match, l *ledger) (stop func()) {
	ctx, cancel := context.WithCancel(klog.NewContext(ctx, klog.FromContext(ctx).WithValues("sink", sink.Name)))
	key := reconcile.Key{Name: sink.Name}
	s := &sender{
		sink: sink, match: match, ledger: l, client: outbound.NewClient(c.options.Addresses, roots(sink.Spec.CABundle)), fleet: c.fleet,
		secrets: c.secrets, hub: c.options.Hub, clock: c.clock, changed: func() { c.queue.Enqueue(key) },
	}
	done := make(chan struct{})
	c.senders.Go(func() {
		defer close(done)
		defer s.client.CloseIdleConnections()
		reconcile.Forever(ctx, Name, s.run)
	})
	return func() {
		cancel()
		<-done
	}
}

// forget ends the sender of a sink that is gone.
func (c *Controller) forget(name string) {
	c.mu.Lock()
	state := c.sinks[name]
	delete(c.sinks, name)
	c.mu.Unlock()
	if state != nil {
		state.stop()
	}
	metrics.ForgetSink(name)
}

// write writes the status of a sink. Without a state nothing can be sent, for the reason in invalid.
func (c *Controller) write(ctx context.Context, sink *v1alpha1.NotificationSink, state *sinkState, invalid error) error {
	changed, trouble := sink.DeepCopy(), ""
	status := &changed.Status
	status.ObservedGeneration = sink.Generation
	if state != nil {
		state.ledger.report(status)
		trouble = state.ledger.trouble()
	}
	condition := ready(sink, invalid, trouble)
	condition.ObservedGeneration, condition.LastTransitionTime = sink.Generation, metav1.NewTime(c.clock.Now())
	meta.SetStatusCondition(&status.Conditions, condition)
	if !isNews(&sink.Status, status) {
		return nil
	}
	if _, err := c.fleet.Clientset.RolloutV1alpha1().NotificationSinks().UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing the status of NotificationSink %s: %w", sink.Name, err)
	}
	return nil
}

// spacing is the time from one write of a status with so many cursors to the next.
func spacing(cursors int) time.Duration {
	if cursors > manyCursors {
		return writeManyEvery
	}
	return writeEvery
}

// isNews reports whether a status is worth a write. Time that passes is no news for an hour.
func isNews(was, is *v1alpha1.NotificationSinkStatus) bool {
	compared := *is
	if was.HandledBefore != nil && is.HandledBefore != nil {
		if passed := is.HandledBefore.Sub(was.HandledBefore.Time); passed > 0 && passed < writeTimeEvery {
			compared.HandledBefore = was.HandledBefore
		}
	}
	return !apiequality.Semantic.DeepEqual(*was, compared)
}

// ready is the condition of a sink.
func ready(sink *v1alpha1.NotificationSink, invalid error, trouble string) metav1.Condition {
	is := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: v1alpha1.NotificationSinkReady, Status: status, Reason: reason, Message: message}
	}
	switch {
	case sink.Spec.Suspend:
		return is(metav1.ConditionFalse, v1alpha1.ReasonSinkSuspended, "Notifications are held back until spec.suspend is false")
	case invalid != nil:
		return is(metav1.ConditionFalse, v1alpha1.ReasonSinkInvalid, invalid.Error())
	case trouble != "":
		return is(metav1.ConditionFalse, v1alpha1.ReasonDeliveryFailed, trouble)
	}
	return is(metav1.ConditionTrue, v1alpha1.ReasonSinkReady, "No notification fails to be delivered")
}

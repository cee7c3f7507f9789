// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reconcile runs the queue of a controller: informers feed keys into a queue, workers reconcile one key at a time. It knows nothing of what is
// reconciled.
package reconcile

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Key names what is reconciled. The namespace is empty for cluster-scoped objects.
type Key = types.NamespacedName

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Minute
)

// Func brings one object closer to what is wanted. It returns when to look again, 0 for not before something changes, and an
// error to be tried again later and later. A TerminalError is not tried again before something changes.
type Func func(ctx context.Context, key Key) (again time.Duration, err error)

// MapFunc says which keys a change concerns. On an add old is nil, on a delete new is nil.
type MapFunc func(oldObj, newObj any) []Key

type source struct {
	informer cache.SharedIndexInformer
	mapFunc  MapFunc
	delay    time.Duration
}

// Queue is a queue of keys and the function that reconciles them. Make one for each term of leadership: Run ends it.
type Queue struct {
	name      string
	reconcile Func
	workers   int
	clock     clock.PassiveClock
	keys      workqueue.TypedRateLimitingInterface[Key]
	order     *turns
	sources   []source
}

// New makes the queue of a controller of the given name, which logs and metrics carry. Workers says how many keys are reconciled at once.
func New(name string, workers int, reconcile Func) *Queue {
	return NewWithClock(name, workers, reconcile, clock.RealClock{})
}

// NewWithClock is New with a clock of the caller's for everything timed.
func NewWithClock(name string, workers int, reconcile Func, c clock.WithTicker) *Queue {
	Announce(name)
	order := newTurns()
	return &Queue{
		name:      name,
		clock:     c,
		reconcile: reconcile,
		workers:   workers,
		order:     order,
		keys: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[Key](firstRetry, lastRetry),
			workqueue.TypedRateLimitingQueueConfig[Key]{Name: name, Clock: c, DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(
				workqueue.TypedDelayingQueueConfig[Key]{Name: name, Clock: c, Queue: workqueue.NewTypedWithConfig(
					workqueue.TypedQueueConfig[Key]{Name: name, Clock: c, Queue: order},
				)},
			)},
		),
	}
}

// TakeTurns has the workers take turns by group: a key waits for at most one of each other group and for those before it in its own,
// instead of for all that came before it. groupOf tells the group of a key; it is called under the lock of the queue and must neither
// block nor use the queue. Call TakeTurns before anything is enqueued.
func (q *Queue) TakeTurns(groupOf func(Key) string) { q.order.groupOf = groupOf }

// Watch feeds the keys that f finds for each change the informer sees, the objects it holds already included. Call it before Run.
func (q *Queue) Watch(informer cache.SharedIndexInformer, f MapFunc) {
	q.sources = append(q.sources, source{informer: informer, mapFunc: f})
}

// WatchCoalesced is Watch for changes that come in bursts: what changes within the delay of the first change is one reconciliation.
func (q *Queue) WatchCoalesced(informer cache.SharedIndexInformer, delay time.Duration, f MapFunc) {
	q.sources = append(q.sources, source{informer: informer, mapFunc: f, delay: delay})
}

// Enqueue has a key reconciled soon. A key that waits already is not queued twice.
func (q *Queue) Enqueue(key Key) { q.keys.Add(key) }

// EnqueueAfter has a key reconciled after a while.
func (q *Queue) EnqueueAfter(key Key, d time.Duration) { q.keys.AddAfter(key, d) }

// Run reconciles until the context ends, and returns when the last worker is done. It starts with caches that hold what was there
// when it was called.
func (q *Queue) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithValues("controller", q.name)
	ctx = klog.NewContext(countedAs(ctx, q.name), logger)

	var synced []cache.InformerSynced
	for _, s := range q.sources {
		registration, err := s.informer.AddEventHandler(q.handler(ctx, s))
		if err != nil {
			return fmt.Errorf("controller %s: watching: %w", q.name, err)
		}
		defer func() { _ = s.informer.RemoveEventHandler(registration) }()
		synced = append(synced, registration.HasSynced)
	}
	defer q.keys.ShutDown()
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil
	}
	logger.V(2).Info("Controller started")

	var workers sync.WaitGroup
	for range q.workers {
		workers.Go(func() {
			for q.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	q.keys.ShutDown()
	workers.Wait()
	logger.V(2).Info("Controller stopped")
	return nil
}

// handler feeds the queue. A change that a MapFunc panics on is logged and lost; all others are not.
func (q *Queue) handler(ctx context.Context, s source) cache.ResourceEventHandler {
	enqueue := func(oldObj, newObj any) {
		_ = Safely(ctx, func() error {
			for _, key := range s.mapFunc(oldObj, newObj) {
				q.keys.AddAfter(key, s.delay)
			}
			return nil
		})
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { enqueue(nil, obj) },
		UpdateFunc: enqueue,
		DeleteFunc: func(obj any) {
			if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = tombstone.Obj
			}
			enqueue(obj, nil)
		},
	}
}

func (q *Queue) next(ctx context.Context) bool {
	key, shutdown := q.keys.Get()
	if shutdown {
		return false
	}
	defer q.keys.Done(key)
	if ctx.Err() != nil {
		return true
	}
	logger := klog.FromContext(ctx).WithValues("key", key)
	ctx = klog.NewContext(ctx, logger)
	start := q.clock.Now()
	var again time.Duration
	err := Safely(ctx, func() (err error) {
		again, err = q.reconcile(ctx, key)
		return err
	})
	durationSeconds.WithLabelValues(q.name).Observe(q.clock.Since(start).Seconds())
	switch {
	case err != nil && ctx.Err() != nil:
	case apierrors.IsConflict(err):
		// Somebody else wrote first; the change is on its way to the cache.
		logger.V(4).Info("Trying again after a conflict", "err", err)
		q.keys.AddRateLimited(key)
	case IsTerminal(err):
		terminalErrorsTotal.WithLabelValues(q.name).Inc()
		logger.Error(err, "Waiting for a change")
		q.keys.Forget(key)
	case err != nil:
		errorsTotal.WithLabelValues(q.name).Inc()
		logger.Error(err, "Trying again later")
		q.keys.AddRateLimited(key)
	case again > 0:
		q.keys.Forget(key)
		q.keys.AddAfter(key, again)
	default:
		q.keys.Forget(key)
	}
	return true
}

// Forever keeps a function running until the context ends, with pauses that grow where it fails or panics.
func Forever(ctx context.Context, what string, f func(context.Context) error) {
	ctx = countedAs(ctx, what)
	backoff := wait.Backoff{Duration: firstRetry, Factor: 2, Jitter: 0.1, Steps: 20, Cap: lastRetry}
	for ctx.Err() == nil {
		err := Safely(ctx, func() error { return f(ctx) })
		if ctx.Err() != nil {
			return
		}
		pause := backoff.Step()
		klog.FromContext(ctx).Error(err, "Starting again", "what", what, "after", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"sync"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// watches are the queries that placements need followed. Placements share them: a watch starts with the first placement that needs it
// and stops with the last.
type watches struct {
	metadata metadata.Interface
	dynamic  dynamic.Interface
	// changed is called when what a placement selects may have changed, synced when a query was read for the first time.
	changed, synced func(reconcile.Key)

	mu      sync.Mutex
	ctx     context.Context
	running sync.WaitGroup
	shared  map[query]*shared
	of      map[reconcile.Key]map[query]*shared
}

type shared struct {
	cached
	users map[reconcile.Key]struct{}
	stop  context.CancelFunc
}

func newWatches(metadata metadata.Interface, dynamic dynamic.Interface, changed, synced func(reconcile.Key)) *watches {
	return &watches{
		metadata: metadata,
		dynamic:  dynamic,
		changed:  changed,
		synced:   synced,
		shared:   map[query]*shared{},
		of:       map[reconcile.Key]map[query]*shared{},
	}
}

// start lets watches run until the context ends.
func (w *watches) start(ctx context.Context) { w.ctx = ctx }

// wait returns when the last watch has ended.
func (w *watches) wait() { w.running.Wait() }

// need gives a placement the watch of a query.
func (w *watches) need(key reconcile.Key, q query) (*cached, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, found := w.shared[q]
	if !found {
		s = &shared{users: map[reconcile.Key]struct{}{}}
		follow, err := newWatched(w.metadata, q, func() { w.tell(s, w.changed) })
		if err != nil {
			return nil, err
		}
		s.cached = cached{watched: follow, hub: w.dynamic, known: map[string]version{}}
		ctx, stop := context.WithCancel(w.ctx)
		s.stop = stop
		w.shared[q] = s
		w.running.Go(func() { follow.run(ctx, func() { w.tell(s, w.synced) }) })
		klog.FromContext(w.ctx).V(2).Info("Watching the hub", "query", q)
	}
	s.users[key] = struct{}{}
	if w.of[key] == nil {
		w.of[key] = map[query]*shared{}
	}
	w.of[key][q] = s
	return &s.cached, nil
}

// keep ends what a placement needs of all queries but the given ones.
func (w *watches) keep(key reconcile.Key, needed map[query]struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for q, s := range w.of[key] {
		if _, ok := needed[q]; ok {
			continue
		}
		delete(w.of[key], q)
		delete(s.users, key)
		if len(s.users) == 0 {
			s.stop()
			delete(w.shared, q)
			klog.FromContext(w.ctx).V(2).Info("No longer watching the hub", "query", q)
		}
	}
	if len(w.of[key]) == 0 {
		delete(w.of, key)
	}
}

func (w *watches) tell(s *shared, f func(reconcile.Key)) {
	w.mu.Lock()
	users := make([]reconcile.Key, 0, len(s.users))
	for key := range s.users {
		users = append(users, key)
	}
	w.mu.Unlock()
	for _, key := range users {
		f(key)
	}
}

// watchedView is the hub as the watches have seen it. What it is asked for is watched from then on.
type watchedView struct {
	watches *watches
	key     reconcile.Key
	served  *kinds

	mu     sync.Mutex
	needed map[query]struct{}
}

func (v *watchedView) kinds() *kinds { return v.served }

func (v *watchedView) list(ctx context.Context, queries ...query) ([][]*item, error) {
	return inParallel(ctx, queries, func(q query) ([]*item, error) {
		v.mu.Lock()
		v.needed[q] = struct{}{}
		v.mu.Unlock()
		c, err := v.watches.need(v.key, q)
		if err != nil {
			return nil, err
		}
		return c.items(ctx)
	})
}

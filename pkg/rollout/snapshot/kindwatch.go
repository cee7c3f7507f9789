// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// kindsSettle is how long after a change of the hub's APIs it is asked for its kinds. The hub tells its kinds a little later
	// than it announces the change, so it is asked once more after kindsLag.
	kindsSettle = 200 * time.Millisecond
	kindsLag    = 3 * time.Second
	// firstKindsRetry and lastKindsRetry are the pauses after a group did not answer.
	firstKindsRetry = time.Second
	lastKindsRetry  = time.Minute
	// kindsRefresh is for servers behind the hub that change their kinds, which nothing announces.
	kindsRefresh = 5 * time.Minute
)

// Definitions and API services are the objects of the hub that announce new and removed kinds.
var (
	definitions = kind{
		GroupVersionKind: schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
		resource:         "customresourcedefinitions",
	}
	apiServices = kind{
		GroupVersionKind: schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"},
		resource:         "apiservices",
	}
)

// kindWatch knows the kinds of the hub.
type kindWatch struct {
	discovery discoverer
	metadata  metadata.Interface
	clock     clock.Clock
	// changed is called when the kinds are others than before.
	changed func()

	announced chan struct{}
	last      atomic.Pointer[kinds]
}

func newKindWatch(discovery discoverer, metadata metadata.Interface, c clock.Clock, changed func()) *kindWatch {
	return &kindWatch{discovery: discovery, metadata: metadata, clock: c, changed: changed, announced: make(chan struct{}, 1)}
}

// current are the kinds, or nil as long as the hub has not been asked.
func (w *kindWatch) current() *kinds { return w.last.Load() }

// run follows the hub's APIs until the context ends.
func (w *kindWatch) run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, k := range []kind{definitions, apiServices} {
		follow, err := newWatched(w.metadata, query{kind: k}, w.announce)
		if err != nil {
			return err
		}
		running.Go(func() { follow.run(ctx, func() {}) })
	}

	retry := firstKindsRetry
	for announced := false; ; {
		found := discover(ctx, w.discovery, w.metadata)
		if ctx.Err() != nil {
			return nil
		}
		w.publish(ctx, found)
		pause := kindsRefresh
		if found.unknown(limits{}) != nil {
			pause, retry = retry, min(2*retry, lastKindsRetry)
		} else {
			retry = firstKindsRetry
		}
		if announced {
			pause = min(pause, kindsLag)
		}
		if announced = w.sleep(ctx, pause); ctx.Err() != nil {
			return nil
		}
	}
}

// sleep waits until the pause is over or an announcement has settled, and reports whether there was one.
func (w *kindWatch) sleep(ctx context.Context, pause time.Duration) (announced bool) {
	select {
	case <-ctx.Done():
		return false
	case <-w.clock.After(pause):
		return false
	case <-w.announced:
	}
	select {
	case <-ctx.Done():
	case <-w.clock.After(kindsSettle):
	}
	return true
}

func (w *kindWatch) announce() {
	select {
	case w.announced <- struct{}{}:
	default:
	}
}

func (w *kindWatch) publish(ctx context.Context, found *kinds) {
	if before := w.last.Swap(found); before.equal(found) {
		return
	}
	logger := klog.FromContext(ctx).V(2)
	logger.Info("Kinds of the hub changed", "kinds", len(found.served), "unknown", found.unknown(limits{}))
	w.changed()
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// watched follows the metadata of what one query finds.
type watched struct {
	query
	informer cache.SharedIndexInformer
	// tell is called for each change after the first list, and when the query becomes readable or stops to be.
	tell func()

	health sync.Mutex
	// listErr and watchErr are why the hub did not answer lately.
	listErr, watchErr error
}

func newWatched(hub metadata.Interface, q query, tell func()) (*watched, error) {
	w := &watched{query: q, tell: tell}
	client := hub.Resource(q.gvr()).Namespace(q.namespace)
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			q.narrow(&options)
			list, err := client.List(ctx, options)
			w.observe(ctx, err, &w.listErr)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			q.narrow(&options)
			stream, err := client.Watch(ctx, options)
			// A watch starts from a list, or brings it along.
			w.observe(ctx, err, &w.watchErr, &w.listErr)
			return stream, err
		},
	}
	w.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(source, hub), &metav1.PartialObjectMetadata{}, 0, nil)
	if err := w.informer.SetTransform(identityOnly); err != nil {
		return nil, fmt.Errorf("watching %s: %w", q, err)
	}
	// A hub that does not answer is told on the placements that need it.
	if err := w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		klog.FromContext(ctx).V(4).Info("Watch ended", "query", q, "err", err)
	}); err != nil {
		return nil, fmt.Errorf("watching %s: %w", q, err)
	}
	if _, err := w.informer.AddEventHandler(w.handler()); err != nil {
		return nil, fmt.Errorf("watching %s: %w", q, err)
	}
	return w, nil
}

// run watches until the context ends, and tells when everything there is has been seen.
func (w *watched) run(ctx context.Context, synced func()) {
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-ctx.Done():
		case <-w.informer.HasSyncedChecker().Done():
			synced()
		}
	})
	w.informer.RunWithContext(ctx)
	waiting.Wait()
}

func (w *watched) handler() cache.ResourceEventHandler {
	ignored := func(obj any) bool {
		object, ok := obj.(metav1.Object)
		return ok && placeable.Excluded(w.GroupKind(), object)
	}
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, isInInitialList bool) {
			if !isInInitialList && !ignored(obj) {
				w.tell()
			}
		},
		UpdateFunc: func(oldObj, newObj any) {
			if oldObj.(metav1.Object).GetResourceVersion() != newObj.(metav1.Object).GetResourceVersion() && !(ignored(oldObj) && ignored(newObj)) {
				w.tell()
			}
		},
		DeleteFunc: func(obj any) {
			if !ignored(obj) {
				w.tell()
			}
		},
	}
}

// observe remembers whether the hub answers: an error as the last of its kind, an answer as the end of all that it disproves. An API
// that refuses is told at once; a hub that is away for a moment matters only to who looks meanwhile.
func (w *watched) observe(ctx context.Context, err error, last *error, disproved ...*error) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	w.health.Lock()
	before := w.listErr != nil || w.watchErr != nil
	*last = err
	if err == nil {
		for _, e := range disproved {
			*e = nil
		}
	}
	after := w.listErr != nil || w.watchErr != nil
	w.health.Unlock()
	if refused := apierrors.ReasonForError(err) != metav1.StatusReasonUnknown; before != after && (err == nil || refused) {
		w.tell()
	}
}

// unreadable is why what is known may not be all there is, or nil.
func (w *watched) unreadable() error {
	w.health.Lock()
	defer w.health.Unlock()
	switch {
	case w.listErr != nil:
		return w.listErr
	case w.watchErr != nil:
		return w.watchErr
	case !w.informer.HasSynced():
		return errNotRead
	}
	return nil
}

var errNotRead = errors.New("not read yet")

// identityOnly keeps of the metadata what is looked at.
func identityOnly(obj any) (any, error) {
	if object, ok := obj.(*metav1.PartialObjectMetadata); ok {
		object.ManagedFields = nil
		object.Annotations = nil
	}
	return obj, nil
}

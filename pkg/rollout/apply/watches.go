// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
)

// anyObject in a wish stands for all objects of the kind.
var anyObject = types.NamespacedName{Name: "*"}

// wish are the objects of which a Work wants to hear, by their kind.
type wish map[schema.GroupVersionResource]sets.Set[types.NamespacedName]

func (w wish) add(gvr schema.GroupVersionResource, key types.NamespacedName) {
	if w[gvr] == nil {
		w[gvr] = sets.New[types.NamespacedName]()
	}
	w[gvr].Insert(key)
}

// watches are the informers on a member: one for each kind that some Work wants to hear of, started with the first Work and stopped
// with the last.
type watches struct {
	ctx      context.Context
	informer func(schema.GroupVersionResource) cache.SharedIndexInformer
	notify   func(work string)

	running sync.WaitGroup

	mu     sync.Mutex
	wishes map[string]wish
	kinds  map[schema.GroupVersionResource]*kindWatch
}

type kindWatch struct {
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
	// pinned keeps the watch though no Work wants to hear of the kind: all that is deleted is told of, as the Work of its name.
	pinned bool
	// works by the object that they want to hear of.
	works map[types.NamespacedName]sets.Set[string]
}

// newWatches makes watches that end with the context at the latest. notify must not block.
func newWatches(ctx context.Context, informer func(schema.GroupVersionResource) cache.SharedIndexInformer, notify func(work string)) *watches {
	return &watches{
		ctx:      ctx,
		informer: informer,
		notify:   notify,
		wishes:   map[string]wish{},
		kinds:    map[schema.GroupVersionResource]*kindWatch{},
	}
}

// set replaces what a Work wants to hear of.
func (w *watches) set(work string, wanted wish) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	old := w.wishes[work]
	for gvr, keys := range wanted {
		kind := w.kind(gvr)
		for key := range keys.Difference(old[gvr]) {
			if kind.works[key] == nil {
				kind.works[key] = sets.New[string]()
			}
			kind.works[key].Insert(work)
		}
	}
	for gvr, keys := range old {
		kind := w.kinds[gvr]
		for key := range keys.Difference(wanted[gvr]) {
			if kind.works[key].Delete(work); kind.works[key].Len() == 0 {
				delete(kind.works, key)
			}
		}
		if len(kind.works) == 0 && !kind.pinned {
			kind.stop()
			delete(w.kinds, gvr)
		}
	}
	if len(wanted) == 0 {
		delete(w.wishes, work)
	} else {
		w.wishes[work] = wanted
	}
}

// kind is the watch of a kind, started if need be. It is called with the lock held.
func (w *watches) kind(gvr schema.GroupVersionResource) *kindWatch {
	if kind := w.kinds[gvr]; kind != nil {
		return kind
	}
	ctx, stop := context.WithCancel(w.ctx)
	kind := &kindWatch{
		informer: w.informer(gvr),
		stop:     stop,
		works:    map[types.NamespacedName]sets.Set[string]{},
	}
	w.kinds[gvr] = kind
	// Neither fails on an informer that was not started yet.
	_ = kind.informer.SetTransform(stripped)
	_, _ = kind.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { w.changed(kind, obj) },
		UpdateFunc: func(old, obj any) {
			before, after := old.(metav1.Object), obj.(metav1.Object)
			if before.GetResourceVersion() != after.GetResourceVersion() {
				w.changed(kind, obj)
			}
		},
		DeleteFunc: func(obj any) {
			if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = tombstone.Obj
			}
			w.changed(kind, obj)
		},
	})
	w.running.Go(func() { kind.informer.RunWithContext(ctx) })
	w.running.Go(func() {
		// What went between a Work's look at it and the first listing is no event.
		if cache.WaitForCacheSync(ctx.Done(), kind.informer.HasSynced) {
			w.filled(kind)
		}
	})
	return kind
}

func (w *watches) changed(kind *kindWatch, obj any) {
	o, ok := obj.(metav1.Object)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for work := range kind.works[types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}] {
		w.notify(work)
	}
	for work := range kind.works[anyObject] {
		w.notify(work)
	}
	if kind.pinned && o.GetDeletionTimestamp() != nil {
		w.notify(o.GetName())
	}
}

func (w *watches) filled(kind *kindWatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, works := range kind.works {
		for work := range works {
			w.notify(work)
		}
	}
}

// pin watches a kind until the end, and tells of each object that is deleted as of the Work of its name.
func (w *watches) pin(gvr schema.GroupVersionResource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() == nil {
		w.kind(gvr).pinned = true
	}
}

// deleted reports whether an object in the cache is being deleted.
func (w *watches) deleted(gvr schema.GroupVersionResource, key types.NamespacedName) bool {
	w.mu.Lock()
	kind := w.kinds[gvr]
	w.mu.Unlock()
	if kind == nil {
		return false
	}
	obj, exists, err := kind.informer.GetStore().GetByKey(cache.NewObjectName(key.Namespace, key.Name).String())
	return err == nil && exists && obj.(metav1.Object).GetDeletionTimestamp() != nil
}

// version is the resourceVersion of an object in the cache, empty where there is none, and false where the cache is not filled.
func (w *watches) version(gvr schema.GroupVersionResource, key types.NamespacedName) (string, bool) {
	w.mu.Lock()
	kind := w.kinds[gvr]
	w.mu.Unlock()
	if kind == nil || !kind.informer.HasSynced() {
		return "", false
	}
	obj, exists, err := kind.informer.GetStore().GetByKey(cache.NewObjectName(key.Namespace, key.Name).String())
	if err != nil || !exists {
		return "", err == nil
	}
	return obj.(metav1.Object).GetResourceVersion(), true
}

// stopAll ends all informers and waits for them. The context must have ended.
func (w *watches) stopAll() {
	w.mu.Lock()
	for _, kind := range w.kinds {
		kind.stop()
	}
	w.mu.Unlock()
	w.running.Wait()
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package consistency remembers what a controller wrote until its caches have it, so that nothing is decided on objects as they were
// before. It is what pkg/controller/util/consistency is for Kubernetes' own controllers. It knows no kinds.
package consistency

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"
)

// Cache is an informer's store of the objects of one resource.
type Cache interface {
	GetByKey(key string) (item any, exists bool, err error)
	// LastStoreSyncResourceVersion is the newest version that the store has seen, empty where it does not know.
	LastStoreSyncResourceVersion() string
}

// Store remembers the versions of what was written for an owner, the object whose key a controller reconciles. The zero value is
// ready to use, by many goroutines.
type Store struct {
	mu     sync.Mutex
	writes map[types.NamespacedName]map[object]string
}

type object struct {
	cache Cache
	key   string
}

// Wrote records the version that a write returned. The cache is that of the object's resource.
func (s *Store) Wrote(owner types.NamespacedName, c Cache, written metav1.Object) {
	version := written.GetResourceVersion()
	if _, ok := compare(version, version); !ok {
		// Nothing can be waited for.
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes == nil {
		s.writes = map[types.NamespacedName]map[object]string{}
	}
	if s.writes[owner] == nil {
		s.writes[owner] = map[object]string{}
	}
	o := object{c, cache.MetaObjectToName(written).String()}
	if order, ok := compare(s.writes[owner][o], version); !ok || order < 0 {
		s.writes[owner][o] = version
	}
}

// Ready reports whether the caches have all that was written for an owner, and forgets what they have. Ask before reading from the
// caches: what was read before may be older than the answer. Where the answer is no, nothing needs to be tried again: the change that
// makes it yes is still to come, as an event.
func (s *Store) Ready(owner types.NamespacedName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o, version := range s.writes[owner] {
		if !o.isSeen(version) {
			return false
		}
		delete(s.writes[owner], o)
	}
	delete(s.writes, owner)
	return true
}

// Forget drops what was written for an owner that is gone.
func (s *Store) Forget(owner types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writes, owner)
}

// isSeen reports whether a cache has seen a version of an object. A cache that does not know what it has seen is judged by the object:
// one that is missing is taken for gone, since the event that would end a wait for it may be over.
func (o object) isSeen(version string) bool {
	order, known := compare(o.cache.LastStoreSyncResourceVersion(), version)
	if known && order >= 0 {
		return true
	}
	item, exists, err := o.cache.GetByKey(o.key)
	if err != nil || !exists {
		return !known
	}
	cached, ok := item.(metav1.Object)
	if !ok {
		return true
	}
	order, ok = compare(cached.GetResourceVersion(), version)
	return !ok || order >= 0
}

// compare returns how two versions of one resource are ordered, and whether they are.
func compare(a, b string) (order int, ok bool) {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return order, err == nil
}

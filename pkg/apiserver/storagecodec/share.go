// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec

import (
	"container/list"
	"reflect"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// minShared is the size in bytes of JSON from which on an object shares with the version before: one with a list of clusters.
	minShared = 16 << 10
	// maxShared is the sum in bytes of JSON of the objects that are remembered for that. They are in a cache anyway, unless they are deleted.
	maxShared = 64 << 20
)

// versions has the last version that a cache got of each large object that changes. Caches keep many versions of an object, and the next one of
// a run over 1,000 clusters differs in a few of them.
type versions struct {
	mu sync.Mutex
	// last has versions, in the order in which they came.
	last *list.List
	byID map[types.UID]*list.Element
	size int
}

type version struct {
	uid  types.UID
	obj  runtime.Object
	size int
}

func newVersions() *versions { return &versions{last: list.New(), byID: map[types.UID]*list.Element{}} }

// share has an object, which only a cache will have, use what is equal in the version before it. Neither may be changed from then on but for its
// metadata, which is left alone: storage sets the resourceVersion of what it has decoded.
func (v *versions) share(obj runtime.Object, size int) {
	o, ok := obj.(metav1.Object)
	if !ok || size < minShared || size > maxShared {
		return
	}
	// Another version of the object may be on its way meanwhile. It must not see this one before it is done.
	if before := v.get(o.GetUID()); before != nil && reflect.TypeOf(before) == reflect.TypeOf(obj) {
		from, to := reflect.ValueOf(before).Elem(), reflect.ValueOf(obj).Elem()
		for i := range to.NumField() {
			if !to.Type().Field(i).Anonymous {
				share(from.Field(i), to.Field(i))
			}
		}
	}
	v.put(version{o.GetUID(), obj, size})
}

func (v *versions) get(uid types.UID) runtime.Object {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known := v.byID[uid]; known != nil {
		return known.Value.(version).obj
	}
	return nil
}

func (v *versions) put(next version) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known := v.byID[next.uid]; known != nil {
		v.remove(known)
	}
	v.byID[next.uid] = v.last.PushBack(next)
	v.size += next.size
	for v.size > maxShared {
		v.remove(v.last.Front())
	}
}

func (v *versions) remove(e *list.Element) {
	removed := v.last.Remove(e).(version)
	delete(v.byID, removed.uid)
	v.size -= removed.size
}

// share has next use the lists, maps and pointers of before that are equal to its own, and reports whether all of it is equal.
func share(before, next reflect.Value) bool {
	switch next.Kind() {
	case reflect.Struct:
		if !allExported(next.Type()) {
			return reflect.DeepEqual(before.Interface(), next.Interface())
		}
		equal := true
		for i := range next.NumField() {
			equal = share(before.Field(i), next.Field(i)) && equal
		}
		return equal
	case reflect.Slice:
		if next.IsNil() || before.IsNil() {
			return next.IsNil() && before.IsNil()
		}
		equal := before.Len() == next.Len()
		for i := range min(before.Len(), next.Len()) {
			equal = share(before.Index(i), next.Index(i)) && equal
		}
		if equal {
			next.Set(before)
		}
		return equal
	case reflect.Pointer:
		if next.IsNil() || before.IsNil() {
			return next.IsNil() && before.IsNil()
		}
		equal := share(before.Elem(), next.Elem())
		if equal {
			next.Set(before)
		}
		return equal
	case reflect.Map:
		equal := reflect.DeepEqual(before.Interface(), next.Interface())
		if equal {
			next.Set(before)
		}
		return equal
	case reflect.Interface:
		return reflect.DeepEqual(before.Interface(), next.Interface())
	default:
		return before.Equal(next)
	}
}

// exported has whether all fields of a type are, by the type.
var exported sync.Map

func allExported(t reflect.Type) bool {
	if known, ok := exported.Load(t); ok {
		return known.(bool)
	}
	all := true
	for i := range t.NumField() {
		all = all && t.Field(i).IsExported()
	}
	exported.Store(t, all)
	return all
}

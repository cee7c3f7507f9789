// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec

import (
	"reflect"
	"sync"
	"unique"

	"k8s.io/apimachinery/pkg/runtime"
)

// maxInterned is the length in bytes of the longest string that is worth to look for.
const maxInterned = 512

// intern has equal strings of all decoded objects be in memory once: names of clusters, and types, reasons and messages of conditions are the same
// in thousands of objects and in all versions of one that caches keep. Nobody can tell by the object. What is not used any more is forgotten.
func intern(obj runtime.Object) {
	v := reflect.ValueOf(obj)
	if walk := walkerOf(v.Type()); walk != nil {
		walk(v)
	}
}

func internString(s string) string {
	if s == "" || len(s) > maxInterned {
		return s
	}
	return unique.Make(s).Value()
}

// walker replaces the strings within an addressable value.
type walker func(v reflect.Value)

// walkers has the walker of each type that has been seen, which is nil for one without strings.
var walkers sync.Map

func walkerOf(t reflect.Type) walker {
	if known, ok := walkers.Load(t); ok {
		return known.(walker)
	}
	// A type that has itself within it finds this one, which waits until the walker is there.
	var ready sync.WaitGroup
	var walk walker
	ready.Add(1)
	if known, ok := walkers.LoadOrStore(t, walker(func(v reflect.Value) {
		if ready.Wait(); walk != nil {
			walk(v)
		}
	})); ok {
		return known.(walker)
	}
	walk = newWalker(t)
	walkers.Store(t, walk)
	ready.Done()
	return walk
}

func newWalker(t reflect.Type) walker {
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) { v.SetString(internString(v.String())) }
	case reflect.Pointer:
		return through(t.Elem(), func(v reflect.Value, elem walker) {
			if !v.IsNil() {
				elem(v.Elem())
			}
		})
	case reflect.Slice:
		return through(t.Elem(), func(v reflect.Value, elem walker) {
			for i := range v.Len() {
				elem(v.Index(i))
			}
		})
	case reflect.Map:
		if t == reflect.TypeFor[map[string]string]() {
			return func(v reflect.Value) {
				m := v.Interface().(map[string]string)
				for key, value := range m {
					// An assignment replaces the key, too.
					m[internString(key)] = internString(value)
				}
			}
		}
	case reflect.Struct:
		type field struct {
			index int
			walk  walker
		}
		var fields []field
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				if walk := walkerOf(f.Type); walk != nil {
					fields = append(fields, field{i, walk})
				}
			}
		}
		if len(fields) == 0 {
			return nil
		}
		return func(v reflect.Value) {
			for _, f := range fields {
				f.walk(v.Field(f.index))
			}
		}
	}
	return nil
}

// through returns a walker of what has elements of a type.
func through(elem reflect.Type, each func(v reflect.Value, elem walker)) walker {
	walk := walkerOf(elem)
	if walk == nil {
		return nil
	}
	return func(v reflect.Value) { each(v, walk) }
}

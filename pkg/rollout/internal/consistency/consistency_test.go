// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package consistency

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

var owner = types.NamespacedName{Namespace: "team", Name: "app"}

func configMap(name, version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, ResourceVersion: version}}
}

// fakeCache has some objects by name, and last as the newest version that it has seen.
type fakeCache struct {
	last    string
	objects map[string]any
}

func (c *fakeCache) LastStoreSyncResourceVersion() string { return c.last }

func (c *fakeCache) GetByKey(key string) (any, bool, error) {
	o, exists := c.objects[key]
	return o, exists, nil
}

func TestACacheOlderThanTheLastWriteIsNotReady(t *testing.T) {
	tests := map[string]struct {
		written []string
		last    string
		cached  string
		want    bool
	}{
		"nothing was written":                                     {last: "3", cached: "3", want: true},
		"the cache has seen less":                                 {written: []string{"7"}, last: "6", cached: "3"},
		"the cache has seen the write":                            {written: []string{"7"}, last: "7", cached: "7", want: true},
		"the cache has seen more, and the object is gone":         {written: []string{"7"}, last: "10", want: true},
		"what was created is not there yet":                       {written: []string{"7"}, last: "6"},
		"the object is newer than what the cache claims":          {written: []string{"7"}, last: "6", cached: "8", want: true},
		"the cache does not know, and the object is old":          {written: []string{"7"}, cached: "3"},
		"the cache does not know, and the object is new":          {written: []string{"7"}, cached: "7", want: true},
		"the cache does not know, and the object is gone":         {written: []string{"7"}, want: true},
		"of two writes the newer one counts":                      {written: []string{"9", "7"}, last: "8", cached: "8"},
		"versions are numbers":                                    {written: []string{"10"}, last: "9", cached: "9"},
		"a version that is no number makes nothing wait":          {written: []string{"x"}, last: "3", cached: "3", want: true},
		"a write without a version makes nothing wait":            {written: []string{""}, last: "3", want: true},
		"a version that is no number hides no write":              {written: []string{"7", "x"}, last: "6", cached: "3"},
		"an object whose version is no number makes nothing wait": {written: []string{"7"}, last: "x", cached: "x", want: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cached := &fakeCache{last: tc.last, objects: map[string]any{}}
			if tc.cached != "" {
				cached.objects["team/app"] = configMap("app", tc.cached)
			}
			var s Store
			for _, version := range tc.written {
				s.Wrote(owner, cached, configMap("app", version))
			}
			if got := s.Ready(owner); got != tc.want {
				t.Errorf("ready: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestAnOwnerWaitsForAllThatWasWrittenForItAlone(t *testing.T) {
	behind, upToDate := &fakeCache{last: "6"}, &fakeCache{last: "9"}
	other := types.NamespacedName{Name: "app"}
	var s Store
	s.Wrote(owner, upToDate, configMap("a", "7"))
	s.Wrote(owner, behind, configMap("b", "7"))
	s.Wrote(other, upToDate, configMap("c", "8"))
	if s.Ready(owner) {
		t.Error("the owner does not wait for what one cache lacks")
	}
	if !s.Ready(other) {
		t.Error("another owner waits as well")
	}
	behind.last = "7"
	if !s.Ready(owner) {
		t.Error("the owner waits although the caches have all")
	}
	if len(s.writes) != 0 {
		t.Errorf("%d owners are remembered although the caches have all", len(s.writes))
	}
}

func TestWhatIsForgottenIsNotWaitedFor(t *testing.T) {
	behind := &fakeCache{last: "6"}
	var s Store
	s.Wrote(owner, behind, configMap("a", "7"))
	s.Forget(owner)
	if !s.Ready(owner) {
		t.Error("what is forgotten is waited for")
	}
}

// An informer's store must know what it has seen: where it does not, a missing object is taken for gone.
func TestAStoreOfClientGoKnowsWhatItHasSeen(t *testing.T) {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	var s Store
	if err := store.Add(configMap("a", "6")); err != nil {
		t.Fatal(err)
	}
	s.Wrote(owner, store, configMap("b", "7"))
	if s.Ready(owner) {
		t.Error("what was created is taken for gone before the cache has it")
	}
	if err := store.Add(configMap("b", "7")); err != nil {
		t.Fatal(err)
	}
	if !s.Ready(owner) {
		t.Error("what the cache has is waited for")
	}
}

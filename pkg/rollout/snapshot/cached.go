// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// readSingly is up to how many changed objects are read one by one; more are read with one list.
const readSingly = 5

// cached holds the items of one watched query, and reads from the hub what has changed since it last did.
type cached struct {
	*watched
	hub dynamic.Interface

	mu    sync.Mutex
	known map[string]version
}

// version is an object as it was read. The item is nil where it is never selected.
type version struct {
	resourceVersion string
	item            *item
}

// items are those of the objects that the watch has seen.
func (c *cached) items(ctx context.Context) ([]*item, error) {
	if err := c.unreadable(); err != nil {
		return nil, &incomplete{missing: []string{c.query.String() + ": " + err.Error()}}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	present := map[string]metav1.Object{}
	var changed []string
	for _, obj := range c.informer.GetStore().List() {
		object, ok := obj.(metav1.Object)
		// Not every server behind the hub knows field selectors.
		if !ok || placeable.Excluded(c.GroupKind(), object) || c.name != "" && c.name != object.GetName() {
			continue
		}
		present[object.GetName()] = object
		known, found := c.known[object.GetName()]
		if !found || known.resourceVersion == "" || known.resourceVersion != object.GetResourceVersion() {
			changed = append(changed, object.GetName())
		}
	}
	if err := c.readAgain(ctx, changed); err != nil {
		return nil, err
	}
	var items []*item
	for name, known := range c.known {
		switch {
		case present[name] == nil:
			delete(c.known, name)
		case known.item != nil:
			items = append(items, known.item)
		}
	}
	return items, nil
}

func (c *cached) readAgain(ctx context.Context, names []string) error {
	if len(names) > readSingly {
		objects, err := c.read(ctx, c.hub)
		if err != nil {
			return err
		}
		c.known = make(map[string]version, len(objects))
		for _, object := range objects {
			if err := c.remember(object); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range names {
		one := c.query
		one.name = name
		delete(c.known, name)
		objects, err := one.read(ctx, c.hub)
		if err != nil {
			return err
		}
		for _, object := range objects {
			if err := c.remember(object); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cached) remember(object *unstructured.Unstructured) error {
	name, resourceVersion := object.GetName(), object.GetResourceVersion()
	i, err := newItem(object)
	if err != nil {
		return err
	}
	c.known[name] = version{resourceVersion, i}
	return nil
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/clock"
)

// fresh is how long the kinds of a group version are taken for what the hub has.
const fresh = 30 * time.Second

// kind is a kind that the hub serves. What a member calls it does not count.
type kind struct {
	schema.GroupVersionResource
	namespaced bool
	// status reports whether it has the subresource.
	status bool
}

// kinds asks the hub for its kinds, and remembers those of group versions that were asked for.
type kinds struct {
	hub   discovery.ServerResourcesInterfaceWithContext
	clock clock.PassiveClock

	mu    sync.Mutex
	known map[schema.GroupVersion]answer
}

type answer struct {
	kinds map[string]kind
	until time.Time
}

// of returns a kind, and false for one that the hub does not serve.
func (k *kinds) of(ctx context.Context, gvk schema.GroupVersionKind) (kind, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	for gv, a := range k.known {
		if !a.until.After(now) {
			delete(k.known, gv)
		}
	}
	gv := gvk.GroupVersion()
	a, known := k.known[gv]
	if !known {
		list, err := k.hub.ServerResourcesForGroupVersionWithContext(ctx, gv.String())
		if err != nil && !apierrors.IsNotFound(err) {
			return kind{}, false, fmt.Errorf("asking the hub for the kinds of %s: %w", gv, err)
		}
		a = answer{kindsIn(gv, list), now.Add(fresh)}
		k.known[gv] = a
	}
	found, served := a.kinds[gvk.Kind]
	return found, served, nil
}

func kindsIn(gv schema.GroupVersion, list *metav1.APIResourceList) map[string]kind {
	found := map[string]kind{}
	if list == nil {
		return found
	}
	statuses := map[string]bool{}
	for i := range list.APIResources {
		if plural, is := strings.CutSuffix(list.APIResources[i].Name, "/status"); is {
			statuses[plural] = true
		}
	}
	for i := range list.APIResources {
		if r := &list.APIResources[i]; !strings.Contains(r.Name, "/") {
			found[r.Kind] = kind{gv.WithResource(r.Name), r.Namespaced, statuses[r.Name]}
		}
	}
	return found
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
)

const (
	// kindsFresh is how long the kinds of the hub are taken for what it has. Permissions are remembered for as long.
	kindsFresh = 10 * time.Second
	// kindsAgain is how soon after it was asked the hub is asked again for a kind that it did not have, or after it did not answer.
	kindsAgain = time.Second
	// kindsTimeout is how long the hub may take to answer.
	kindsTimeout = 10 * time.Second
)

// Kind is a kind that the hub serves.
type Kind struct {
	schema.GroupVersionKind
	// Resource is its plural, such as deployments.
	Resource string
	// Namespaced reports whether its objects are in namespaces.
	Namespaced bool
	// InNamespaces reports whether a namespace that is placed with its resources brings objects of the kind along, in this version.
	InNamespaces bool
}

// Kinds are the kinds of the hub at one time.
type Kinds struct {
	// Served has each version of each kind.
	Served []Kind
	// Failed are the group versions whose kinds are unknown, with the reason.
	Failed map[schema.GroupVersion]string
}

// ReadKinds asks the hub for its kinds. It fails where the hub tells none.
type ReadKinds func(context.Context) (Kinds, error)

// kindCache remembers the kinds of the hub for a while. One that is missing is looked for again at once, but for no more than one
// request to the hub in kindsAgain, whatever is asked.
type kindCache struct {
	read  ReadKinds
	clock clock.PassiveClock

	mu    sync.Mutex
	asked time.Time
	known Kinds
	err   error
}

// of returns what serves a group and kind, whatever the version: more than one only where the kind has several plurals. None without an
// error is a kind that the hub does not have.
func (c *kindCache) of(ctx context.Context, gk schema.GroupKind) ([]Kind, error) {
	for _, fresh := range []time.Duration{kindsFresh, kindsAgain} {
		known, err := c.get(ctx, fresh)
		if err != nil {
			return nil, err
		}
		if found := known.of(gk); len(found) > 0 {
			return found, nil
		}
		if err := known.unknown(func(group string) bool { return group == gk.Group }); err != nil && fresh == kindsAgain {
			return nil, err
		}
	}
	return nil, nil
}

// inNamespaces returns the kinds that a namespace brings along.
func (c *kindCache) inNamespaces(ctx context.Context) ([]Kind, error) {
	known, err := c.get(ctx, kindsAgain)
	if err != nil {
		return nil, err
	}
	if err := known.unknown(func(string) bool { return true }); err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(known.Served), func(k Kind) bool { return !k.InNamespaces })
	slices.SortFunc(found, func(a, b Kind) int { return strings.Compare(a.resource(), b.resource()) })
	return found, nil
}

// get returns kinds that are no older than told. An answer that failed is no kinds at all, and is given for kindsAgain.
func (c *kindCache) get(ctx context.Context, fresh time.Duration) (Kinds, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		fresh = kindsAgain
	}
	if c.asked.IsZero() || c.clock.Since(c.asked) >= fresh {
		// The answer is for others too: it must not fail because the first who needs it has hung up.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), kindsTimeout)
		defer cancel()
		c.known, c.err = c.read(ctx)
		c.asked = c.clock.Now()
	}
	if c.err != nil {
		return Kinds{}, unavailable(c.err.Error())
	}
	return c.known, nil
}

func (k Kinds) of(gk schema.GroupKind) []Kind {
	var found []Kind
	for _, served := range k.Served {
		if served.GroupKind() == gk && !slices.ContainsFunc(found, func(f Kind) bool { return f.Resource == served.Resource }) {
			found = append(found, served)
		}
	}
	return found
}

// unknown returns an error if kinds of the groups that are asked for cannot be told.
func (k Kinds) unknown(asked func(group string) bool) error {
	var failed []string
	for _, gv := range slices.SortedFunc(maps.Keys(k.Failed), func(a, b schema.GroupVersion) int { return strings.Compare(a.String(), b.String()) }) {
		if asked(gv.Group) {
			failed = append(failed, fmt.Sprintf("%s: %s", gv, k.Failed[gv]))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return unavailable("the kinds of " + strings.Join(failed, "; "))
}

// unavailable is the answer while it cannot be told which permissions are needed.
func unavailable(why string) error {
	return apierrors.NewServiceUnavailable("which permissions this takes cannot be told before the hub tells its kinds, try again later: " + why)
}

func (k Kind) resource() string {
	return schema.GroupResource{Group: k.Group, Resource: k.Resource}.String()
}

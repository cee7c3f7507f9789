// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hubkinds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/clock"
)

const (
	// Fresh is how long the kinds of the hub are taken for what it has. Permissions are remembered for as long.
	Fresh = 10 * time.Second
	// Again is how soon after it was asked the hub is asked again for a kind that it did not have, or after it did not answer.
	Again = time.Second
	// timeout is how long the hub may take to answer.
	timeout = 10 * time.Second
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

// GroupResource is what messages call the kind.
func (k Kind) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.Resource}
}

// Kinds are the kinds of the hub at one time.
type Kinds struct {
	// Served has each version of each kind.
	Served []Kind
	// Failed are the group versions whose kinds are unknown, with the reason.
	Failed map[schema.GroupVersion]string
}

// Read asks the hub for its kinds. It fails where the hub tells none.
type Read func(context.Context) (Kinds, error)

// Cache remembers the kinds of the hub for a while. One that is missing is looked for again at once, but for no more than one request to
// the hub in the time Again, whatever is asked.
type Cache struct {
	read  Read
	clock clock.PassiveClock

	// turn has room for the one who reads or writes what follows.
	turn  chan struct{}
	asked time.Time
	known Kinds
	err   error
}

// New makes a cache that has asked nothing yet.
func New(read Read, clock clock.PassiveClock) *Cache {
	return &Cache{read: read, clock: clock, turn: make(chan struct{}, 1)}
}

// Wants is a plugin that asks which kinds the hub has.
type Wants interface {
	SetHubKinds(*Cache)
	admission.InitializationValidator
}

// NewInitializer makes an initializer that hands out the one cache.
func NewInitializer(cache *Cache) admission.PluginInitializer { return initializer{cache} }

type initializer struct{ cache *Cache }

// Initialize implements admission.PluginInitializer.
func (i initializer) Initialize(plugin admission.Interface) {
	if wants, ok := plugin.(Wants); ok {
		wants.SetHubKinds(i.cache)
	}
}

// Of returns every version that the hub serves of a group and kind. None without an error is a kind that the hub does not have. The error
// is that the hub does not tell, or that the context ended before it did.
func (c *Cache) Of(ctx context.Context, gk schema.GroupKind) ([]Kind, error) {
	for _, fresh := range []time.Duration{Fresh, Again} {
		known, err := c.get(ctx, fresh)
		if err != nil {
			return nil, err
		}
		if found := known.of(gk); len(found) > 0 {
			return found, nil
		}
		if err := known.unknown(func(group string) bool { return group == gk.Group }); err != nil && fresh == Again {
			return nil, err
		}
	}
	return nil, nil
}

// Latest is Of as the hub tells it now, or has told it in the time Again: a definition may have been recreated with another scope.
func (c *Cache) Latest(ctx context.Context, gk schema.GroupKind) ([]Kind, error) {
	known, err := c.get(ctx, Again)
	if err != nil {
		return nil, err
	}
	return known.of(gk), nil
}

// InNamespaces returns the kinds that a namespace brings along. It fails as Of does, and where not all kinds are known.
func (c *Cache) InNamespaces(ctx context.Context) ([]Kind, error) {
	known, err := c.get(ctx, Again)
	if err != nil {
		return nil, err
	}
	if err := known.unknown(func(string) bool { return true }); err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(known.Served), func(k Kind) bool { return !k.InNamespaces })
	slices.SortFunc(found, func(a, b Kind) int { return strings.Compare(a.GroupResource().String(), b.GroupResource().String()) })
	return found, nil
}

// answer is what a request to the hub came to.
type answer struct {
	kinds Kinds
	err   error
}

// get returns kinds that are no older than told. An answer that failed is no kinds at all, and is given for the time Again.
func (c *Cache) get(ctx context.Context, fresh time.Duration) (Kinds, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return Kinds{}, ctx.Err()
	}
	if c.err != nil {
		fresh = Again
	}
	if !c.asked.IsZero() && c.clock.Since(c.asked) < fresh {
		defer func() { <-c.turn }()
		return c.known, c.err
	}
	// The answer is for others too: it must not be lost because the first who needs it has hung up.
	answered := make(chan answer, 1)
	go func() {
		defer func() { <-c.turn }()
		c.known, c.err = c.ask(context.WithoutCancel(ctx))
		c.asked = c.clock.Now()
		answered <- answer{c.known, c.err}
	}()
	select {
	case a := <-answered:
		return a.kinds, a.err
	case <-ctx.Done():
		return Kinds{}, ctx.Err()
	}
}

// ask reads the kinds. Nothing else recovers what panics beside the request's own goroutine.
func (c *Cache) ask(ctx context.Context) (found Kinds, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			found, err = Kinds{}, fmt.Errorf("asking the hub for its kinds: panic: %v", panicked)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.read(ctx)
}

func (k Kinds) of(gk schema.GroupKind) []Kind {
	var found []Kind
	for _, served := range k.Served {
		if served.GroupKind() == gk {
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
	return errors.New("the kinds of " + strings.Join(failed, "; "))
}

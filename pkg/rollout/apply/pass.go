// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Manifests of one wave that are applied at once.
const parallelism = 16

// pass is one look at a Work: it brings the member up to it as far as that is possible now.
type pass struct {
	*Applier
	work     *v1beta1.Work
	record   *record
	strategy strategy

	// ready says that the AppliedWork stands for this generation and lists all its manifests.
	ready bool
	// opening makes the first write, and only that, ask whether writing is allowed.
	opening sync.Once
	opened  error
	// closed is why nothing may be written, where that was asked before the first manifest.
	closed error
	// troubles are what could not be done about the AppliedWork, and keeps no manifest from being applied.
	troubles []error
	// live is the Work as read then.
	live *v1beta1.Work
	// reading makes the first who asks for the placement's Works, and only that, read them.
	reading  sync.Once
	allParts *parts
	unread   error
	// asking has namespaces of the member asked once in a pass. answers are why they do not take what the Work places.
	asking  sync.Mutex
	answers map[string]error
	// others are the Works of other placements, nil before somebody asks for them.
	others *heirs
	// pending reports whether the outcome depends on what becomes of the other Works.
	pending atomic.Bool
}

// run fills the record's results. err says that nothing could be found out, again that some manifests are to be tried again; their
// results say why.
func (p *pass) run(ctx context.Context) (again, err error) {
	defer func() {
		if !p.pending.Load() && err == nil {
			p.waitsForParts(p.work.Name, false)
		}
	}()
	p.strategy = strategyOf(p.work)
	p.resolve(p.record.manifests, false)
	p.watch()
	if err := p.readOwner(ctx); err != nil {
		return nil, err
	}
	switch err := p.secure(ctx); {
	case errors.Is(err, errStale) || isUnreachable(err):
		return nil, err
	case err != nil:
		p.troubles = append(p.troubles, err)
	}
	if p.strategy.writes() && !p.ready {
		p.closed = p.open(ctx)
	}

	for _, wave := range inWaves(p.record.manifests) {
		if wave[0].wave() == lastWave {
			// Earlier waves may have defined kinds that were unknown.
			p.resolve(wave, true)
		}
		errs := reconcile.Each(ctx, parallelism, len(wave), func(i int) error {
			m := wave[i]
			if !p.keep(m) {
				p.record.results[m.ordinal] = p.bring(ctx, m)
			}
			return nil
		})
		for i, err := range errs {
			if err != nil {
				p.record.results[wave[i].ordinal] = wave[i].conceal(panicked(err, p.strategy.writes()))
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	p.watch()

	failures := p.troubles
	for i, r := range p.record.results {
		switch {
		case errors.Is(r.again, errStale) || errors.Is(r.again, errHeld) || isUnreachable(r.again):
			// None of them says anything about the manifest.
			p.record.results[i] = nil
			err = r.again
		case r.again != nil:
			failures = append(failures, r.again)
		}
	}
	if err != nil {
		return nil, err
	}
	if p.strategy.writes() && p.opened == nil {
		if err := p.recordCompleted(ctx); err != nil {
			failures = append(failures, err)
		}
		if err := p.drop(ctx); errors.Is(err, errStale) {
			return nil, err
		} else if err != nil {
			failures = append(failures, err)
		}
	}
	if p.live != nil {
		p.work = p.live
	}
	return errors.Join(failures...), nil
}

func (p *pass) readOwner(ctx context.Context) error {
	old := p.record.owner
	owner := old
	if version, synced := p.watches.version(appliedWorks, keyOf(p.work.Name)); old == nil || !synced || version != old.ResourceVersion {
		var err error
		if owner, err = p.owner(ctx, p.work.Name); err != nil {
			return err
		}
	}
	if owner == nil || old == nil || owner.UID != old.UID {
		// The objects must be given to the new owner.
		clear(p.record.results)
	}
	p.record.owner = owner
	p.ready = owner != nil && owner.DeletionTimestamp == nil && p.claims(owner, p.work) && remembers(owner, p.record.manifests) &&
		!hasLost(p.work)
	return nil
}

// open asks once in a pass whether the member may be written to, and before each write whether the Work is still the one that it was: a pass over
// many objects takes minutes.
func (p *pass) open(ctx context.Context) error {
	// A panic must not count as a yes.
	p.opening.Do(func() { p.opened = reconcile.Safely(ctx, func() error { return p.tryOpen(ctx) }) })
	if p.opened != nil {
		return p.opened
	}
	switch work, err := p.cached(p.work.Name); {
	case err != nil:
		return err
	case work == nil || work.UID != p.work.UID || work.Generation > p.work.Generation || isGoing(work) && !isGoing(p.work):
		return errStale
	}
	return nil
}

func (p *pass) tryOpen(ctx context.Context) error {
	live, err := p.current(ctx, p.work)
	if err != nil {
		return err
	}
	p.live = live
	if p.ready {
		return nil
	}
	if p.record.owner, err = p.claim(ctx, live, p.record.owner); err != nil {
		p.record.owner = nil
		return err
	}
	if err := p.remember(ctx); err != nil {
		return err
	}
	if !hasLost(live) {
		p.restored(live.Name)
		return nil
	}
	if p.live, p.record.owner, err = p.restore(ctx, live, p.record.owner); err != nil {
		p.troubles = append(p.troubles, err)
	}
	return nil
}

// resolve finds the resources of manifests whose kind the member has not known so far. Discovery is asked afresh at most once.
func (p *pass) resolve(manifests []*manifest, refresh bool) {
	for _, m := range manifests {
		if m.refused == nil && !m.isResolved() {
			m.unknown = p.member.resolve(m, refresh)
			refresh = refresh && !meta.IsNoMatchError(m.unknown)
		}
	}
}

// keep reports whether the result of an earlier pass still holds: the object is as it was left.
func (p *pass) keep(m *manifest) bool {
	r := p.record.results[m.ordinal]
	if !r.settled() {
		return false
	}
	version, synced := p.watches.version(m.resource, m.key)
	return synced && version == r.version
}

// watch hears of everything that may change the outcome.
func (p *pass) watch() {
	wanted := wish{}
	wanted.add(appliedWorks, keyOf(p.work.Name))
	for i := range p.record.remnants {
		p.record.remnants[i].addTo(wanted)
	}
	for name := range p.record.awaited {
		wanted.add(appliedWorks, keyOf(name))
	}
	if isKindUnknown(p.closed) {
		wanted.add(definitions, keyOf(storeid.MemberCRD))
	}
	for _, m := range p.record.manifests {
		switch {
		case m.refused != nil:
		case m.isResolved():
			wanted.add(m.resource, m.key)
			if m.key.Namespace != "" {
				wanted.add(namespaces, keyOf(m.key.Namespace))
			}
		case m.unknown != nil:
			wanted.add(definitions, anyObject)
		}
	}
	p.watches.set(p.work.Name, wanted)
}

// bring applies one manifest, or compares it where only differences are reported.
func (p *pass) bring(ctx context.Context, m *manifest) *result {
	bring := p.apply
	switch {
	case !p.strategy.writes():
		bring = p.report
	case p.isHub:
		bring = p.onHub
	}
	before := p.record.results[m.ordinal]
	r := m.conceal(bring(ctx, m))
	if v := r.applied; v != nil && !v.ok && (before == nil || before.applied == nil || *before.applied != *v) {
		klog.FromContext(ctx).V(2).Info("Manifest not applied", "object", m.key, "kind", m.object.GetKind(), "reason", v.reason,
			"message", v.message)
	}
	return r
}

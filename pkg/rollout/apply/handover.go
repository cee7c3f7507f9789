// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// errHeld ends a pass in which an object is still held by another Work of the placement: the change of that Work is on its way.
var errHeld = errors.New("another Work of the placement still holds an object of this one")

// parts are the Works of the placement as read once in this pass.
func (p *pass) parts(ctx context.Context) (*parts, error) {
	p.reading.Do(func() {
		// From before the look on, so that no change falls between the two.
		p.waitsForParts(p.work.Name, true)
		p.allParts, p.unread = p.readParts(ctx, p.work)
	})
	return p.allParts, p.unread
}

// handed finds which of the AppliedWorks that own an object belong to this placement and let go of the object, and takes them out of
// the owners. An object that another Work of the placement still holds has a result: it waits.
func (p *pass) handed(ctx context.Context, m *manifest, owners *owners) ([]string, *result) {
	placement := placementOf(p.work)
	var handed []string
	for _, name := range owners.placements {
		if _, isPart := partOfPlacement(placement, name); !isPart {
			continue
		}
		owner, err := p.owner(ctx, name)
		if err != nil {
			return nil, failed(err)
		}
		if owner != nil && owner.Spec.WorkNamespace != p.work.Namespace {
			continue
		}
		all, err := p.parts(ctx)
		if err != nil {
			return nil, failed(err)
		}
		if other := all.works[name]; other != nil && other.holds.Has(identityOf(m.identifier())) {
			p.pending.Store(true)
			if !all.decide(p.work) {
				return nil, &result{again: errHeld}
			}
			r := blocked(reasonApplyFailed, failedToApply(fmt.Errorf("the object is in Work %s of the same placement as well", name)))
			r.held = true
			return nil, r
		}
		handed = append(handed, name)
	}
	owners.placements = slices.DeleteFunc(owners.placements, func(name string) bool { return slices.Contains(handed, name) })
	return handed, nil
}

// receive makes an object this Work's that other Works of the placement hand over. It keeps its uid.
func (p *pass) receive(ctx context.Context, m *manifest, live *unstructured.Unstructured, from []string) (*unstructured.Unstructured, error) {
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	received, err := reown(ctx, p.member.client(m), live, from, p.record.owner)
	if err == nil {
		klog.FromContext(ctx).V(2).Info("Object handed over", "object", m.key, "kind", m.object.GetKind(), "from", from, "to", p.work.Name)
	}
	return received, err
}

// handOver gives what a Work that is going owns, and another Work of the placement holds, to that Work. It reports whether all of it
// is handed over: the other Work must have listed an object in its AppliedWork before it gets it, or nobody would know of the object
// if that Work were to drop it at once.
func (a *Applier) handOver(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, all *parts) (bool, error) {
	done := true
	wanted := wish{}
	wanted.add(appliedWorks, keyOf(work.Name))
	for _, r := range listedFor(work, owner) {
		holder := all.holder(identityOf(r.WorkResourceIdentifier), work.Name)
		if holder == nil || r.Resource == "" {
			continue
		}
		// The wish comes before the look, so that no change falls between them.
		wanted.add(appliedWorks, keyOf(holder.Name))
		a.watches.set(work.Name, wanted)
		handed, err := a.handOverOne(ctx, work, r, holder)
		if err != nil {
			return false, fmt.Errorf("handing %s %s/%s over to Work %s: %w", r.Kind, r.Namespace, r.Name, holder.Name, err)
		}
		done = done && handed
	}
	return done, nil
}

func (a *Applier) handOverOne(ctx context.Context, work *v1beta1.Work, r v1beta1.AppliedResourceMeta, holder *v1beta1.Work) (bool, error) {
	client := a.member.resource(resourceOf(r), r.Namespace)
	live, err := get(ctx, client, r.Name)
	if err != nil || live == nil || !ownersOf(live, work.Name).ours {
		return true, err
	}
	heir, err := a.owner(ctx, holder.Name)
	switch {
	case err != nil:
		return false, err
	case heir != nil && heir.DeletionTimestamp == nil && heir.Spec.WorkNamespace == work.Namespace && lists(heir, identityOf(r.WorkResourceIdentifier)):
	case !strategyOf(holder).writes():
		// It only reports differences, and never owns anything: the object becomes nobody's.
		heir = nil
	default:
		return false, nil
	}
	_, err = reown(ctx, client, live, []string{work.Name}, heir)
	if err == nil {
		klog.FromContext(ctx).V(2).Info("Object handed over", "object", klog.KRef(r.Namespace, r.Name), "kind", r.Kind, "from", work.Name, "to", holder.Name)
	}
	return true, err
}

// listedFor are all objects that may have been applied for a Work.
func listedFor(work *v1beta1.Work, owner *v1beta1.AppliedWork) []v1beta1.AppliedResourceMeta {
	var all []v1beta1.AppliedResourceMeta
	seen := sets.New[identity]()
	add := func(r v1beta1.AppliedResourceMeta) {
		if id := identityOf(r.WorkResourceIdentifier); !seen.Has(id) {
			seen.Insert(id)
			all = append(all, r)
		}
	}
	for _, r := range owner.Status.AppliedResources {
		add(r)
	}
	for _, c := range work.Status.ManifestConditions {
		add(v1beta1.AppliedResourceMeta{WorkResourceIdentifier: c.Identifier})
	}
	return all
}

func lists(owner *v1beta1.AppliedWork, id identity) bool {
	return slices.ContainsFunc(owner.Status.AppliedResources, func(r v1beta1.AppliedResourceMeta) bool {
		return identityOf(r.WorkResourceIdentifier) == id
	})
}

func resourceOf(r v1beta1.AppliedResourceMeta) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Resource}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
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
	var handed []string
	for _, name := range owners.placements {
		if _, named := partOfPlacement(placementOf(p.work), name); !named {
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
		other := all.works[name]
		if other == nil {
			isPart, err := p.isPart(ctx, name)
			if err != nil {
				return nil, failed(err)
			}
			if !isPart {
				continue
			}
		}
		if other != nil && other.holds.Has(identityOf(m.identifier())) {
			p.pending.Store(true)
			if !all.decide(p.work) {
				return nil, &result{again: errHeld}
			}
			r := blocked(reasonApplyFailed, failedToApply(fmt.Errorf("the object is in Work %s of the same placement as well: %s", name, onlyOnce(p.work, other.work))))
			r.held = true
			return nil, r
		}
		handed = append(handed, name)
	}
	owners.placements = slices.DeleteFunc(owners.placements, func(name string) bool { return slices.Contains(handed, name) })
	return handed, nil
}

// onlyOnce is how an object that two Works of a placement have comes to be in one of them. Either is of an envelope, since a selection has
// each object once.
func onlyOnce(works ...*v1beta1.Work) string {
	var envelopes []string
	for _, w := range works {
		kind := w.Labels[wellknown.EnvelopeTypeLabel]
		name := cmp.Or(w.Labels[wellknown.EnvelopeNameLabel], w.Annotations[wellknown.EnvelopeNameAnnotation])
		if kind == "" || name == "" {
			continue
		}
		if namespace := w.Labels[wellknown.EnvelopeNamespaceLabel]; namespace != "" {
			name = namespace + "/" + name
		}
		envelopes = append(envelopes, kind+" "+name)
	}
	switch len(envelopes) {
	case 0:
		return "have the placement select it once"
	case 1:
		return fmt.Sprintf("take it out of %s, or do not select the object itself", envelopes[0])
	}
	return fmt.Sprintf("take it out of %s or of %s", envelopes[0], envelopes[1])
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

// handOver gives what a Work that is going owns, and another Work of the placement holds, to that Work. It reports whether all of it is
// handed over.
func (a *Applier) handOver(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, all *parts) (bool, error) {
	waiting, err := a.handOverTo(ctx, work, owner, func(_ context.Context, id identity) (*v1beta1.Work, error) { return all.holder(id, work.Name), nil })
	return len(waiting) == 0, err
}

// handOverTo gives what a Work that is going owns to the Works that hold it. It returns what waits for one that is not ready: the other
// Work must have listed an object in its AppliedWork before it gets it, or nobody would know of the object if that Work were to drop it at
// once.
func (a *Applier) handOverTo(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork,
	holderOf func(context.Context, identity) (*v1beta1.Work, error)) (waiting []v1beta1.AppliedResourceMeta, err error) {
	wanted := wish{}
	wanted.add(appliedWorks, keyOf(work.Name))
	for _, r := range listedFor(work, owner) {
		holder, err := holderOf(ctx, identityOf(r.WorkResourceIdentifier))
		switch {
		case errors.Is(err, errUndecided):
			waiting = append(waiting, r)
			continue
		case err != nil:
			return nil, err
		case holder == nil:
			continue
		}
		// The wish comes before the look, so that no change falls between them.
		wanted.add(appliedWorks, keyOf(holder.Name))
		a.watches.set(work.Name, wanted)
		handed, err := a.handOverOne(ctx, work, r, holder)
		if err != nil {
			return nil, fmt.Errorf("handing %s %s/%s over to Work %s: %w", r.Kind, r.Namespace, r.Name, holder.Name, err)
		}
		if !handed {
			waiting = append(waiting, r)
		}
	}
	return waiting, nil
}

func (a *Applier) handOverOne(ctx context.Context, work *v1beta1.Work, r v1beta1.AppliedResourceMeta, holder *v1beta1.Work) (bool, error) {
	client, live, err := a.member.lookUp(ctx, r)
	if err != nil || live == nil || !ownersOf(live, work.Name).ours {
		return true, err
	}
	heir, err := a.owner(ctx, holder.Name)
	switch {
	case err != nil:
		return false, err
	case !strategyOf(holder).writes():
		// It only reports differences, and never owns anything: the object becomes nobody's.
		heir = nil
	case heir == nil || heir.DeletionTimestamp != nil || heir.Spec.WorkNamespace != work.Namespace,
		!lists(heir, identityOf(r.WorkResourceIdentifier)):
		return false, nil
	}
	_, err = reown(ctx, client, live, []string{work.Name}, heir)
	if err == nil {
		klog.FromContext(ctx).V(2).Info("Object handed over", "object", klog.KRef(r.Namespace, r.Name), "kind", r.Kind, "from", work.Name, "to", holder.Name)
	}
	return true, err
}

// bequeath gives what a Work that is going has kept since an adoption to the first Work of its placement, which keeps it on and names
// it. It reports whether all of it is handed over.
func (a *Applier) bequeath(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, first *v1beta1.Work) (bool, error) {
	wanted := wish{}
	wanted.add(appliedWorks, keyOf(work.Name))
	wanted.add(appliedWorks, keyOf(first.Name))
	a.watches.set(work.Name, wanted)
	heir, err := a.owner(ctx, first.Name)
	switch {
	case err != nil:
		return false, err
	case heir == nil && !strategyOf(first).writes():
		// It only reports differences and may never have an AppliedWork: the objects become nobody's.
		return true, a.disownAll(ctx, work.Name, listedFor(work, owner))
	case heir == nil || heir.DeletionTimestamp != nil || heir.Spec.WorkNamespace != work.Namespace,
		strategyOf(first).writes() && !a.claims(heir, first):
		return false, nil
	}
	return true, a.inherit(ctx, heir, owner.Name, listedFor(work, owner))
}

// inherit has an AppliedWork list and own what another one owns of some objects, and keep it until somebody lets go of it.
func (a *Applier) inherit(ctx context.Context, heir *v1beta1.AppliedWork, from string, resources []v1beta1.AppliedResourceMeta) error {
	client := a.member.resource(appliedWorks, "")
	write := func(update func(context.Context, *unstructured.Unstructured, metav1.UpdateOptions, ...string) (*unstructured.Unstructured, error)) error {
		object, err := fromAppliedWork(heir)
		if err == nil {
			object, err = update(ctx, object, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
		}
		if err == nil {
			heir, err = toAppliedWork(object)
		}
		return err
	}
	heir = heir.DeepCopy()
	inherits := slices.ContainsFunc(resources, func(r v1beta1.AppliedResourceMeta) bool { return !lists(heir, identityOf(r.WorkResourceIdentifier)) })
	if inherits || !isAdopted(heir) {
		// The time is that of what is kept last: who has let go of something before has not seen it.
		metav1.SetMetaDataAnnotation(&heir.ObjectMeta, wellknown.AdoptedAnnotation, a.options.Clock.Now().UTC().Format(time.RFC3339))
		if err := write(client.Update); err != nil {
			return ofMember(fmt.Errorf("having AppliedWork %s keep what %s has placed: %w", heir.Name, from, err))
		}
	}
	// They are listed before they are owned: what is owned and not listed would be forgotten.
	listed := len(heir.Status.AppliedResources)
	for _, r := range resources {
		if !lists(heir, identityOf(r.WorkResourceIdentifier)) {
			heir.Status.AppliedResources = append(heir.Status.AppliedResources, r)
		}
	}
	if len(heir.Status.AppliedResources) > listed {
		if err := write(func(ctx context.Context, o *unstructured.Unstructured, options metav1.UpdateOptions, _ ...string) (*unstructured.Unstructured, error) {
			return client.UpdateStatus(ctx, o, options)
		}); err != nil {
			return ofMember(fmt.Errorf("having AppliedWork %s list what %s has placed: %w", heir.Name, from, err))
		}
	}
	var failures []error
	for _, r := range resources {
		client, live, err := a.member.lookUp(ctx, r)
		if err == nil && live != nil && ownersOf(live, from).ours {
			_, err = reown(ctx, client, live, []string{from}, heir)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("handing %s %s/%s over to AppliedWork %s: %w", r.Kind, r.Namespace, r.Name, heir.Name, err))
		}
	}
	return errors.Join(failures...)
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

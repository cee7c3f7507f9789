// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// remembers reports whether the AppliedWork lists every manifest that can be listed. It is made to before the first of them is applied, so that whatever
// was ever applied is found again when a manifest is dropped, even if no status could be written in between.
func remembers(owner *v1beta1.AppliedWork, manifests []*manifest) bool {
	listed := sets.New[identity]()
	for _, r := range owner.Status.AppliedResources {
		listed.Insert(identityOf(r.WorkResourceIdentifier))
	}
	return !slices.ContainsFunc(manifests, func(m *manifest) bool {
		return m.isListed() && !listed.Has(identityOf(m.identifier()))
	})
}

// remember lists in the AppliedWork what is to be applied beside what was.
func (p *pass) remember(ctx context.Context) error {
	if remembers(p.record.owner, p.record.manifests) {
		return nil
	}
	return p.list(ctx, p.leftovers())
}

// list writes the AppliedWork's list: the manifests, and what is left of earlier ones.
func (p *pass) list(ctx context.Context, leftovers []v1beta1.AppliedResourceMeta) error {
	var resources []v1beta1.AppliedResourceMeta
	for _, m := range p.record.manifests {
		if !m.isListed() {
			continue
		}
		r := v1beta1.AppliedResourceMeta{WorkResourceIdentifier: m.identifier()}
		if known := p.record.results[m.ordinal]; known != nil && known.exists {
			r.UID = known.uid
		}
		resources = append(resources, r)
	}
	owner := p.record.owner.DeepCopy()
	owner.Status.AppliedResources = append(resources, leftovers...)
	if equality.Semantic.DeepEqual(owner.Status, p.record.owner.Status) {
		return nil
	}
	object, err := fromAppliedWork(owner)
	if err != nil {
		return err
	}
	object, err = p.member.resource(appliedWorks, "").UpdateStatus(ctx, object, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return ofMember(fmt.Errorf("writing the status of AppliedWork %s: %w", owner.Name, err))
	}
	p.record.owner, err = toAppliedWork(object)
	return err
}

// leftovers are objects that were applied for the Work and are in none of its manifests any more.
func (p *pass) leftovers() []v1beta1.AppliedResourceMeta {
	return leftoversOf(p.work, p.record.owner, p.record.manifests)
}

func leftoversOf(work *v1beta1.Work, owner *v1beta1.AppliedWork, manifests []*manifest) []v1beta1.AppliedResourceMeta {
	wanted := sets.New[identity]()
	for _, m := range manifests {
		wanted.Insert(identityOf(m.identifier()))
	}
	return slices.DeleteFunc(listedFor(work, owner), func(r v1beta1.AppliedResourceMeta) bool {
		return wanted.Has(identityOf(r.WorkResourceIdentifier))
	})
}

// drop removes the leftovers from the member. Those that another Work of the placement holds are left to it, and none is removed before
// the Work's version has all its Works. After an adoption they stay, and on the hub they always do. The record tells which ones are left.
func (p *pass) drop(ctx context.Context) error {
	p.record.isLeftKnown = false
	if slices.ContainsFunc(p.record.manifests, func(m *manifest) bool { return !m.readable() }) {
		// A manifest that cannot be read may be any of the objects that no other manifest is.
		return nil
	}
	if p.isRestoring() {
		// What the AppliedWork is to keep is not known yet.
		return nil
	}
	leftovers := p.leftovers()
	if len(leftovers) == 0 && !p.outdated() && !isAdopted(p.record.owner) {
		p.record.kept, p.record.looked, p.record.remnants = nil, true, nil
		p.record.left, p.record.isLeftKnown = nil, true
		return nil
	}
	if err := p.open(ctx); err != nil {
		return err
	}
	if p.isRestoring() {
		return nil
	}
	if p.isHub {
		p.record.looked, p.record.left, p.record.isLeftKnown = true, nil, true
		return p.list(ctx, nil)
	}
	var failures []error
	inherits := p.inheritOrphans(ctx)
	if inherits != nil {
		failures = append(failures, inherits)
	}
	if p.record.owner == nil {
		return errors.Join(failures...)
	}
	leftovers = p.leftovers()
	all := &parts{}
	if len(leftovers) > 0 {
		var err error
		if all, err = p.parts(ctx); err != nil {
			return err
		}
	}
	var remaining, kept []v1beta1.AppliedResourceMeta
	var remnants []remnant
	for _, r := range leftovers {
		switch {
		case !all.decide(p.work) || all.holder(identityOf(r.WorkResourceIdentifier), p.work.Name) != nil:
			p.pending.Store(true)
			whose, err := p.whose(ctx, r)
			if err != nil {
				failures = append(failures, err)
			}
			// What another placement has is given to this one if that lets go of it before the version is whole.
			if whose == ofOurs || whose == ofARival || err != nil {
				remaining = append(remaining, r)
			}
		case isAdopted(p.record.owner) && !p.letsGo():
			// What was seen is not looked for in each pass: nobody watches it.
			whose, err := ofOurs, error(nil)
			if !slices.Contains(p.record.kept, r) {
				whose, err = p.whoseToKeep(ctx, r)
			}
			switch {
			case err != nil:
				failures = append(failures, err)
				remaining, kept = append(remaining, r), append(kept, r)
			case whose == ofOurs:
				remaining, kept = append(remaining, r), append(kept, r)
			case whose == ofAPart:
				// It is being bequeathed: it is listed before it is owned.
				p.pending.Store(true)
				remaining = append(remaining, r)
			}
		default:
			// The Work may hold it again. What was not dropped stays listed.
			if err := p.open(ctx); err != nil {
				return err
			}
			going, err := p.dropOne(ctx, r)
			if err != nil {
				failures = append(failures, fmt.Errorf("removing %s %s from the member cluster: %w", r.Kind,
					types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, err))
			}
			if going != nil {
				remnants = append(remnants, *going)
			}
			// What goes is listed until it is gone.
			if err != nil || going != nil {
				remaining = append(remaining, r)
			}
		}
	}
	// What waits for other Works of the version was not looked at.
	p.record.kept, p.record.looked, p.record.remnants = kept, !p.pending.Load(), remnants
	p.watch()
	if err := p.list(ctx, remaining); err != nil {
		failures = append(failures, err)
	} else if p.endsAdoption(remaining) {
		failures = append(failures, p.endAdoption(ctx))
	}
	// What an orphan lists may be left as well.
	p.record.left, p.record.isLeftKnown = remaining, inherits == nil
	return errors.Join(failures...)
}

// belonging is whose an object on the member is.
type belonging int

const (
	ofNobody belonging = iota
	ofOurs
	// ofAPart is another AppliedWork of the placement.
	ofAPart
	// ofARival is an AppliedWork of another placement.
	ofARival
)

// whose looks whose an object is, as this Work sees it. One that is not on the member is nobody's.
func (p *pass) whose(ctx context.Context, r v1beta1.AppliedResourceMeta) (belonging, error) {
	_, live, err := p.member.lookUp(ctx, r)
	if err != nil || live == nil {
		return ofNobody, err
	}
	return p.belongingOf(ctx, live)
}

// whoseToKeep is whose for what stays since an adoption. What is being deleted already does not stay, and is nobody's.
func (p *pass) whoseToKeep(ctx context.Context, r v1beta1.AppliedResourceMeta) (belonging, error) {
	_, live, err := p.member.lookUp(ctx, r)
	if err != nil || live == nil || live.GetDeletionTimestamp() != nil {
		return ofNobody, err
	}
	return p.belongingOf(ctx, live)
}

// belongingOf is whose an object that is on the member is.
func (p *pass) belongingOf(ctx context.Context, live *unstructured.Unstructured) (belonging, error) {
	owners := ownersOf(live, p.work.Name)
	if owners.ours {
		if p.record.owner != nil && !isOfScope(p.record.owner, p.work) {
			return ofARival, nil
		}
		return ofOurs, nil
	}
	for _, name := range owners.placements {
		if isPart, err := p.isPart(ctx, name); err != nil || isPart {
			return ofAPart, err
		}
	}
	if len(owners.placements) > 0 {
		return ofARival, nil
	}
	return ofNobody, nil
}

// inheritOrphans takes over, after an adoption, what AppliedWorks of the placement list that have no Work any more: the store that had
// their Works is lost, and the version has fewer parts. The first Work does it.
func (p *pass) inheritOrphans(ctx context.Context) error {
	placement := placementOf(p.work)
	if part, ok := partOfPlacement(placement, p.work.Name); !ok || part != wellknown.FirstWork || !isAdopted(p.record.owner) || p.record.hasInherited {
		return nil
	}
	all, err := p.parts(ctx)
	if err != nil {
		return err
	}
	err = p.member.eachAppliedWork(ctx, func(object *unstructured.Unstructured) error {
		orphan, err := toAppliedWork(object)
		if err != nil {
			return err
		}
		if _, ok := partOfPlacement(placement, orphan.Name); !ok || orphan.Name == p.work.Name || orphan.Spec.WorkNamespace != p.work.Namespace ||
			all.works[orphan.Name] != nil || !isOfScope(orphan, p.work) {
			return nil
		}
		work, err := p.works.Get(ctx, orphan.Name, metav1.GetOptions{})
		switch {
		case err == nil && placementOf(work).String() == placement.String():
			// It is going, and sees to it.
			return nil
		case err != nil && !apierrors.IsNotFound(err):
			return fmt.Errorf("reading Work %s: %w", orphan.Name, err)
		}
		unheld := slices.DeleteFunc(orphan.Status.AppliedResources, func(r v1beta1.AppliedResourceMeta) bool {
			return all.holder(identityOf(r.WorkResourceIdentifier), "") != nil
		})
		if err := p.inherit(ctx, p.record.owner, orphan.Name, unheld); err != nil {
			return err
		}
		if p.record.owner, err = p.owner(ctx, p.work.Name); err != nil {
			return err
		}
		if p.record.owner == nil {
			return errStale
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.record.hasInherited = true
	return nil
}

// endsAdoption reports whether an adoption is over: a version made from what the hub has now holds all that was placed before it, or
// somebody has let go of the rest.
func (p *pass) endsAdoption(remaining []v1beta1.AppliedResourceMeta) bool {
	return isAdopted(p.record.owner) && len(remaining) == 0 &&
		(p.letsGo() || p.work.Annotations[wellknown.HubUIDAnnotation] == p.options.Ruler.Hub)
}

// letsGo reports whether somebody has asked, since the adoption, for the removal of what the version that the Work holds does not have.
func (p *pass) letsGo() bool {
	work := p.work
	if p.live != nil {
		// The request may have been withdrawn.
		work = p.live
	}
	snapshot := work.Annotations[wellknown.PruneAnnotation]
	// Both are times in a format that sorts, to the second: a request in the second of the adoption counts, or it would never be met.
	return snapshot != "" && snapshot == work.Annotations[wellknown.ParentSnapshotNameAnnotation] &&
		work.Annotations[wellknown.PruneTimeAnnotation] >= p.record.owner.Annotations[wellknown.AdoptedAnnotation]
}

func (p *pass) endAdoption(ctx context.Context) error {
	owner := p.record.owner.DeepCopy()
	delete(owner.Annotations, wellknown.AdoptedAnnotation)
	object, err := fromAppliedWork(owner)
	if err != nil {
		return err
	}
	object, err = p.member.resource(appliedWorks, "").Update(ctx, object, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return ofMember(fmt.Errorf("ending the adoption of AppliedWork %s: %w", owner.Name, err))
	}
	klog.FromContext(ctx).V(2).Info("Adoption is over")
	p.record.owner, err = toAppliedWork(object)
	return err
}

// outdated reports whether the AppliedWork lists a manifest without its resource: the kind was unknown when the list was made.
func (p *pass) outdated() bool {
	listed := map[identity]string{}
	for _, r := range p.record.owner.Status.AppliedResources {
		listed[identityOf(r.WorkResourceIdentifier)] = r.Resource
	}
	return slices.ContainsFunc(p.record.manifests, func(m *manifest) bool {
		return m.refused == nil && m.isResolved() && listed[identityOf(m.identifier())] != m.resource.Resource
	})
}

// dropOne deletes an object that is ours, or leaves it to those who own it as well or have it in another placement. It returns the object
// where its deletion has begun, and it is there still.
func (p *pass) dropOne(ctx context.Context, r v1beta1.AppliedResourceMeta) (*remnant, error) {
	gvr, live, err := p.member.find(ctx, r)
	if err != nil || live == nil {
		return nil, err
	}
	owners := ownersOf(live, p.work.Name)
	switch {
	case !owners.ours || p.appliedAs(live.GetUID()):
		return nil, nil
	case live.GetDeletionTimestamp() != nil:
		going := remnantOf(gvr, live)
		return &going, nil
	}
	client := p.member.resource(gvr, r.Namespace)
	others, err := p.heirs(ctx)
	if err != nil {
		return nil, err
	}
	heir, err := others.of(ctx, identityOf(r.WorkResourceIdentifier))
	switch {
	case len(owners.placements)+len(owners.others) > 0, isReserved(r):
		_, err = reown(ctx, client, live, []string{p.work.Name}, nil)
	case err != nil:
		return nil, err
	case heir != nil:
		handed, err := p.handOverOne(ctx, p.work, r, heir)
		if err == nil && !handed {
			err = fmt.Errorf("%s has it too, and its Work %s is not ready to get it", describePlacement(heir), heir.Name)
		}
		return nil, err
	case isTakenOver(live):
		if _, err = reown(ctx, client, live, []string{p.work.Name}, nil); err == nil {
			left(ctx, live)
			return nil, nil
		}
	default:
		return p.deleteOne(ctx, gvr, live)
	}
	if err == nil {
		klog.FromContext(ctx).V(2).Info("Object dropped", "object", klog.KRef(r.Namespace, r.Name), "kind", r.Kind)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return nil, ofMember(err)
}

// deleteOne deletes an object. It returns the object where it is there still.
func (p *pass) deleteOne(ctx context.Context, gvr schema.GroupVersionResource, live *unstructured.Unstructured) (*remnant, error) {
	client := p.member.resource(gvr, live.GetNamespace())
	// Another Work may have received it since.
	uid, version, background := live.GetUID(), live.GetResourceVersion(), metav1.DeletePropagationBackground
	err := client.Delete(ctx, live.GetName(), metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
		PropagationPolicy: &background,
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return p.undeleted(gvr, live, err), ofMember(err)
	}
	klog.FromContext(ctx).V(2).Info("Object dropped", "object", klog.KObj(live), "kind", live.GetKind())
	if live, err = get(ctx, client, live.GetName()); err != nil || live == nil || live.GetUID() != uid {
		return nil, err
	}
	going := remnantOf(gvr, live)
	return &going, nil
}

// appliedAs reports whether an object is wanted under another group or version of its kind.
func (p *pass) appliedAs(uid types.UID) bool {
	return slices.ContainsFunc(p.record.results, func(r *result) bool { return r != nil && r.exists && r.uid == uid })
}

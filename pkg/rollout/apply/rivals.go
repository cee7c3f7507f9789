// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// Two placements may have the same object. The one that placed it keeps it, and the other one says so, with one exception: a
// cluster-scoped placement takes it from one of a namespace, so that nobody in a namespace keeps the platform from placing what it
// places. Where two own it, since their writes were under way at once, it is the one's that its references name first. Whoever lets go of an object that the other one has gives it to that one: it changes its owner, and is never deleted.

// rank is which of two placements wins an object.
type rank int

const (
	// noRank is that of a Work that is not known to be a placement's.
	noRank rank = iota
	namespaceRank
	clusterRank
)

func rankOf(work *v1beta1.Work) rank {
	placement := placementOf(work)
	switch {
	case placement == nil:
		return noRank
	case placement[wellknown.ParentNamespaceLabel] != "":
		return namespaceRank
	}
	return clusterRank
}

// rival is another placement's AppliedWork that owns an object.
type rival struct {
	name string
	rank rank
	// earlier reports whether it was an owner before this placement.
	earlier bool
	// placement is what users call it.
	placement string
}

// rivals finds out whose AppliedWorks are that own an object, as Works say it that are in the API now. One without a Work on this member is
// anybody's. handed are those that hand it over to this Work.
func (p *pass) rivals(ctx context.Context, live *unstructured.Unstructured, names, handed []string) ([]rival, error) {
	var found []rival
	mine := slices.IndexFunc(live.GetOwnerReferences(), func(ref metav1.OwnerReference) bool {
		return isAppliedWork(ref) && (ref.Name == p.work.Name || slices.Contains(handed, ref.Name))
	})
	for _, name := range names {
		theirs := slices.IndexFunc(live.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return isAppliedWork(ref) && ref.Name == name })
		r := rival{name: name, placement: "another placement", earlier: mine < 0 || theirs < mine}
		owner, err := p.owner(ctx, name)
		if err != nil {
			return nil, err
		}
		// One that was deleted on the member is about to be recreated, and is of this member.
		if owner != nil && owner.Spec.WorkNamespace == p.work.Namespace || owner == nil && theirs < 0 {
			work, err := p.works.Get(ctx, name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return nil, fmt.Errorf("reading Work %s: %w", name, err)
			default:
				if r.rank = rankOf(work); r.rank != noRank {
					r.placement = describePlacement(work)
				}
			}
		}
		found = append(found, r)
	}
	return found, nil
}

// withoutForgotten takes those out of the AppliedWorks of other placements whose names an object bears that has lost them, and that nobody
// recreates: their Works are gone.
func (p *pass) withoutForgotten(ctx context.Context, live *unstructured.Unstructured, names []string) ([]string, error) {
	var known []string
	for _, name := range names {
		owns := slices.ContainsFunc(live.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return isAppliedWork(ref) && ref.Name == name })
		if !owns {
			_, err := p.works.Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("reading Work %s: %w", name, err)
			}
		}
		known = append(known, name)
	}
	return known, nil
}

func describePlacement(work *v1beta1.Work) string {
	placement := placementOf(work)
	return wording.Placement(placement[wellknown.ParentNamespaceLabel], placement[wellknown.ParentPlacementLabel])
}

// outranked takes those out of the rivals from which this Work takes an object, and returns their names.
func (p *pass) outranked(rivals []rival) (rest []rival, names []string) {
	mine := rankOf(p.work)
	for _, r := range rivals {
		if r.rank != noRank && (mine > r.rank || mine == r.rank && !r.earlier) {
			names = append(names, r.name)
		} else {
			rest = append(rest, r)
		}
	}
	return rest, names
}

// yields reports to which rival this Work leaves an object that it owns as well, nil for none.
func (p *pass) yields(rivals []rival) *rival {
	mine := rankOf(p.work)
	for i := range rivals {
		if r := &rivals[i]; mine != noRank && (mine < r.rank || mine == r.rank && r.earlier) {
			return r
		}
	}
	return nil
}

func belongsTo(rivals []rival) string {
	return fmt.Sprintf("%s%s already (AppliedWork %s)", wellknown.PlacedBy, rivals[0].placement, rivals[0].name)
}

// heirs are the Works of other placements on the member, as they are in the API now: nothing is deleted on the word of a cache.
type heirs struct {
	applier *Applier
	// works are those that write, the ones that win first.
	works []*part
	// unfinished are versions of other placements of which not all Works are written.
	unfinished []*parts
	// owners are AppliedWorks that were read, nil where there is none.
	owners map[string]*v1beta1.AppliedWork
	// answers are why namespaces of the member do not take what a Work places, by its name and theirs.
	answers map[types.NamespacedName]error
}

func (a *Applier) readHeirs(ctx context.Context, work *v1beta1.Work) (*heirs, error) {
	list, err := a.works.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Works of other placements: %w", err)
	}
	found := &heirs{applier: a, owners: map[string]*v1beta1.AppliedWork{}, answers: map[types.NamespacedName]error{}}
	byPlacement := map[string]*parts{}
	own := placementOf(work).String()
	for i := range list.Items {
		other := &list.Items[i]
		placement := placementOf(other)
		if placement == nil || placement.String() == own || isGoing(other) || !strategyOf(other).writes() {
			continue
		}
		if byPlacement[placement.String()] == nil {
			byPlacement[placement.String()] = &parts{works: map[string]*part{}}
		}
		p := partOf(other)
		byPlacement[placement.String()].works[other.Name] = p
		found.works = append(found.works, p)
	}
	for _, all := range byPlacement {
		if all.count(); all.current == nil {
			found.unfinished = append(found.unfinished, all)
		}
	}
	slices.SortFunc(found.works, func(a, b *part) int {
		return cmp.Or(cmp.Compare(rankOf(b.work), rankOf(a.work)), cmp.Compare(a.work.Name, b.work.Name))
	})
	return found, nil
}

// errUndecided is that it is not known yet whether a Work gets an object. The object stays until it is.
var errUndecided = errors.New("the object stays until the hub has that Work again, or a placement places the Namespace")

// of returns the Work that gets an object, nil for none. Where another placement has listed the object and is between two versions, a Work
// that is not written yet may have it: then the one that has listed it keeps it until all are.
func (h *heirs) of(ctx context.Context, id identity) (*v1beta1.Work, error) {
	for _, p := range h.works {
		if !p.holds.Has(id) {
			continue
		}
		if may, err := h.mayGet(ctx, p.work, id); err != nil || may {
			return p.work, err
		}
	}
	for _, all := range h.unfinished {
		for name, p := range all.works {
			owner, err := h.owner(ctx, name)
			if err != nil {
				return nil, err
			}
			if owner == nil || owner.Spec.WorkNamespace != p.work.Namespace || !lists(owner, id) {
				continue
			}
			if may, err := h.mayGet(ctx, p.work, id); err != nil || may {
				return p.work, err
			}
		}
	}
	return nil, nil
}

func (h *heirs) owner(ctx context.Context, name string) (*v1beta1.AppliedWork, error) {
	owner, known := h.owners[name]
	if !known {
		var err error
		if owner, err = h.applier.owner(ctx, name); err != nil {
			return nil, err
		}
		h.owners[name] = owner
	}
	return owner, nil
}

// mayGet reports whether a Work may be given an object: that of a placement in a namespace writes to what it is given, and shows it. It
// fails as long as that is not known.
func (h *heirs) mayGet(ctx context.Context, work *v1beta1.Work, id identity) (bool, error) {
	if !isOfANamespace(work) || id.namespace == "" {
		return true, nil
	}
	question := types.NamespacedName{Namespace: id.namespace, Name: work.Name}
	answer, asked := h.answers[question]
	if !asked {
		owner, err := h.owner(ctx, work.Name)
		if err != nil {
			return false, err
		}
		answer = h.applier.consents(ctx, work, owner, id.namespace, func(namespace *unstructured.Unstructured) (bool, error) {
			return h.stays(ctx, namespace)
		})
		h.answers[question] = answer
	}
	if isForeign(answer) || apierrors.IsNotFound(answer) {
		return false, nil
	}
	return answer == nil, answer
}

// stays reports whether a cluster-scoped placement has a Namespace on the member and goes on having it, or gives it to another one.
func (h *heirs) stays(ctx context.Context, namespace *unstructured.Unstructured) (bool, error) {
	works, missing, err := h.applier.bringers(ctx, namespace)
	switch {
	case err != nil:
		return false, err
	case slices.ContainsFunc(works, func(w *v1beta1.Work) bool { return !isGoing(w) }):
		return true, nil
	case len(works) > 0:
		// No placement in a namespace has a Namespace.
		heir, err := h.of(ctx, identity{kind: "Namespace", name: namespace.GetName()})
		return heir != nil, err
	case len(missing) > 0:
		return false, fmt.Errorf("AppliedWork %s, which has placed Namespace %s, has no Work or is being recreated: %w", missing[0], namespace.GetName(), errUndecided)
	}
	return false, nil
}

// heirs are those of this pass, read once.
func (p *pass) heirs(ctx context.Context) (*heirs, error) {
	var err error
	if p.others == nil {
		p.others, err = p.readHeirs(ctx, p.work)
	}
	return p.others, err
}

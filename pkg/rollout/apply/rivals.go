// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Two placements may have the same object. The one that placed it keeps it, and the other one says so, with one exception: a
// cluster-scoped placement takes it from one of a namespace, so that nobody in a namespace keeps the platform from placing what it
// places. Whoever lets go of an object that the other one has gives it to that one: it changes its owner, and is never deleted.

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
	// placement is what users call it.
	placement string
}

// rivals finds out whose AppliedWorks are, as Works say it that are in the API now. One without a Work on this member is anybody's.
func (p *pass) rivals(ctx context.Context, names []string) ([]rival, error) {
	var found []rival
	for _, name := range names {
		r := rival{name: name, placement: "another placement"}
		owner, err := p.owner(ctx, name)
		if err != nil {
			return nil, err
		}
		if owner != nil && owner.Spec.WorkNamespace == p.work.Namespace {
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

func describePlacement(work *v1beta1.Work) string {
	placement := placementOf(work)
	if namespace := placement[wellknown.ParentNamespaceLabel]; namespace != "" {
		return fmt.Sprintf("ResourcePlacement %s/%s", namespace, placement[wellknown.ParentPlacementLabel])
	}
	return "ClusterResourcePlacement " + placement[wellknown.ParentPlacementLabel]
}

// outranked takes those out of the rivals from which this Work takes an object, and returns their names.
func (p *pass) outranked(rivals []rival) (rest []rival, names []string) {
	mine := rankOf(p.work)
	for _, r := range rivals {
		if mine == clusterRank && r.rank == namespaceRank {
			names = append(names, r.name)
		} else {
			rest = append(rest, r)
		}
	}
	return rest, names
}

// yields reports to which rival this Work leaves an object that it owns as well, nil for none.
func (p *pass) yields(rivals []rival) *rival {
	for i := range rivals {
		if rankOf(p.work) == namespaceRank && rivals[i].rank == clusterRank {
			return &rivals[i]
		}
	}
	return nil
}

func belongsTo(rivals []rival) string {
	return fmt.Sprintf("The object is placed by %s already (AppliedWork %s)", rivals[0].placement, rivals[0].name)
}

// heirs are the Works of other placements on the member, those that win first.
type heirs []*part

// readHeirs reads from the API which Works of other placements there are now: nothing is deleted on the word of a cache.
func (a *Applier) readHeirs(ctx context.Context, work *v1beta1.Work) (heirs, error) {
	list, err := a.works.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Works of other placements: %w", err)
	}
	own := placementOf(work).String()
	var found heirs
	for i := range list.Items {
		other := &list.Items[i]
		if rankOf(other) != noRank && placementOf(other).String() != own && !isGoing(other) && strategyOf(other).writes() {
			found = append(found, partOf(other))
		}
	}
	slices.SortStableFunc(found, func(a, b *part) int {
		return cmp.Or(cmp.Compare(rankOf(b.work), rankOf(a.work)), cmp.Compare(a.work.Name, b.work.Name))
	})
	return found, nil
}

// of returns the Work that gets an object, nil for none.
func (h heirs) of(id identity) *v1beta1.Work {
	for _, p := range h {
		if p.holds.Has(id) {
			return p.work
		}
	}
	return nil
}

// heirs are those of this pass, read once.
func (p *pass) heirs(ctx context.Context) (heirs, error) {
	if p.others == nil {
		found, err := p.readHeirs(ctx, p.work)
		if err != nil {
			return nil, err
		}
		p.others = &found
	}
	return *p.others, nil
}

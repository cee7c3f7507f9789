// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// A version of a placement that is too large for one Work is divided over several, and an object may be in another of them in the
// next version. Such an object is handed over: its owner changes, and it is never deleted. So code that is about to delete an object
// first looks at all Works of the placement, and deletes nothing before one version is there with all its Works.

// parts are the Works of one placement on the member, as they are in the API now, without those that are going.
type parts struct {
	works map[string]*part
	// going are the names of those.
	going sets.Set[string]
	// first is the Work that every version has, nil where it is missing.
	first *v1beta1.Work
	// current is the Work whose version counts, nil where that version does not have all its Works yet. Every version has a Work of
	// that name, which is written before its others. An object that no Work holds then is not wanted any more.
	current *v1beta1.Work
}

// part is one Work of a placement.
type part struct {
	work *v1beta1.Work
	// holds are the objects in its manifests.
	holds sets.Set[identity]
	// readable reports whether all manifests say which object they are.
	readable bool
}

// isGoing reports whether a Work is being deleted, or about to be: it holds nothing any more.
func isGoing(work *v1beta1.Work) bool {
	return work.DeletionTimestamp != nil || work.Annotations[wellknown.DeletePropagationAnnotation] != ""
}

// placementOf returns the labels that all Works of a Work's placement have on this member, nil for a Work without a placement.
func placementOf(work *v1beta1.Work) labels.Set {
	name := work.Labels[wellknown.ParentPlacementLabel]
	if name == "" {
		return nil
	}
	set := labels.Set{wellknown.ParentPlacementLabel: name}
	if namespace := work.Labels[wellknown.ParentNamespaceLabel]; namespace != "" {
		set[wellknown.ParentNamespaceLabel] = namespace
	}
	return set
}

// readParts reads the Works of a Work's placement from the API: nothing is deleted on the word of a cache.
func (a *Applier) readParts(ctx context.Context, work *v1beta1.Work) (*parts, error) {
	found := &parts{works: map[string]*part{}, going: sets.New[string]()}
	placement := placementOf(work)
	if placement == nil {
		found.current = work
		return found, nil
	}
	list, err := a.works.List(ctx, metav1.ListOptions{LabelSelector: placement.String()})
	if err != nil {
		return nil, fmt.Errorf("listing the Works of the placement of Work %s: %w", work.Name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		// A cluster-scoped placement has no label for a namespace, which no selector of equalities can ask for.
		switch {
		case other.Labels[wellknown.ParentNamespaceLabel] != placement[wellknown.ParentNamespaceLabel]:
		case isGoing(other):
			found.going.Insert(other.Name)
		default:
			found.works[other.Name] = partOf(other)
		}
	}
	found.count()
	return found, nil
}

// count finds the first Work, and whether its version has all its Works.
func (ps *parts) count() {
	var firsts []*v1beta1.Work
	for name, p := range ps.works {
		if part, ok := partOfPlacement(placementOf(p.work), name); ok && part < 0 {
			firsts = append(firsts, p.work)
		}
	}
	if len(firsts) == 0 {
		return
	}
	ps.first = slices.MaxFunc(firsts, func(a, b *v1beta1.Work) int { return strings.Compare(a.Name, b.Name) })
	// Of two that are named either way one is about to go: nothing is decided before.
	if len(firsts) == 1 && ps.areAll(ps.first) {
		ps.current = ps.first
	}
}

// partOfPlacement returns which part of its placement's version a Work of the name has, and false for a Work of no or another placement.
func partOfPlacement(placement labels.Set, name string) (int, bool) {
	if placement == nil {
		return 0, false
	}
	return wellknown.WorkPart(placement[wellknown.ParentNamespaceLabel], placement[wellknown.ParentPlacementLabel], name)
}

// isPart reports whether an AppliedWork is of this Work's placement. Names do not tell placements of either scope apart; what their Works say
// does, and where there is no Work what the AppliedWork says.
func (p *pass) isPart(ctx context.Context, name string) (bool, error) {
	placement := placementOf(p.work)
	if _, ok := partOfPlacement(placement, name); !ok {
		return false, nil
	}
	// Those that were read in this pass are not read again for each object that moves: a Work may be large.
	all, err := p.parts(ctx)
	if err != nil {
		return false, err
	}
	if all.works[name] != nil || all.going.Has(name) {
		return true, nil
	}
	work, err := p.works.Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		return placementOf(work).String() == placement.String(), nil
	case !apierrors.IsNotFound(err):
		return false, fmt.Errorf("reading Work %s: %w", name, err)
	}
	owner, err := p.owner(ctx, name)
	return err == nil && (owner == nil || isOfScope(owner, p.work)), err
}

// isOfScope reports whether an AppliedWork can be that of a placement in the namespace of a Work's placement, or cluster-scoped as that is.
// Only those of placements in namespaces say which namespaces they keep; one from before lists nothing that is elsewhere.
func isOfScope(owner *v1beta1.AppliedWork, work *v1beta1.Work) bool {
	_, says := owner.Annotations[keptNamespacesAnnotation]
	namespace := work.Labels[wellknown.ParentNamespaceLabel]
	if namespace == "" {
		return !says
	}
	return says || !slices.ContainsFunc(owner.Status.AppliedResources, func(r v1beta1.AppliedResourceMeta) bool { return r.Namespace != namespace })
}

func partOf(work *v1beta1.Work) *part {
	p := &part{work: work, holds: sets.New[identity](), readable: true}
	for _, m := range decode(work.Spec.Workload.Manifests) {
		p.readable = p.readable && m.readable()
		p.holds.Insert(identityOf(m.identifier()))
	}
	return p
}

// areAll reports whether as many Works as a version has are there, and say which objects they hold.
func (ps *parts) areAll(version *v1beta1.Work) bool {
	count, err := strconv.Atoi(version.Annotations[wellknown.NumberOfWorksAnnotation])
	if err != nil {
		return false
	}
	for _, p := range ps.works {
		if sameVersion(p.work, version) {
			count--
		}
		if !p.readable {
			// Its manifests may be any objects.
			return false
		}
	}
	return count == 0
}

func sameVersion(a, b *v1beta1.Work) bool {
	return !slices.ContainsFunc(wellknown.WorkVersionAnnotations, func(annotation string) bool {
		return a.Annotations[annotation] != b.Annotations[annotation]
	})
}

// decide reports whether the Works tell what of a Work's objects is not wanted any more. A Work of another version than the one that
// counts is about to change.
func (ps *parts) decide(work *v1beta1.Work) bool {
	return ps.current != nil && sameVersion(ps.current, work)
}

// fate is what becomes of objects of a Work that is going, and that no other Work holds.
type fate string

const (
	// fateGo is the rule.
	fateGo fate = "Go"
	// fateWait is for as long as the version that is being written may have them.
	fateWait fate = "Wait"
	// fateStay is where that version has a Work of the same name: it is not written before this one is gone.
	fateStay fate = "Stay"
)

// fateOf decides on a Work that is going. Where no Work of its binding is left all of the placement goes.
func (ps *parts) fateOf(work *v1beta1.Work) fate {
	remain := false
	for _, p := range ps.works {
		remain = remain || p.work.Labels[wellknown.ParentBindingLabel] == work.Labels[wellknown.ParentBindingLabel]
	}
	if ps.current != nil || !remain {
		return fateGo
	}
	if ps.first != nil {
		part, ok := partOfPlacement(placementOf(work), work.Name)
		count, err := strconv.Atoi(ps.first.Annotations[wellknown.NumberOfWorksAnnotation])
		// Parts are counted from 0, after the first Work.
		if ok && err == nil && part < count-1 {
			return fateStay
		}
	}
	return fateWait
}

// holder returns the Work that holds an object, other than the one of the name; nil for none.
func (ps *parts) holder(id identity, except string) *v1beta1.Work {
	for name, p := range ps.works {
		if name != except && p.holds.Has(id) {
			return p.work
		}
	}
	return nil
}

const byPlacement = "placement"

// placementIndex finds the Works of a placement in the cache.
func placementIndex(obj any) ([]string, error) {
	if work, ok := obj.(*v1beta1.Work); ok {
		if placement := placementOf(work); placement != nil {
			return []string{placement.String()}, nil
		}
	}
	return nil, nil
}

var _ cache.IndexFunc = placementIndex

// waitsForParts notes whether a Work waits for others of its placement.
func (a *Applier) waitsForParts(name string, waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if waits {
		a.waiting.Insert(name)
	} else {
		a.waiting.Delete(name)
	}
}

// wokenBy returns the names of the Works that wait for a change of a Work of the same placement.
func (a *Applier) wokenBy(work *v1beta1.Work) []string {
	placement := placementOf(work)
	if placement == nil {
		return nil
	}
	others, err := a.informer.GetIndexer().ByIndex(byPlacement, placement.String())
	if err != nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, obj := range others {
		if other := obj.(*v1beta1.Work); other.Name != work.Name && a.waiting.Has(other.Name) {
			names = append(names, other.Name)
		}
	}
	return names
}

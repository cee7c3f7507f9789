// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revisions keeps the history of what a placement selects, of its policy, and of an override. It does not decide when there is a
// new revision, or which ones somebody still needs.
package revisions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// History says how the revisions of a parent are kept as objects of a kind. Indices count up from 0 and are never used twice while the
// revision before exists, so that the largest one is the newest, and creating the next one is what two writers cannot both do.
type History[O fleet.Object] struct {
	Kind fleet.Kind[O]
	// ByParent is the index of package fleet that finds the objects of a parent.
	ByParent string
	// Name of the master of a revision.
	Name func(parent string, index int) string
	// IndexOf returns the index of a master, and false for any other object. What only has the name or the labels of a revision is none,
	// and is neither marked nor deleted.
	IndexOf func(O) (int, bool)
	// PartOf returns the index of the revision that an object is a part of, and false for any other object; nil where a revision is one
	// object.
	PartOf func(O) (int, bool)
}

// Revision is one version: a master and, where that is too small for everything, parts.
type Revision[O fleet.Object] struct {
	Index int
	// Master is nil where only parts are left.
	Master O
	Parts  []O
}

// IsMarked reports whether the master is there and marked as the newest.
func (r *Revision[O]) IsMarked() bool { return r.HasMaster() && snapshotrules.IsMarked(r.Master) }

// HasMaster reports whether the master is there, being deleted or not.
func (r *Revision[O]) HasMaster() bool { return any(r.Master) != nil }

// List is the revisions of a parent, as they were read.
type List[O fleet.Object] struct {
	history   History[O]
	revisions []*Revision[O]
	next      int
}

// Read reads the revisions of a parent, which may be gone. What the cache does not have yet is read from the API.
func (h History[O]) Read(ctx context.Context, parent reconcile.Key) (*List[O], error) {
	l := &List[O]{history: h}
	for _, obj := range h.Kind.ByIndex(h.ByParent, parent) {
		if index, ok := h.IndexOf(obj); ok {
			l.at(index).Master = obj
		} else if h.PartOf == nil {
			continue
		} else if index, ok := h.PartOf(obj); ok {
			r := l.at(index)
			r.Parts = append(r.Parts, obj)
		}
	}
	slices.SortFunc(l.revisions, func(a, b *Revision[O]) int { return cmp.Compare(a.Index, b.Index) })
	for {
		name := h.Name(parent.Name, l.next)
		obj, err := h.Kind.Client(parent.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return l, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", h.kind(parent.Namespace), name, err)
		}
		if index, ok := h.IndexOf(obj); ok {
			l.Add(index, obj)
		} else {
			// It is in the way.
			l.next++
		}
	}
}

// at returns the revision with an index, which it adds where there is none.
func (l *List[O]) at(index int) *Revision[O] {
	for _, r := range l.revisions {
		if r.Index == index {
			return r
		}
	}
	r := &Revision[O]{Index: index}
	l.revisions = append(l.revisions, r)
	l.next = max(l.next, index+1)
	return r
}

// Add takes in a revision that was made.
func (l *List[O]) Add(index int, master O) *Revision[O] {
	r := l.at(index)
	r.Master = master
	return r
}

// Objects returns all objects of all revisions.
func (l *List[O]) Objects() []O {
	var objects []O
	for _, r := range l.revisions {
		if r.HasMaster() {
			objects = append(objects, r.Master)
		}
		objects = append(objects, r.Parts...)
	}
	return objects
}

// Next returns the first index above those of all revisions that no object has.
func (l *List[O]) Next() int { return l.next }

// Len returns how many revisions there are, those that are being deleted included.
func (l *List[O]) Len() int { return len(l.revisions) }

// Last returns the revision with the highest index, whatever is left of it, nil for none.
func (l *List[O]) Last() *Revision[O] {
	if len(l.revisions) == 0 {
		return nil
	}
	return l.revisions[len(l.revisions)-1]
}

// Newest returns the newest revision of which the master is there and not being deleted, nil for none.
func (l *List[O]) Newest() *Revision[O] {
	for _, r := range slices.Backward(l.revisions) {
		if r.HasMaster() && r.Master.GetDeletionTimestamp() == nil {
			return r
		}
	}
	return nil
}

// Mark marks a revision as the newest, and no other. It comes last, so that never two are marked. It fails with a conflict where the
// master is not as it was read.
func (l *List[O]) Mark(ctx context.Context, newest *Revision[O]) error {
	if err := l.unmark(ctx, newest); err != nil || newest.IsMarked() {
		return err
	}
	if err := l.history.label(ctx, newest.Master, newest.Master.GetResourceVersion(), true); err != nil {
		return fmt.Errorf("marking %s as the newest: %w", l.history.nameOf(newest.Master), err)
	}
	return nil
}

// Unmark takes the mark of the newest off every revision.
func (l *List[O]) Unmark(ctx context.Context) error { return l.unmark(ctx, nil) }

func (l *List[O]) unmark(ctx context.Context, but *Revision[O]) error {
	for _, r := range l.revisions {
		if r == but || !r.IsMarked() {
			continue
		}
		if err := l.history.label(ctx, r.Master, "", false); reconcile.IgnoreNotFound(err) != nil {
			return fmt.Errorf("unmarking %s: %w", l.history.nameOf(r.Master), err)
		}
	}
	return nil
}

// Prune deletes the oldest revisions beyond as many as are kept, unless they are in use. It asks who uses what only where there are any.
// The newest is one of those that are kept, whatever is left of revisions after it; where there is no newest, nothing is deleted.
func (l *List[O]) Prune(ctx context.Context, keep int, inUse func() func(index int) bool) error {
	older := slices.Index(l.revisions, l.Newest())
	if excess := older - max(keep-1, 0); excess > 0 {
		return l.removeUnused(ctx, l.revisions[:excess], inUse())
	}
	return nil
}

// RemoveUnused deletes all revisions that are not in use.
func (l *List[O]) RemoveUnused(ctx context.Context, inUse func(index int) bool) error {
	return l.removeUnused(ctx, l.revisions, inUse)
}

func (l *List[O]) removeUnused(ctx context.Context, revisions []*Revision[O], inUse func(index int) bool) error {
	for _, r := range revisions {
		if inUse(r.Index) {
			continue
		}
		if err := l.Remove(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes a revision, the master last: what a killed server leaves behind is removed next time.
func (l *List[O]) Remove(ctx context.Context, r *Revision[O]) error {
	if err := l.history.remove(ctx, r.Parts...); err != nil || !r.HasMaster() {
		return err
	}
	return l.history.remove(ctx, r.Master)
}

// RemoveAll deletes every object that is labeled as one of a parent's, in use or not, and reports whether nothing is left.
func (h History[O]) RemoveAll(ctx context.Context, parent reconcile.Key) (gone bool, err error) {
	objects := h.Kind.ByIndex(h.ByParent, parent)
	return len(objects) == 0, h.remove(ctx, objects...)
}

func (h History[O]) remove(ctx context.Context, objects ...O) error {
	for _, obj := range objects {
		if obj.GetDeletionTimestamp() != nil {
			continue
		}
		err := h.Kind.Client(obj.GetNamespace()).Delete(ctx, obj.GetName(), metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(obj.GetUID()))})
		if reconcile.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s: %w", h.nameOf(obj), err)
		}
	}
	return nil
}

// Annotate sets annotations of a master.
func (l *List[O]) Annotate(ctx context.Context, r *Revision[O], annotations map[string]string) error {
	if err := l.history.patch(ctx, r.Master, "", map[string]any{"annotations": annotations}); err != nil {
		return fmt.Errorf("annotating %s: %w", l.history.nameOf(r.Master), err)
	}
	return nil
}

func (h History[O]) label(ctx context.Context, obj O, resourceVersion string, latest bool) error {
	return h.patch(ctx, obj, resourceVersion, map[string]any{"labels": map[string]string{wellknown.LatestSnapshotLabel: strconv.FormatBool(latest)}})
}

// patch changes metadata, since the content of a revision never changes and can be large.
func (h History[O]) patch(ctx context.Context, obj O, resourceVersion string, metadata map[string]any) error {
	if resourceVersion != "" {
		metadata["resourceVersion"] = resourceVersion
	}
	data, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	_, err = h.Kind.Client(obj.GetNamespace()).Patch(ctx, obj.GetName(), types.MergePatchType, data, metav1.PatchOptions{})
	return err
}

func (h History[O]) kind(namespace string) string { return h.Kind.GroupVersionKind(namespace).Kind }

func (h History[O]) nameOf(obj O) string { return h.kind(obj.GetNamespace()) + " " + obj.GetName() }

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// content is a complete selection.
type content struct {
	items []*item
	all   []v1beta1.ResourceContent
	hash  string
	// earlierHash is that of a snapshot with the same objects and their finalizers, "" where none has any.
	earlierHash string
}

func newContent(items []*item) (*content, error) {
	all := contents(items)
	hash, err := hashOf(v1beta1.ResourceSnapshotSpec{SelectedResources: all})
	if err != nil {
		return nil, err
	}
	earlierHash, err := earlierHashOf(items)
	if err != nil {
		return nil, err
	}
	return &content{items: items, all: all, hash: hash, earlierHash: earlierHash}, nil
}

func (c *content) envelopes() int {
	n := 0
	for _, i := range c.items {
		if placeable.IsEnvelope(i.groupKind()) {
			n++
		}
	}
	return n
}

// heldBy reports whether a revision of the placement has this content. A revision that holds finalizers beside it counts where it is
// whole, so that an upgrade by itself makes no new version. One that is not whole would get parts that are cut differently.
func (c *content) heldBy(r *resourceRevision, placement v1beta1.PlacementObject) bool {
	if r == nil || !ownedBy(r.Master, placement) {
		return false
	}
	hash := r.Master.GetAnnotations()[wellknown.ResourceHashAnnotation]
	return hash == c.hash || c.earlierHash != "" && hash == c.earlierHash && r.IsMarked()
}

// ensure has the newest resource snapshot hold the content, and returns its index. A dry run only says which index that would be.
// An error is a conflict where somebody else has just made that snapshot. The caller has locked the placement.
func (s *Source) ensure(ctx context.Context, placement v1beta1.PlacementObject, c *content, dryRun bool) (int, error) {
	list, err := s.resources.Read(ctx, reconcile.KeyOf(placement))
	if err != nil {
		return 0, err
	}
	last := list.Newest()
	held := c.heldBy(last, placement)
	switch {
	case dryRun && held:
		return last.Index, nil
	case dryRun:
		return s.nextIndex(placement, list), nil
	case !held:
		if err := s.discardUnfinished(ctx, placement, list, last); err != nil {
			return 0, err
		}
		if last, err = s.createMaster(ctx, placement, list, c); err != nil {
			return 0, err
		}
	}
	if err := s.createParts(ctx, placement, last, c); err != nil {
		return 0, err
	}
	if err := list.Mark(ctx, last); err != nil {
		return 0, err
	}
	return last.Index, list.Prune(ctx, historyLimit(placement), func() func(int) bool { return resourcesInUse(s.fleet, placement) })
}

// nextIndex is past all revisions, and past all that bindings name: where a snapshot is gone that a binding names, another one of its
// name would be rolled out to that cluster without anybody having decided it.
func (s *Source) nextIndex(placement v1beta1.PlacementObject, list *resourceRevisions) int {
	next := list.Next()
	for _, b := range s.fleet.Bindings.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement)) {
		for _, v := range bindingrules.Versions(b) {
			if index, ok := wellknown.ResourceSnapshotIndex(placement.GetName(), v.ResourceSnapshot); ok {
				next = max(next, index+1)
			}
		}
	}
	return next
}

// createMaster makes the master of the next revision. It is marked as the newest at once where it holds everything; otherwise once its
// parts are there, so that nothing incomplete is rolled out.
func (s *Source) createMaster(ctx context.Context, placement v1beta1.PlacementObject, list *resourceRevisions, c *content) (*resourceRevision, error) {
	hub, err := s.hub(ctx)
	if err != nil {
		return nil, err
	}
	if err := list.Unmark(ctx); err != nil {
		return nil, err
	}
	parts := split(c.all, s.partBytes)
	index := s.nextIndex(placement, list)
	obj := newObject(s.resources.Kind, placement, s.owner(placement), wellknown.ResourceIndexLabel, index, wellknown.ResourceSnapshotName(placement.GetName(), index))
	obj.GetLabels()[wellknown.LatestSnapshotLabel] = strconv.FormatBool(len(parts) == 1)
	obj.SetAnnotations(map[string]string{
		wellknown.ResourceHashAnnotation:      c.hash,
		wellknown.NumberOfSnapshotsAnnotation: strconv.Itoa(len(parts)),
		wellknown.NumberOfEnvelopesAnnotation: strconv.Itoa(c.envelopes()),
		wellknown.HubUIDAnnotation:            hub,
	})
	obj.SnapshotSpec().SelectedResources = parts[0]
	created, err := s.fleet.Snapshots.Client(placement.GetNamespace()).Create(ctx, obj, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil, conflict(s.resources.Kind.GroupVersionKind(placement.GetNamespace()), obj)
	}
	if err != nil {
		return nil, fmt.Errorf("creating resource snapshot %s: %w", obj.GetName(), err)
	}
	klog.FromContext(ctx).V(2).Info("Resource snapshot made", "snapshot", klog.KObj(created), "objects", len(c.items))
	return list.Add(index, created), nil
}

// createParts makes the parts of a revision that are missing. A revision that is marked has all of them.
func (s *Source) createParts(ctx context.Context, placement v1beta1.PlacementObject, r *resourceRevision, c *content) error {
	if r.IsMarked() {
		return nil
	}
	for i, part := range split(c.all, s.partBytes)[1:] {
		obj := newObject(s.resources.Kind, placement, s.owner(placement), wellknown.ResourceIndexLabel, r.Index, wellknown.ResourceSnapshotPartName(placement.GetName(), r.Index, i))
		obj.SetAnnotations(map[string]string{wellknown.SubindexAnnotation: strconv.Itoa(i)})
		obj.SnapshotSpec().SelectedResources = part
		_, err := s.fleet.Snapshots.Client(placement.GetNamespace()).Create(ctx, obj, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating resource snapshot %s: %w", obj.GetName(), err)
		}
	}
	return nil
}

// discardUnfinished deletes a newest revision of which a server that was killed has not made all parts: its content is lost.
func (s *Source) discardUnfinished(ctx context.Context, placement v1beta1.PlacementObject, list *resourceRevisions, last *resourceRevision) error {
	if last == nil || last.IsMarked() || resourcesInUse(s.fleet, placement)(last.Index) {
		return nil
	}
	number, err := strconv.Atoi(last.Master.GetAnnotations()[wellknown.NumberOfSnapshotsAnnotation])
	if err != nil {
		return nil
	}
	for i := range number - 1 {
		// The cache may not have all of them yet.
		name := wellknown.ResourceSnapshotPartName(placement.GetName(), last.Index, i)
		_, err := s.fleet.Snapshots.Client(placement.GetNamespace()).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			klog.FromContext(ctx).V(2).Info("Discarding an unfinished resource snapshot", "snapshot", klog.KObj(last.Master))
			return list.Remove(ctx, last)
		}
		if err != nil {
			return fmt.Errorf("reading snapshot %s: %w", name, err)
		}
	}
	return nil
}

func conflict(gvk schema.GroupVersionKind, obj metav1.Object) error {
	return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, obj.GetName(),
		errors.New("another writer has just made it"))
}

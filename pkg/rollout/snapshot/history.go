// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

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

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// history are the revisions of a placement's resources, or of its policy. Indices count up from 0 and are never used twice while the
// revision before exists, so that the largest one is the newest, and creating the next one is what two writers cannot both do.
type history[O fleet.Object] struct {
	kind       fleet.Kind[O]
	indexLabel string
	// name of the master of a placement's revision.
	name func(placement string, index int) string
}

func resourceHistory(f *fleet.Fleet) history[v1beta1.ResourceSnapshotObject] {
	return history[v1beta1.ResourceSnapshotObject]{f.Snapshots, wellknown.ResourceIndexLabel, wellknown.ResourceSnapshotName[int]}
}

func policyHistory(f *fleet.Fleet) history[v1beta1.PolicySnapshotObject] {
	return history[v1beta1.PolicySnapshotObject]{f.PolicySnapshots, wellknown.PolicyIndexLabel, wellknown.PolicySnapshotName}
}

// revision is one version: a master and, where that is too small for everything, parts.
type revision[O fleet.Object] struct {
	index int
	// master is nil where only parts are left.
	master O
	parts  []O
}

func (r *revision[O]) hasMaster() bool { return any(r.master) != nil }

// latest says that the master is marked as the newest.
func (r *revision[O]) latest() bool {
	return r.hasMaster() && r.master.GetLabels()[wellknown.LatestSnapshotLabel] == "true"
}

// of reads the revisions of a placement, oldest first. What the cache does not have yet is read from the API.
func (h history[O]) of(ctx context.Context, placement v1beta1.PlacementObject) ([]*revision[O], error) {
	byIndex := map[int]*revision[O]{}
	for _, obj := range h.kind.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement)) {
		index, err := strconv.Atoi(obj.GetLabels()[h.indexLabel])
		if err != nil || index < 0 {
			continue
		}
		r := byIndex[index]
		if r == nil {
			r = &revision[O]{index: index}
			byIndex[index] = r
		}
		if obj.GetName() == h.name(placement.GetName(), index) {
			r.master = obj
		} else {
			r.parts = append(r.parts, obj)
		}
	}
	revisions := make([]*revision[O], 0, len(byIndex))
	for _, r := range byIndex {
		revisions = append(revisions, r)
	}
	slices.SortFunc(revisions, func(a, b *revision[O]) int { return cmp.Compare(a.index, b.index) })

	for next := nextIndex(revisions); ; next++ {
		name := h.name(placement.GetName(), next)
		master, err := h.kind.Client(placement.GetNamespace()).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return revisions, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading snapshot %s: %w", name, err)
		}
		revisions = append(revisions, &revision[O]{index: next, master: master})
	}
}

func newest[O fleet.Object](revisions []*revision[O]) *revision[O] {
	if len(revisions) == 0 {
		return nil
	}
	return revisions[len(revisions)-1]
}

func nextIndex[O fleet.Object](revisions []*revision[O]) int {
	if last := newest(revisions); last != nil {
		return last.index + 1
	}
	return 0
}

// object makes an empty object of a placement's revision.
func (h history[O]) object(placement v1beta1.PlacementObject, owner metav1.OwnerReference, index int, name string) O {
	obj := h.kind.New(reconcile.Key{Namespace: placement.GetNamespace(), Name: name})
	obj.SetLabels(map[string]string{
		wellknown.ParentPlacementLabel: placement.GetName(),
		h.indexLabel:                   strconv.Itoa(index),
	})
	obj.SetOwnerReferences([]metav1.OwnerReference{owner})
	return obj
}

// unmark takes the mark of the newest off every revision but the given one.
func (h history[O]) unmark(ctx context.Context, revisions []*revision[O], but *revision[O]) error {
	for _, r := range revisions {
		if r == but || !r.latest() {
			continue
		}
		if err := h.label(ctx, r.master, "", "false"); reconcile.IgnoreNotFound(err) != nil {
			return fmt.Errorf("unmarking snapshot %s: %w", r.master.GetName(), err)
		}
	}
	return nil
}

// mark makes a revision the one that is marked as the newest. It fails with a conflict where the master is not as it was read.
func (h history[O]) mark(ctx context.Context, revisions []*revision[O], r *revision[O]) error {
	if err := h.unmark(ctx, revisions, r); err != nil || r.latest() {
		return err
	}
	if err := h.label(ctx, r.master, r.master.GetResourceVersion(), "true"); err != nil {
		return fmt.Errorf("marking snapshot %s as the newest: %w", r.master.GetName(), err)
	}
	return nil
}

func (h history[O]) label(ctx context.Context, obj O, resourceVersion, latest string) error {
	return h.patch(ctx, obj, resourceVersion, map[string]any{"labels": map[string]string{wellknown.LatestSnapshotLabel: latest}})
}

// patch changes metadata, since the content of a snapshot never changes and can be large.
func (h history[O]) patch(ctx context.Context, obj O, resourceVersion string, metadata map[string]any) error {
	if resourceVersion != "" {
		metadata["resourceVersion"] = resourceVersion
	}
	data, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	_, err = h.kind.Client(obj.GetNamespace()).Patch(ctx, obj.GetName(), types.MergePatchType, data, metav1.PatchOptions{})
	return err
}

// prune deletes revisions beyond the newest ones, as many as the placement wants to keep, unless they are used.
func (h history[O]) prune(ctx context.Context, placement v1beta1.PlacementObject, revisions []*revision[O], used func() func(*revision[O]) bool) error {
	excess := len(revisions) - int(historyLimit(placement))
	if excess <= 0 {
		return nil
	}
	inUse := used()
	for _, r := range revisions[:excess] {
		if inUse(r) {
			continue
		}
		if err := h.remove(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a revision, the master last: what a killed server leaves behind is removed next time.
func (h history[O]) remove(ctx context.Context, r *revision[O]) error {
	objects := slices.Clone(r.parts)
	if r.hasMaster() {
		objects = append(objects, r.master)
	}
	for _, obj := range objects {
		if !obj.GetDeletionTimestamp().IsZero() {
			continue
		}
		err := h.kind.Client(obj.GetNamespace()).Delete(ctx, obj.GetName(), metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(obj.GetUID()))})
		if reconcile.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting snapshot %s: %w", obj.GetName(), err)
		}
	}
	return nil
}

// removeAll deletes everything of a placement, and says whether nothing is left.
func (h history[O]) removeAll(ctx context.Context, placement v1beta1.PlacementObject) (gone bool, err error) {
	objects := h.kind.ByIndex(fleet.ByPlacement, reconcile.KeyOf(placement))
	return len(objects) == 0, h.remove(ctx, &revision[O]{parts: objects})
}

const defaultHistoryLimit = 10

func historyLimit(placement v1beta1.PlacementObject) int32 {
	if limit := placement.PlacementSpec().RevisionHistoryLimit; limit != nil && *limit > 0 {
		return *limit
	}
	return defaultHistoryLimit
}

// ownedBy says whether an object was made for this very placement and not for an earlier one of its name.
func ownedBy(obj metav1.Object, placement v1beta1.PlacementObject) bool {
	owner := metav1.GetControllerOf(obj)
	return owner != nil && owner.UID == placement.GetUID()
}

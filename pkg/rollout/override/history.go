// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

// kept is how many versions of an override are kept, those in use beyond that aside.
const kept = 10

// history are the versions of an override.
type history struct {
	kind     fleet.Kind[v1beta1.OverrideSnapshotObject]
	override reconcile.Key
	// versions, oldest first, with those that somebody is deleting.
	versions []v1beta1.OverrideSnapshotObject
	// next is the index above those of all versions at which no object is.
	next int
}

// historyOf reads the versions of an override, which may be gone. What the cache does not have yet is read from the API.
func (c *Controller) historyOf(ctx context.Context, override reconcile.Key) (*history, error) {
	h := &history{kind: c.fleet.OverrideSnapshots, override: override}
	for _, snapshot := range h.kind.ByIndex(fleet.ByOverride, override) {
		h.add(snapshot)
	}
	slices.SortFunc(h.versions, func(a, b v1beta1.OverrideSnapshotObject) int { return cmp.Compare(indexOf(a), indexOf(b)) })
	for index := h.next; ; index++ {
		name := wellknown.OverrideSnapshotName(override.Name, index)
		snapshot, err := h.kind.Client(override.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return h, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading override snapshot %s: %w", name, err)
		}
		h.add(snapshot)
		h.next = index + 1
	}
}

// add takes in an object, unless it is no version and has but the name or the label of one.
func (h *history) add(snapshot v1beta1.OverrideSnapshotObject) {
	if index, ok := overrides.Index(snapshot); ok {
		h.versions = append(h.versions, snapshot)
		h.next = max(h.next, index+1)
	}
}

func indexOf(version v1beta1.OverrideSnapshotObject) int {
	index, _ := overrides.Index(version)
	return index
}

func (h *history) newest() v1beta1.OverrideSnapshotObject {
	for _, v := range slices.Backward(h.versions) {
		if v.GetDeletionTimestamp().IsZero() {
			return v
		}
	}
	return nil
}

// mark marks one version as the newest, or none, and no other. The newest comes last, so that never two are marked.
func (h *history) mark(ctx context.Context, newest v1beta1.OverrideSnapshotObject) error {
	for _, v := range h.versions {
		latest := strconv.FormatBool(v == newest)
		if v.GetLabels()[wellknown.LatestSnapshotLabel] == latest {
			continue
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{wellknown.LatestSnapshotLabel: latest}}})
		if err != nil {
			return err
		}
		_, err = h.client().Patch(ctx, v.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
		if reconcile.IgnoreNotFound(err) != nil {
			return fmt.Errorf("marking override snapshot %s: %w", v.GetName(), err)
		}
	}
	return nil
}

// make makes the next version. Its name is one that nothing uses, not even for a version that somebody has deleted.
func (h *history) make(ctx context.Context, override v1beta1.OverrideObject, used sets.Set[int]) error {
	if err := h.mark(ctx, nil); err != nil {
		return err
	}
	hash, err := hashOf(override)
	if err != nil {
		return fmt.Errorf("override %s: %w", h.override, err)
	}
	index := h.next
	for i := range used {
		index = max(index, i+1)
	}
	version := override.NewSnapshot([]byte(hash))
	version.SetNamespace(h.override.Namespace)
	version.SetName(wellknown.OverrideSnapshotName(h.override.Name, index))
	version.SetLabels(map[string]string{
		wellknown.ParentOverrideLabel: h.override.Name,
		wellknown.OverrideIndexLabel:  strconv.Itoa(index),
		wellknown.LatestSnapshotLabel: "true",
	})
	created, err := h.client().Create(ctx, version, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		// It is read at the next look.
		return apierrors.NewConflict(v1beta1.Resource("overridesnapshots"), version.GetName(), errors.New("it was made meanwhile"))
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case err != nil:
		return fmt.Errorf("creating override snapshot %s: %w", version.GetName(), err)
	}
	klog.FromContext(ctx).V(2).Info("Override snapshot made", "snapshot", klog.KObj(created))
	h.versions = append(h.versions, created)
	return nil
}

// remove deletes versions that are not used.
func (h *history) remove(ctx context.Context, versions []v1beta1.OverrideSnapshotObject, used sets.Set[int]) error {
	for _, v := range versions {
		if used.Has(indexOf(v)) || !v.GetDeletionTimestamp().IsZero() {
			continue
		}
		err := h.client().Delete(ctx, v.GetName(), metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(v.GetUID()))})
		if reconcile.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting override snapshot %s: %w", v.GetName(), err)
		}
	}
	return nil
}

func (h *history) client() fleet.Client[v1beta1.OverrideSnapshotObject] {
	return h.kind.Client(h.override.Namespace)
}

// hashOf is the hash that versions carry: of the JSON of the override's spec.
func hashOf(override v1beta1.OverrideObject) (string, error) {
	encoded, err := json.Marshal(override)
	if err != nil {
		return "", fmt.Errorf("encoding for the hash: %w", err)
	}
	var parts struct {
		Spec json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(encoded, &parts); err != nil {
		return "", fmt.Errorf("decoding for the hash: %w", err)
	}
	sum := sha256.Sum256(parts.Spec)
	return hex.EncodeToString(sum[:]), nil
}

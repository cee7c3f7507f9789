// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/overrides"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/revisions"
)

// kept is how many versions of an override are kept, those in use beyond that aside.
const kept = 10

// history returns how the versions of overrides are kept. A version is one object.
func history(f *fleet.Fleet) revisions.History[v1beta1.OverrideSnapshotObject] {
	return revisions.History[v1beta1.OverrideSnapshotObject]{
		Kind: f.OverrideSnapshots, ByParent: fleet.ByOverride, Name: wellknown.OverrideSnapshotName, IndexOf: overrides.Index,
	}
}

// create creates the next version. Its name is one that nothing uses, not even for a version that somebody has deleted.
func (c *Controller) create(ctx context.Context, key reconcile.Key, override v1beta1.OverrideObject, versions *revisions.List[v1beta1.OverrideSnapshotObject]) error {
	if err := versions.Unmark(ctx); err != nil {
		return err
	}
	hash, err := hashOf(override)
	if err != nil {
		return fmt.Errorf("override %s: %w", key, err)
	}
	index := versions.Next()
	for i := range c.used(key) {
		index = max(index, i+1)
	}
	version := override.NewSnapshot([]byte(hash))
	version.SetNamespace(key.Namespace)
	version.SetName(wellknown.OverrideSnapshotName(key.Name, index))
	version.SetLabels(map[string]string{
		wellknown.ParentOverrideLabel: key.Name,
		wellknown.OverrideIndexLabel:  strconv.Itoa(index),
		wellknown.LatestSnapshotLabel: "true",
	})
	created, err := c.fleet.OverrideSnapshots.Client(key.Namespace).Create(ctx, version, metav1.CreateOptions{})
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
	versions.Add(index, created)
	return nil
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

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// pruneOf is the version for which a Work lets go of what it has kept since an adoption, as a user has asked of the placement, and when
// they have; both are empty where it does not, so that an earlier request goes. A request is for what could be seen when it was made: a Work that has not said yet what
// it keeps, or says it only since then, waits for another one.
func (c *Controller) pruneOf(binding v1beta1.BindingObject, existing []*v1beta1.Work, name string) (snapshot, at string) {
	snapshot = binding.BindingSpec().ResourceSnapshotName
	placement, err := c.fleet.Placements.Get(placementOf(binding))
	if err != nil {
		return "", ""
	}
	asked := placement.PlacementStatus().Prune
	i := slices.IndexFunc(existing, func(w *v1beta1.Work) bool { return w.Name == name })
	if asked == nil || asked.ResourceSnapshotName != snapshot || i < 0 || existing[i].Annotations[wellknown.ParentSnapshotNameAnnotation] != snapshot {
		return "", ""
	}
	kept, begun := keptBy(existing[i]), existing[i].Annotations[wellknown.PruneAnnotation] == snapshot
	if kept == nil && !begun || kept != nil && kept.LastTransitionTime.After(asked.Time.Time) {
		return "", ""
	}
	// One that has begun goes on although it names nothing any more: the applier may have to try again.
	return snapshot, asked.Time.UTC().Format(time.RFC3339)
}

// keptBy is the condition in which a Work names what it has kept since an adoption, nil where it keeps nothing.
func keptBy(work *v1beta1.Work) *metav1.Condition {
	c := conditions.Find(work.Status.Conditions, v1beta1.WorkObjectsKept, work.Generation)
	if c == nil || c.Status != metav1.ConditionTrue {
		return nil
	}
	return c
}

// tellOfPruning tells in an Event on the placement that a Work lets go of what it has kept, once it does. The Events for all clusters
// are the same, so that they are counted as one.
func (c *Controller) tellOfPruning(binding v1beta1.BindingObject, before, after *v1beta1.Work) {
	snapshot := after.Annotations[wellknown.PruneAnnotation]
	if snapshot == "" || before.Annotations[wellknown.PruneAnnotation] == snapshot {
		return
	}
	placement, err := c.fleet.Placements.Get(placementOf(binding))
	if err != nil || placement.PlacementStatus().Prune == nil {
		return
	}
	asked := placement.PlacementStatus().Prune
	c.recorder.Eventf(placement, corev1.EventTypeNormal, "Pruned", "%s lets go of what clusters with resource snapshot %s have kept since an adoption: %s",
		asked.User.Username, snapshot, asked.Reason)
}

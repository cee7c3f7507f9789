// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// urgent reports whether somebody may be waiting for the status of a placement: the placement was edited, a version begins to roll out
// by itself, or the last cluster of a rollout is done. The rest is progress, and may come a little later.
func urgent(placement v1beta1.PlacementObject, w world) bool {
	scheduled := meta.FindStatusCondition(placement.PlacementStatus().Conditions,
		v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementScheduled))
	if scheduled == nil || scheduled.ObservedGeneration != placement.GetGeneration() {
		return true
	}
	return isNews(placement, w.index[w.latest]) || !saidDone(placement) && areDone(w.bindings)
}

// saidDone reports whether the status tells that all clusters have what they should.
func saidDone(placement v1beta1.PlacementObject) bool {
	for _, t := range []string{v1beta1.PlacementAvailable, v1beta1.PlacementDiffReported} {
		if meta.IsStatusConditionTrue(placement.PlacementStatus().Conditions, v1beta1.PlacementConditionType(placement.GetNamespace(), t)) {
			return true
		}
	}
	return false
}

// areDone reports whether all clusters have one version.
func areDone(bindings []v1beta1.BindingObject) bool {
	for _, b := range bindings {
		if b.BindingSpec().ResourceSnapshotName != bindings[0].BindingSpec().ResourceSnapshotName || !bindingrules.IsReady(b) {
			return false
		}
	}
	return len(bindings) > 0
}

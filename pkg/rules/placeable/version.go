// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// NeverAnything reports whether the version of a placement at an index, which has no object, comes after none that had one: rolling it out
// does nothing, which nobody means. Any other version without objects is a removal. It errs on that side: versions may be gone by now, so
// that one with another before it counts as a removal, and so does one that a cluster would get in place of another.
func NeverAnything(placement v1beta1.PlacementObject, index int, snapshots []v1beta1.ResourceSnapshotObject, bindings []v1beta1.BindingObject) bool {
	if index != 0 {
		return false
	}
	for _, s := range snapshots {
		if len(s.SnapshotSpec().SelectedResources) > 0 {
			return false
		}
	}
	for _, b := range bindings {
		if name := b.BindingSpec().ResourceSnapshotName; name != "" && name != wellknown.ResourceSnapshotName(placement.GetName(), index) {
			return false
		}
	}
	return true
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// warnings tell of selectors that find nothing, and what rolling out what is found would take away from members.
func (s *Source) warnings(placement v1beta1.PlacementObject, found *selected) []string {
	kept := make([]v1beta1.ResourceIdentifier, 0, len(found.items))
	for _, i := range found.items {
		kept = append(kept, i.id)
	}
	var warnings []string
	switch {
	case len(found.items) == 0:
		warnings = append(warnings, fmt.Sprintf("placement %s selects nothing: %s", nameOf(placement), found.missing()))
	case len(found.nothing) > 0:
		warnings = append(warnings, fmt.Sprintf("some selectors of placement %s select nothing: %s", nameOf(placement), found.missing()))
	}
	key := reconcile.KeyOf(placement)
	onClusters := snapshotrules.OnClusters(s.fleet.Bindings.ByIndex(fleet.ByPlacement, key), s.fleet.Snapshots.ByIndex(fleet.ByPlacement, key))
	if removed := snapshotrules.Removed(onClusters, kept); len(removed) > 0 {
		warnings = append(warnings, fmt.Sprintf("%d object(s) that member clusters have from placement %s are no longer selected and will be removed: %s",
			len(removed), nameOf(placement), snapshotrules.Listed(removed)))
	}
	return warnings
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// removals warn of objects that clusters have and a snapshot has not: rolling it out takes them away. Where clusters go back to several
// snapshots there is no one index, and nothing to say.
func removals(f *fleet.Fleet, placement v1beta1.PlacementObject, index string) []string {
	if index == "" {
		return nil
	}
	key := keyOf(placement)
	snapshots := f.Snapshots.ByIndex(fleet.ByPlacement, key)
	kept := snapshotrules.IDs(snapshotrules.Contents(snapshotrules.Resources(snapshots, index)))
	removed := snapshotrules.Removed(snapshotrules.OnClusters(f.Bindings.ByIndex(fleet.ByPlacement, key), snapshots), kept)
	if len(removed) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d object(s) that member clusters have from placement %s are not in resource snapshot %s and will be removed: %s",
		len(removed), placement.GetName(), index, snapshotrules.Listed(removed))}
}

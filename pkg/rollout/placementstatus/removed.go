// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Nobody approves what RollingUpdate removes from members, so that the placement names it: in an Event when the version is seen, and
// behind its condition RolloutStarted until all clusters have the version. The status as stored tells whether a version is news: it
// lists what the one before held.

// isNews reports whether the newest version is one that the status of a placement under RollingUpdate does not tell of yet.
func isNews(placement v1beta1.PlacementObject, index string) bool {
	was := placement.PlacementStatus().ObservedResourceIndex
	return rolls(placement) && index != "" && index != was
}

// rolls reports whether new versions of a placement reach clusters by themselves, and change them.
func rolls(placement v1beta1.PlacementObject) bool {
	strategy := &placement.PlacementSpec().Strategy
	return !runrules.IsExternal(placement.PlacementSpec()) &&
		(strategy.ApplyStrategy == nil || strategy.ApplyStrategy.Type != v1beta1.ApplyStrategyTypeReportDiff)
}

// removedBy names what a version takes from members that the next status of a placement is the first to tell of, or nothing.
func removedBy(placement v1beta1.PlacementObject, next *v1beta1.PlacementStatus, w world) string {
	if !isNews(placement, next.ObservedResourceIndex) {
		return ""
	}
	had := slices.Concat(snapshotrules.WithoutEnvelopes(placement.PlacementStatus().SelectedResources), w.onClusters())
	removed := snapshotrules.Removed(had, w.contents(next.ObservedResourceIndex))
	if len(removed) == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d object(s) from member clusters: %s", removes(next), len(removed), snapshotrules.Listed(removed))
}

// removes begins what is said of removals by the version that a status tells of.
func removes(status *v1beta1.PlacementStatus) string {
	return fmt.Sprintf("resource snapshot %s removes ", status.ObservedResourceIndex)
}

// stillRemoved is what the status of a placement says already about removals by the version that the next one tells of, or nothing.
func stillRemoved(placement v1beta1.PlacementObject, next *v1beta1.PlacementStatus) string {
	said := meta.FindStatusCondition(placement.PlacementStatus().Conditions,
		v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementRolloutStarted))
	if said == nil || !rolls(placement) {
		return ""
	}
	_, names, found := strings.Cut(said.Message, "; "+removes(next))
	if !found {
		return ""
	}
	return removes(next) + names
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// maxTrouble bounds what is said of the trouble of one cluster, in bytes: most of it can be the member's own words.
const maxTrouble = 512

// Trouble returns what keeps a cluster from having what it is to have, by what the status of a placement says of it: the first object that the
// cluster has trouble with, or else the step that failed. It returns nothing as long as all is on its way.
func Trouble(cluster *v1beta1.PerClusterPlacementStatus) string {
	for _, conditionType := range []string{
		v1beta1.PlacementOverridden, v1beta1.PlacementWorkSynchronized, v1beta1.PlacementApplied, v1beta1.PlacementAvailable, v1beta1.PlacementDiffReported,
	} {
		c := meta.FindStatusCondition(cluster.Conditions, conditionType)
		if c == nil || c.Status != metav1.ConditionFalse {
			continue
		}
		objects := slices.Contains([]string{v1beta1.PlacementApplied, v1beta1.PlacementAvailable}, conditionType) ||
			conditionType == v1beta1.PlacementWorkSynchronized && ObjectCannotHeal(cluster.FailedPlacements, cluster.DiffedPlacements) != nil
		switch {
		case objects && len(cluster.FailedPlacements) > 0:
			return wording.OneLine(FirstFailed(cluster.FailedPlacements), maxTrouble)
		case objects && c.Reason != wellknown.ReasonClusterUnreachable, c.Reason == wellknown.ReasonDiffReportInProgress:
			return ""
		}
		return wording.OneLine(c.Message, maxTrouble)
	}
	return ""
}

// FirstFailed tells of the first of the objects that failed, and how many others have. There must be one.
func FirstFailed(failed []v1beta1.FailedResourcePlacement) string {
	name := failed[0].Kind + " " + wording.Key(failed[0].Namespace, failed[0].Name)
	if more := len(failed) - 1; more > 0 {
		name += " and " + wording.Count(more, "other object")
	}
	return name + ": " + failed[0].Condition.Message
}

// FirstTrouble tells of the first of some clusters that has trouble, and how many others have; nothing where none has. Where there are more
// clusters than these, those that have trouble come first.
func FirstTrouble(clusters []v1beta1.PerClusterPlacementStatus, all bool) string {
	first, others := "", 0
	for i := range clusters {
		trouble := Trouble(&clusters[i])
		switch {
		case trouble == "":
		case first == "":
			first = fmt.Sprintf("cluster %s: %s", clusters[i].ClusterName, trouble)
		default:
			others++
		}
	}
	switch {
	case !all && others >= MaxListed-1:
		first += fmt.Sprintf("; and at least %d more", others)
	case others > 0:
		first += fmt.Sprintf("; and %d more", others)
	}
	return first
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// A condition of a placement counts clusters. What follows the number names the first of them that somebody must look at: of many clusters, or on
// a screen, what the status says of each is far away.

// maxLeftOut bounds what a placement says of overrides that were left out, in bytes.
const maxLeftOut = 512

// details are what a placement says of a step besides the number of clusters, or nothing.
func (s step) details(result metav1.ConditionStatus, picked []v1beta1.BindingObject, clusters []v1beta1.PerClusterPlacementStatus) string {
	switch {
	case result == metav1.ConditionTrue && s.conditionType == v1beta1.PlacementOverridden:
		return leftOut(clusters)
	case result == metav1.ConditionTrue && s.conditionType == v1beta1.PlacementDiffReported:
		return different(picked)
	case result != metav1.ConditionFalse || s.conditionType == v1beta1.PlacementRolloutStarted:
		return ""
	}
	var failing []v1beta1.PerClusterPlacementStatus
	listed := false
	for i := range clusters {
		if meta.IsStatusConditionFalse(clusters[i].Conditions, s.conditionType) {
			failing = append(failing, clusters[i])
			listed = listed || len(clusters[i].FailedPlacements) > 0
		}
	}
	details := ""
	if listed && s.conditionType == v1beta1.PlacementApplied {
		details = ", please check the `failedPlacements` status"
	}
	if trouble := bindingrules.FirstTrouble(failing, true); trouble != "" {
		details += "; " + trouble
	}
	return details
}

// leftOut counts the clusters where overrides were left out, with what the first says of that.
func leftOut(clusters []v1beta1.PerClusterPlacementStatus) string {
	first, found := "", 0
	for i := range clusters {
		c := meta.FindStatusCondition(clusters[i].Conditions, v1beta1.PlacementOverridden)
		if c == nil {
			continue
		}
		if said, without := strings.CutPrefix(c.Message, wellknown.MessageOverridden+". "); without {
			if found++; found == 1 {
				first = fmt.Sprintf("cluster %s: %s", clusters[i].ClusterName, said)
			}
		}
	}
	if found == 0 {
		return ""
	}
	return fmt.Sprintf("; overrides are left out in %d cluster(s), %s", found, wording.Shorten(first, maxLeftOut))
}

// different names the clusters where objects differ from the version. It asks the bindings, whose lists are never cut to nothing.
func different(picked []v1beta1.BindingObject) string {
	var names []string
	for _, b := range picked {
		if len(b.BindingStatus().DiffedPlacements) > 0 {
			names = append(names, b.BindingSpec().TargetCluster)
		}
	}
	if len(names) == 0 {
		return "; nothing differs"
	}
	return fmt.Sprintf("; objects differ in %d of them, see `diffedPlacements`: %s", len(names), wording.List(names))
}

// blockedBy names the cluster that the others wait for under RollingUpdate, with what they may miss at most, or nothing where none waits.
func blockedBy(placement v1beta1.PlacementObject, picked []v1beta1.BindingObject, clusters []v1beta1.PerClusterPlacementStatus, wanted func(string) bindingrules.Version) string {
	waits := false
	for i := range clusters {
		c := meta.FindStatusCondition(clusters[i].Conditions, v1beta1.PlacementRolloutStarted)
		waits = waits || c != nil && c.Status == metav1.ConditionFalse && c.Reason == rolloutStarted.whenFalse.reason
	}
	if wanted == nil || !waits {
		return ""
	}
	first, others := "", 0
	for i, b := range picked {
		if bindingrules.IsReady(b) || !bindingrules.IsRolloutStarted(b) || !bindingrules.Holds(b.BindingSpec(), wanted(b.BindingSpec().TargetCluster)) {
			continue
		}
		trouble := bindingrules.Trouble(&clusters[i])
		if trouble == "" {
			trouble = "it is being updated"
		}
		if first == "" {
			first = fmt.Sprintf("cluster %s: %s", clusters[i].ClusterName, trouble)
		} else {
			others++
		}
	}
	if first == "" {
		return ""
	}
	if others > 0 {
		first += fmt.Sprintf("; and %d more", others)
	}
	pace := placement.PlacementSpec().Strategy.RollingUpdate.WithDefaults()
	return fmt.Sprintf("; maxUnavailable %s waits for %s", pace.MaxUnavailable, first)
}

// noVersion is what is said in place of a rollout where nothing is rolled out since the selectors are wrong, or nothing.
func noVersion(placement v1beta1.PlacementObject, status *v1beta1.PlacementStatus, clusters int) string {
	selected := meta.FindStatusCondition(status.Conditions, v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementResourcesSelected))
	if selected == nil || selected.Status != metav1.ConditionFalse {
		return ""
	}
	return fmt.Sprintf("No version is made for %d cluster(s): %s", clusters, selected.Reason)
}

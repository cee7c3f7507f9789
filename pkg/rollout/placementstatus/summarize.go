// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

const reasonExternal = "RolloutControlledByExternalController"

// world is what a placement's status is derived from.
type world struct {
	// policy is the latest policy snapshot, or nil.
	policy v1beta1.PolicySnapshotObject
	// bindings of the placement.
	bindings []v1beta1.BindingObject
	// latest is the name of the newest master snapshot; empty as long as there is none.
	latest string
	// wanted is what a cluster is to hold under RollingUpdate; nil as long as that is not known.
	wanted func(cluster string) bindingrules.Version
	// index is the index of a master snapshot by its name; a snapshot that is gone has none.
	index map[string]string
	// resources lists what a master snapshot and its parts hold.
	resources func(name string) []v1beta1.ResourceIdentifier
	// contents lists what the version at an index has for clusters: what envelopes carry in their place.
	contents func(index string) []v1beta1.ResourceIdentifier
	// neverAnything reports whether the master snapshot at an index, which holds nothing, comes after none that held something.
	neverAnything func(index string) bool
	// onClusters lists what clusters have or are getting, at whatever index.
	onClusters func() []v1beta1.ResourceIdentifier
}

// summarize makes the status of a placement from its present one and the world. The two have in common what does not change but conditions.
func summarize(placement v1beta1.PlacementObject, w world, now metav1.Time) *v1beta1.PlacementStatus {
	status := new(*placement.PlacementStatus())
	status.Conditions = slices.Clone(status.Conditions)
	set := func(conditionType string, s metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: v1beta1.PlacementConditionType(placement.GetNamespace(), conditionType), Status: s, Reason: reason, Message: message,
			ObservedGeneration: placement.GetGeneration(), LastTransitionTime: now,
		})
	}
	setRemaining(placement, status, w.bindings, now)
	condition := scheduled(placement, w.policy)
	condition.LastTransitionTime = now
	meta.SetStatusCondition(&status.Conditions, condition)
	if condition.Status == metav1.ConditionUnknown {
		// What was said of the clusters stands for an older generation until scheduling is done.
		status.PerClusterPlacementStatuses, status.SelectedClusters = nil, 0
		return status
	}

	spec := placement.PlacementSpec()
	way := steps(spec)
	picked := slices.DeleteFunc(slices.Clone(w.bindings), func(b v1beta1.BindingObject) bool {
		return !bindingrules.IsPicked(b)
	})
	slices.SortFunc(picked, func(a, b v1beta1.BindingObject) int {
		return cmp.Compare(a.BindingSpec().TargetCluster, b.BindingSpec().TargetCluster)
	})
	before := make(map[string]*v1beta1.PerClusterPlacementStatus, len(status.PerClusterPlacementStatuses))
	for i := range status.PerClusterPlacementStatuses {
		before[status.PerClusterPlacementStatuses[i].ClusterName] = &status.PerClusterPlacementStatuses[i]
	}
	var wanted func(string) bindingrules.Version
	if !runrules.IsExternal(spec) {
		wanted = w.wanted
	}
	entries := make([]v1beta1.PerClusterPlacementStatus, 0, len(picked))
	for _, b := range picked {
		cluster := b.BindingSpec().TargetCluster
		entries = append(entries, perCluster(placement, b, way, w.index[b.BindingSpec().ResourceSnapshotName], wanted, before[cluster], now))
	}
	// What is said of the placement is of all clusters, whether they are listed or not.
	clusters := entries
	listed := bindingrules.List(entries)
	trimmed := trim(listed)
	status.SelectedClusters = 0
	if len(listed) < len(clusters) {
		status.SelectedClusters = int32(len(clusters)) // #nosec G115 -- as many as there are bindings in the cache
		condition.Message += "; " + fmt.Sprintf(messageClustersLeftOut, len(listed), len(clusters))
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	if condition.Status == metav1.ConditionFalse && w.policy != nil {
		listed = append(slices.Clip(listed), unscheduled(placement, w.policy, status.PerClusterPlacementStatuses, now)...)
	}
	status.PerClusterPlacementStatuses = listed

	remove := func(rest []step) {
		for _, s := range rest {
			conditions.Remove(&status.Conditions, v1beta1.PlacementConditionType(placement.GetNamespace(), s.conditionType))
		}
	}
	observed := func(snapshot string) {
		index := w.index[snapshot]
		if index == "" {
			status.ObservedResourceIndex, status.SelectedResources = "", nil
		} else if status.ObservedResourceIndex != index || len(status.SelectedResources) == 0 {
			// A snapshot never changes, so that its resources are read once.
			status.ObservedResourceIndex, status.SelectedResources = index, w.resources(snapshot)
		}
	}
	if len(picked) == 0 {
		remove(allSteps)
		observed("")
		return status
	}

	snapshot := w.latest
	if runrules.IsExternal(spec) {
		var undecided string
		if snapshot, undecided = agreed(picked, clusters); undecided != "" {
			remove(allSteps[1:])
			observed(snapshot)
			set(v1beta1.PlacementRolloutStarted, metav1.ConditionUnknown, reasonExternal, undecided)
			return status
		}
	}
	observed(snapshot)
	empty := status.ObservedResourceIndex != "" && len(status.SelectedResources) == 0
	removed := cmp.Or(removedBy(placement, status, w), stillRemoved(placement, status))
	for i, s := range way {
		result, reason, message := count(s, clusters)
		switch {
		case !empty || s.empty == "" || result != metav1.ConditionTrue:
		case w.neverAnything(status.ObservedResourceIndex):
			result, reason, message = metav1.ConditionFalse, wellknown.ReasonNothingSelected, fmt.Sprintf(messageNothing, len(clusters))
		default:
			message = fmt.Sprintf(s.empty, len(clusters))
		}
		if !empty || result != metav1.ConditionTrue {
			message += s.details(result, picked, clusters)
		}
		if i == 0 {
			message += blockedBy(placement, picked, clusters, wanted)
			if w.latest == "" {
				message = cmp.Or(noVersion(placement, status, len(clusters)), message)
			}
		}
		if kept := keptByPolicies(clusters); i == 0 && kept != "" {
			message += "; " + kept
		}
		if i == 0 && removed != "" && !allHave(way, clusters) {
			message += "; " + removed
		}
		if trimmed && s.lists() && result != metav1.ConditionUnknown {
			message += "; " + messageObjectsLeftOut
		}
		set(s.conditionType, result, reason, message)
		if result != metav1.ConditionTrue {
			remove(way[i+1:])
			break
		}
	}
	for _, s := range allSteps {
		if !has(way, s) {
			remove([]step{s})
		}
	}
	return status
}

// agreed is the snapshot that all clusters hold under the External strategy. As long as they do not agree, or one has not begun, it
// says why nothing can be said of the placement as a whole.
func agreed(picked []v1beta1.BindingObject, clusters []v1beta1.PerClusterPlacementStatus) (snapshot, undecided string) {
	snapshot = picked[0].BindingSpec().ResourceSnapshotName
	for i := range clusters {
		if clusters[i].ObservedResourceIndex != clusters[0].ObservedResourceIndex {
			return "", "Rollout is controlled by an external controller and different resource snapshot versions are observed across clusters"
		}
	}
	if clusters[0].ObservedResourceIndex == "" {
		return "", "Rollout is controlled by an external controller and no resource snapshot name is observed across clusters. To determine rollout status, " +
			"check the ClusterStagedUpdateRun (or StagedUpdateRun) resources with spec.placementName matching this placement"
	}
	for i := range clusters {
		if c := meta.FindStatusCondition(clusters[i].Conditions, v1beta1.PlacementRolloutStarted); c == nil || c.Status == metav1.ConditionUnknown {
			return snapshot, fmt.Sprintf("Rollout is controlled by an external controller and cluster %s is in RolloutStarted Unknown state", clusters[i].ClusterName)
		}
	}
	return snapshot, ""
}

// allHave reports whether all clusters have gone the whole way.
func allHave(way []step, clusters []v1beta1.PerClusterPlacementStatus) bool {
	for _, s := range way {
		if result, _, _ := count(s, clusters); result != metav1.ConditionTrue {
			return false
		}
	}
	return true
}

// keptByPolicies names the clusters that rollout policies keep from moving, with what the policies say of the first of them.
func keptByPolicies(clusters []v1beta1.PerClusterPlacementStatus) string {
	var kept []string
	why := ""
	for i := range clusters {
		c := meta.FindStatusCondition(clusters[i].Conditions, v1beta1.PlacementRolloutStarted)
		if c != nil && c.Reason == wellknown.ReasonRolloutPolicyViolated {
			kept = append(kept, clusters[i].ClusterName)
			why = cmp.Or(why, c.Message)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	return fmt.Sprintf("rollout policies keep %s: %s", wording.List(kept), why)
}

// count sums up one step over all clusters: Unknown as long as one has not come to it, False if one failed, else True.
func count(s step, clusters []v1beta1.PerClusterPlacementStatus) (result metav1.ConditionStatus, reason, message string) {
	var unknown, failed int
	overrides := false
	for i := range clusters {
		c := meta.FindStatusCondition(clusters[i].Conditions, s.conditionType)
		switch {
		case c == nil || c.Status == metav1.ConditionUnknown:
			unknown++
		case c.Status == metav1.ConditionFalse:
			failed++
		case c.Reason != noOverrides.reason:
			overrides = true
		}
	}
	switch {
	case unknown > 0:
		return metav1.ConditionUnknown, s.whenUnknown.reason, s.whenUnknown.message(unknown)
	case failed > 0:
		return metav1.ConditionFalse, s.whenFalse.reason, s.whenFalse.message(failed)
	case s.conditionType == v1beta1.PlacementOverridden && !overrides:
		return metav1.ConditionTrue, noOverrides.reason, noOverrides.message
	}
	return metav1.ConditionTrue, s.whenTrue.reason, s.whenTrue.message(len(clusters))
}

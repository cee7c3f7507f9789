// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

var statusPath = field.NewPath("status")

// validateConditions checks a list of conditions unless it is the stored one: the status of a run holds tens of thousands, few of
// which change in a write.
func validateConditions(conditions, oldConditions []metav1.Condition, path *field.Path) field.ErrorList {
	if slices.EqualFunc(conditions, oldConditions, equalCondition) {
		return nil
	}
	return metav1validation.ValidateConditions(conditions, path)
}

func equalCondition(a, b metav1.Condition) bool {
	sameTime := a.LastTransitionTime.Equal(&b.LastTransitionTime)
	a.LastTransitionTime = b.LastTransitionTime
	return sameTime && a == b
}

// at is the element of a list, or the zero value where the list is shorter.
func at[T any](list []T, i int) T {
	if i < len(list) {
		return list[i]
	}
	var zero T
	return zero
}

func validatePlacementStatus(status, oldStatus *v1beta1.PlacementStatus, path *field.Path) field.ErrorList {
	errs := validateConditions(status.Conditions, oldStatus.Conditions, path.Child("conditions"))
	for i := range status.PerClusterPlacementStatuses {
		cluster, oldCluster := status.PerClusterPlacementStatuses[i], at(oldStatus.PerClusterPlacementStatuses, i)
		clusterPath := path.Child("placementStatuses").Index(i)
		errs = append(errs, validateConditions(cluster.Conditions, oldCluster.Conditions, clusterPath.Child("conditions"))...)
		errs = append(errs, validateFailedPlacements(cluster.FailedPlacements, oldCluster.FailedPlacements, clusterPath.Child("failedPlacements"))...)
	}
	return errs
}

func validateFailedPlacements(failed, oldFailed []v1beta1.FailedResourcePlacement, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range failed {
		if !equalCondition(failed[i].Condition, at(oldFailed, i).Condition) {
			errs = append(errs, metav1validation.ValidateCondition(failed[i].Condition, path.Index(i).Child("condition"))...)
		}
	}
	return errs
}

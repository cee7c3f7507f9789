// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidateResourceSnapshot returns what is wrong with a new resource snapshot.
func ValidateResourceSnapshot(object v1beta1.ResourceSnapshotObject) field.ErrorList {
	var errs field.ErrorList
	for i, resource := range object.SnapshotSpec().SelectedResources {
		errs = append(errs, validateManifest(resource.RawExtension, specPath.Child("selectedResources").Index(i))...)
	}
	return errs
}

// ValidateResourceSnapshotUpdate refuses to rewrite history.
func ValidateResourceSnapshotUpdate(object, old v1beta1.ResourceSnapshotObject) field.ErrorList {
	return immutable(object.SnapshotSpec(), old.SnapshotSpec())
}

// ValidateResourceSnapshotStatusUpdate returns what is wrong with a resource snapshot's new status.
func ValidateResourceSnapshotStatusUpdate(object, old v1beta1.ResourceSnapshotObject) field.ErrorList {
	return validateConditions(object.SnapshotStatus().Conditions, old.SnapshotStatus().Conditions, statusPath.Child("conditions"))
}

// ValidatePolicySnapshot returns what is wrong with a new policy snapshot. It holds a placement's policy without its
// numberOfClusters, so that not all rules for a policy apply.
func ValidatePolicySnapshot(object v1beta1.PolicySnapshotObject) field.ErrorList {
	policy := object.PolicySnapshotSpec().Policy
	if policy == nil {
		return nil
	}
	return validateTolerations(policy.Tolerations, specPath.Child("policy", "tolerations"))
}

// ValidatePolicySnapshotUpdate refuses to rewrite history.
func ValidatePolicySnapshotUpdate(object, old v1beta1.PolicySnapshotObject) field.ErrorList {
	return immutable(object.PolicySnapshotSpec(), old.PolicySnapshotSpec())
}

// ValidatePolicySnapshotStatusUpdate returns what is wrong with a policy snapshot's new status.
func ValidatePolicySnapshotStatusUpdate(object, old v1beta1.PolicySnapshotObject) field.ErrorList {
	return validateConditions(object.PolicySnapshotStatus().Conditions, old.PolicySnapshotStatus().Conditions, statusPath.Child("conditions"))
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// ValidateWork returns what is wrong with a new Work.
func ValidateWork(work *v1beta1.Work) field.ErrorList {
	var errs field.ErrorList
	for i, manifest := range work.Spec.Workload.Manifests {
		errs = append(errs, validateManifest(manifest.RawExtension, specPath.Child("workload", "manifests").Index(i))...)
	}
	errs = append(errs, validateApplyStrategy(work.Spec.ApplyStrategy, specPath.Child("applyStrategy"))...)
	return append(errs, validateReportBackStrategy(work.Spec.ReportBackStrategy, specPath.Child("reportBackStrategy"))...)
}

// ValidateWorkUpdate returns what is wrong with a changed Work.
func ValidateWorkUpdate(work, old *v1beta1.Work) field.ErrorList {
	return ifChanged(&work.Spec, &old.Spec, func() field.ErrorList { return ValidateWork(work) })
}

// ValidateWorkStatusUpdate returns what is wrong with a Work's new status.
func ValidateWorkStatusUpdate(work, old *v1beta1.Work) field.ErrorList {
	errs := validateConditions(work.Status.Conditions, old.Status.Conditions, statusPath.Child("conditions"))
	for i := range work.Status.ManifestConditions {
		errs = append(errs, validateConditions(work.Status.ManifestConditions[i].Conditions, at(old.Status.ManifestConditions, i).Conditions,
			statusPath.Child("manifestConditions").Index(i).Child("conditions"))...)
	}
	return errs
}

// ValidateAppliedWork returns what is wrong with a new AppliedWork beyond what its type says, which is nothing.
func ValidateAppliedWork(*v1beta1.AppliedWork) field.ErrorList {
	return nil
}

// ValidateAppliedWorkUpdate refuses to let an AppliedWork stand for another Work, since it owns what was applied for the first.
func ValidateAppliedWorkUpdate(object, old *v1beta1.AppliedWork) field.ErrorList {
	return immutable(&object.Spec, &old.Spec)
}

// ValidateAppliedWorkStatusUpdate returns what is wrong with an AppliedWork's new status beyond what its type says, which is nothing.
func ValidateAppliedWorkStatusUpdate(_, _ *v1beta1.AppliedWork) field.ErrorList {
	return nil
}

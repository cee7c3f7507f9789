// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func validateRolloutStrategy(strategy *v1beta1.RolloutStrategy, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if rolling := strategy.RollingUpdate; rolling != nil {
		rollingPath := path.Child("rollingUpdate")
		if strategy.Type == v1beta1.ExternalRolloutStrategyType {
			errs = append(errs, field.Forbidden(rollingPath, "rollingUpdateConifg is not valid for ExternalRollout strategy type"))
		}
		errs = append(errs, ValidateShareOfClusters(rolling.MaxUnavailable, rollingPath, "maxUnavailable")...)
		errs = append(errs, ValidateShareOfClusters(rolling.MaxSurge, rollingPath, "maxSurge")...)
	}
	errs = append(errs, validateApplyStrategy(strategy.ApplyStrategy, path.Child("applyStrategy"))...)
	return append(errs, validateReportBackStrategy(strategy.ReportBackStrategy, path.Child("reportBackStrategy"))...)
}

// ValidateShareOfClusters returns what is wrong with a number of clusters or a percentage of them, 0 in either form, in the field of that
// name below the path. Nil is legal.
func ValidateShareOfClusters(share *intstr.IntOrString, path *field.Path, name string) field.ErrorList {
	if share == nil {
		return nil
	}
	// The total matters only in that no valid share of it is negative.
	value, err := intstr.GetScaledValueFromIntOrPercent(share, 100, true)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path.Child(name), share.String(), fmt.Sprintf("%s `%s` is invalid: %v", name, share, err))}
	case value < 0:
		return field.ErrorList{field.Invalid(path.Child(name), share.String(), fmt.Sprintf("%s must be greater than or equal to 0, got `%s`", name, share))}
	case share.Type == intstr.String && !percentage.MatchString(share.StrVal):
		return field.ErrorList{notMatching(path.Child(name), share.StrVal, percentage, `write a number such as 2, or a percentage from "0%" to "100%"`)}
	}
	return nil
}

func validateApplyStrategy(strategy *v1beta1.ApplyStrategy, path *field.Path) field.ErrorList {
	if strategy == nil || strategy.ServerSideApplyConfig == nil || strategy.Type == v1beta1.ApplyStrategyTypeServerSideApply {
		return nil
	}
	return field.ErrorList{field.Forbidden(path.Child("serverSideApplyConfig"), "serverSideApplyConfig is only valid for ServerSideApply strategy type")}
}

func validateReportBackStrategy(strategy *v1beta1.ReportBackStrategy, path *field.Path) field.ErrorList {
	if strategy == nil || strategy.Type != v1beta1.ReportBackStrategyTypeMirror || strategy.Destination != nil {
		return nil
	}
	return field.ErrorList{field.Required(path.Child("destination"), "when reportBackStrategy.type is 'Mirror', a destination must be specified")}
}

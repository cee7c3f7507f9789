// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Code generated from v1beta1 by hack/update-codegen.sh. DO NOT EDIT.

package v1

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
)

// selectableFields lists, by kind, what field selectors may ask for beyond metadata.name and metadata.namespace. The registry's
// table of resources computes the values.
var selectableFields = map[string][]string{
	"ApprovalRequest":        {"spec.parentStageRollout", "spec.targetStage"},
	"ClusterApprovalRequest": {"spec.parentStageRollout", "spec.targetStage"},
	"StagedUpdateRun":        {"spec.placementName", "spec.state"},
	"ClusterStagedUpdateRun": {"spec.placementName", "spec.state"},
	"ResourceBinding":        {"spec.targetCluster", "spec.resourceSnapshotName"},
	"ClusterResourceBinding": {"spec.targetCluster", "spec.resourceSnapshotName"},
}

func addFieldLabelConversions(scheme *runtime.Scheme) error {
	for kind, allowed := range selectableFields {
		convert := func(label, value string) (string, string, error) {
			if label == "metadata.name" || label == "metadata.namespace" || slices.Contains(allowed, label) {
				return label, value, nil
			}
			return "", "", fmt.Errorf("%q is not a field that %s can be selected by; use metadata.name, metadata.namespace or one of %q", label, kind, allowed)
		}
		if err := scheme.AddFieldLabelConversionFunc(SchemeGroupVersion.WithKind(kind), convert); err != nil {
			return fmt.Errorf("adding the selectable fields of %s: %w", kind, err)
		}
	}
	return nil
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// Compares reports whether a run only compares a cluster with a version, by the applyStrategy ReportDiff, and writes nothing to it.
func Compares(status *v1beta1.UpdateRunStatus, c *v1beta1.ClusterUpdatingStatus) bool {
	return bindingrules.Compares(cmp.Or(c.ApplyStrategy, status.ApplyStrategy))
}

// StageCompares reports whether a run only compares all clusters of a stage, and takes nothing off them.
func StageCompares(status *v1beta1.UpdateRunStatus, stage *v1beta1.StageUpdatingStatus) bool {
	if stage == status.DeletionStageStatus {
		return false
	}
	for i := range stage.Clusters {
		if !Compares(status, &stage.Clusters[i]) {
			return false
		}
	}
	return len(stage.Clusters) > 0 || bindingrules.Compares(status.ApplyStrategy)
}

// RunCompares reports whether a run only compares clusters in all its stages. It may take resources off others in its delete stage.
func RunCompares(status *v1beta1.UpdateRunStatus) bool {
	for i := range status.StagesStatus {
		if !StageCompares(status, &status.StagesStatus[i]) {
			return false
		}
	}
	return bindingrules.Compares(status.ApplyStrategy)
}

// WasCompared reports whether a run is done with comparing a cluster, and knows whether it differs.
func WasCompared(c *v1beta1.ClusterUpdatingStatus) bool { return c.DiffedObjects != nil }

// Differs reports whether objects differed on a cluster when a run had compared it.
func Differs(c *v1beta1.ClusterUpdatingStatus) bool { return WasCompared(c) && *c.DiffedObjects > 0 }

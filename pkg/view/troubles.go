// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// maxTroubles is how many objects of one cluster are listed.
const maxTroubles = 10

// Troubles lists the objects that a cluster has trouble with, as the status of the placement has them.
func Troubles(status *v1beta1.PlacementStatus, cluster string) []string {
	i := slices.IndexFunc(status.PerClusterPlacementStatuses, func(c v1beta1.PerClusterPlacementStatus) bool { return c.ClusterName == cluster })
	if i < 0 {
		return nil
	}
	of := &status.PerClusterPlacementStatuses[i]
	var lines []string
	for _, failed := range of.FailedPlacements {
		lines = append(lines, Clean(fmt.Sprintf("%s %s: %s: %s", failed.Kind, wording.Key(failed.Namespace, failed.Name), failed.Condition.Reason, failed.Condition.Message)))
	}
	if len(lines) == 0 {
		for _, c := range of.Conditions {
			if c.Status == metav1.ConditionFalse {
				lines = append(lines, Clean(c.Type+" is False: "+c.Message))
			}
		}
	}
	if more := len(lines) - maxTroubles; more > 0 {
		lines = append(lines[:maxTroubles], fmt.Sprintf("and %d more", more))
	}
	return lines
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// MaxListed is how many of its clusters the status of a placement lists. With all of 10,000 it had 13 MB, which each of its writes took
// through every layer, and with 12,000 it could not be written.
const MaxListed = 1000

// List returns what the status of a placement lists of its clusters, in their order: all of them up to MaxListed, and else those that somebody
// has to look at, then those that are under way, then others. One that keeps objects since an adoption is always listed, since who has it let
// go of them must have seen them.
func List(clusters []v1beta1.PerClusterPlacementStatus) []v1beta1.PerClusterPlacementStatus {
	if len(clusters) <= MaxListed {
		return clusters
	}
	ranks := make([]int, len(clusters))
	var of [ranksOfClusters]int
	for i := range clusters {
		ranks[i] = rank(&clusters[i])
		of[ranks[i]]++
	}
	room := of
	left := max(MaxListed-of[rankKeeps], 0)
	for r := rankKeeps + 1; r < ranksOfClusters; r++ {
		room[r] = min(of[r], left)
		left -= room[r]
	}
	listed := make([]v1beta1.PerClusterPlacementStatus, 0, max(MaxListed, of[rankKeeps]))
	for i := range clusters {
		if r := ranks[i]; room[r] > 0 {
			room[r]--
			listed = append(listed, clusters[i])
		}
	}
	return listed
}

const (
	rankKeeps = iota
	rankFailed
	rankUnderWay
	rankDone
	ranksOfClusters
)

func rank(cluster *v1beta1.PerClusterPlacementStatus) int {
	if meta.IsStatusConditionTrue(cluster.Conditions, v1beta1.PlacementObjectsKept) {
		return rankKeeps
	}
	if len(cluster.FailedPlacements) > 0 || Trouble(cluster) != "" {
		return rankFailed
	}
	if len(cluster.DriftedPlacements) > 0 || len(cluster.DiffedPlacements) > 0 ||
		slices.ContainsFunc(cluster.Conditions, func(c metav1.Condition) bool { return c.Status != metav1.ConditionTrue }) {
		return rankUnderWay
	}
	return rankDone
}

// Clusters returns how many clusters are picked by what the status of a placement says, whether it lists them or not.
func Clusters(status *v1beta1.PlacementStatus) int {
	if status.SelectedClusters > 0 {
		return int(status.SelectedClusters)
	}
	clusters := 0
	for i := range status.PerClusterPlacementStatuses {
		// An entry without a name is of a cluster that is not picked.
		if status.PerClusterPlacementStatuses[i].ClusterName != "" {
			clusters++
		}
	}
	return clusters
}

// ListsAll reports whether the status of a placement lists all of its clusters.
func ListsAll(status *v1beta1.PlacementStatus) bool { return status.SelectedClusters == 0 }

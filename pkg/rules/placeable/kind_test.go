// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestKindsThatAreNeverSelected(t *testing.T) {
	for gk, want := range map[schema.GroupKind]bool{
		{Kind: "Pod"}: true, {Kind: "Node"}: true, {Kind: "Event"}: true, {Kind: "ConfigMap"}: false,
		{Group: "events.k8s.io", Kind: "Event"}:                                   true,
		{Group: "coordination.k8s.io", Kind: "Lease"}:                             true,
		{Group: "metrics.k8s.io", Kind: "PodMetrics"}:                             true,
		{Group: "cluster.kubernetes-fleet.io", Kind: "MemberCluster"}:             true,
		{Group: "rollout.stagegate.dev", Kind: "RolloutPolicy"}:                   true,
		{Group: "placement.kubernetes-fleet.io", Kind: "Work"}:                    true,
		{Group: "placement.kubernetes-fleet.io", Kind: "StagedUpdateRun"}:         true,
		{Group: "placement.kubernetes-fleet.io", Kind: "ResourceEnvelope"}:        false,
		{Group: "networking.fleet.azure.com", Kind: "ServiceImport"}:              true,
		{Group: "networking.fleet.azure.com", Kind: "ServiceExport"}:              false,
		{Group: "example.com", Kind: "Pod"}:                                       false,
		{Group: "placement.kubernetes-fleet.io", Kind: "ResourcePlacement"}:       true,
		{Group: "placement.kubernetes-fleet.io", Kind: "ClusterResourceEnvelope"}: false,
	} {
		if got := NeverSelected(gk); got != want {
			t.Errorf("%s is never selected: %t, want %t", gk, got, want)
		}
	}
}

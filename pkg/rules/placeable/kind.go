// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// networkingGroup is the group of the fleet's own networking API.
const networkingGroup = "networking.fleet.azure.com"

// disabledGroups hold what belongs to one cluster, and to the hub alone.
var disabledGroups = sets.New(
	clusterv1beta1.GroupName,
	"coordination.k8s.io",
	"events.k8s.io",
	"metrics.k8s.io",
	rolloutv1alpha1.GroupName,
)

var disabledKinds = sets.New(
	schema.GroupKind{Kind: "Event"},
	schema.GroupKind{Kind: "Node"},
	schema.GroupKind{Kind: "Pod"},
	schema.GroupKind{Group: networkingGroup, Kind: "ServiceImport"},
	schema.GroupKind{Group: networkingGroup, Kind: "TrafficManagerBackend"},
	schema.GroupKind{Group: networkingGroup, Kind: "TrafficManagerProfile"},
)

// envelopes are the kinds of the placement group that carry objects to members.
var envelopes = sets.New(
	schema.GroupKind{Group: v1beta1.GroupName, Kind: "ClusterResourceEnvelope"},
	schema.GroupKind{Group: v1beta1.GroupName, Kind: "ResourceEnvelope"},
)

// IsEnvelope reports whether objects of a kind carry others to members.
func IsEnvelope(gk schema.GroupKind) bool { return envelopes.Has(gk) }

// NeverSelectedGroup reports whether no kind of a group is ever selected.
func NeverSelectedGroup(group string) bool { return disabledGroups.Has(group) }

// NeverSelected reports whether objects of a kind are never selected. A selector that names it selects nothing.
func NeverSelected(gk schema.GroupKind) bool {
	if gk.Group == v1beta1.GroupName {
		return !envelopes.Has(gk)
	}
	return disabledGroups.Has(gk.Group) || disabledKinds.Has(gk)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// IsWanted reports whether a strategy asks for statuses on the objects of the hub.
func IsWanted(s *v1beta1.ReportBackStrategy) bool {
	return s != nil && s.Type == v1beta1.ReportBackStrategyTypeMirror && s.Destination != nil &&
		*s.Destination == v1beta1.ReportBackDestinationOriginalResource
}

// cannot ends what a policy is told, and says what to do. What comes before are the words of KubeFleet.
const cannot = "; cannot back-report status to original resources: pick one cluster (PickFixed with one name, or PickN with numberOfClusters 1), " +
	"or set the destination to WorkAPI"

// CheckPolicy returns why a policy is none for reporting to the objects of the hub, nil where it picks one cluster: an object has one status.
func CheckPolicy(policy *v1beta1.PlacementPolicy) *Refusal {
	why := ""
	switch {
	case policy == nil:
		why = "no scheduling policy specified (the PickAll type is in use)"
	case policy.PlacementType == v1beta1.PickFixedPlacementType && len(policy.ClusterNames) == 1:
	case policy.PlacementType == v1beta1.PickFixedPlacementType && len(policy.ClusterNames) == 0:
		why = "the scheduling policy in use is of the PickFixed type, but it names no target cluster"
	case policy.PlacementType == v1beta1.PickFixedPlacementType:
		why = "the scheduling policy in use is of the PickFixed type, but it has more than one target cluster"
	case policy.PlacementType == v1beta1.PickNPlacementType && policy.NumberOfClusters == nil:
		why = "the scheduling policy in use is of the PickN type, but no number of target clusters is specified"
	case policy.PlacementType == v1beta1.PickNPlacementType && *policy.NumberOfClusters == 1:
	case policy.PlacementType == v1beta1.PickNPlacementType:
		why = "the scheduling policy in use is of the PickN type, but the number of target clusters is not set to 1"
	default:
		why = "the scheduling policy in use is of the PickAll type"
	}
	if why == "" {
		return nil
	}
	return &Refusal{Reason: ReasonNotOneCluster, Message: why + cannot}
}

// Covers reports whether the selectors of a placement, as they are now, can select an object of a kind that has namespaces or not. The
// author was asked about what they can select, and about nothing else: an object that a cluster still has from selectors before is none
// of theirs.
func Covers(placement v1beta1.PlacementObject, id v1beta1.WorkResourceIdentifier) bool {
	selectors := placement.PlacementSpec().ResourceSelectors
	namespaces := sets.New(placement.GetNamespace())
	if placement.GetNamespace() == "" {
		namespaces = namespacesForSelectors(selectors)
	} else if id.Namespace != placement.GetNamespace() {
		return false
	}
	for _, s := range selectors {
		if s.Group == "" && s.Kind == "Namespace" {
			whole := s.SelectionScope == "" || s.SelectionScope == v1beta1.NamespaceWithResources
			if whole && placement.GetNamespace() == "" && id.Namespace != "" && (s.Name == "" || s.Name == id.Namespace) {
				return true
			}
			continue
		}
		if s.Group != id.Group || s.Kind != id.Kind || s.Name != "" && s.Name != id.Name {
			continue
		}
		if id.Namespace == "" || namespaces.Has("") || namespaces.Has(id.Namespace) {
			return true
		}
	}
	return false
}

// namespacesForSelectors are those in which the selectors of a ClusterResourcePlacement find namespaced objects; an empty one is any.
func namespacesForSelectors(selectors []v1beta1.ResourceSelectorTerm) sets.Set[string] {
	names := sets.New[string]()
	for _, s := range selectors {
		if s.Group == "" && s.Kind == "Namespace" && s.SelectionScope == v1beta1.NamespaceWithResourceSelectors {
			names.Insert(s.Name)
		}
	}
	if names.Len() == 0 {
		names.Insert("")
	}
	return names
}

// Precedes reports whether of two placements with an object on a cluster each, the first one reports its status: a cluster-scoped one
// before one of a namespace, as for the object itself, then the older one, then the one with the lesser name.
func Precedes(a, b v1beta1.PlacementObject) bool {
	if (a.GetNamespace() == "") != (b.GetNamespace() == "") {
		return a.GetNamespace() == ""
	}
	if x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp(); !x.Equal(&y) {
		return x.Before(&y)
	}
	if a.GetNamespace() != b.GetNamespace() {
		return a.GetNamespace() < b.GetNamespace()
	}
	return a.GetName() < b.GetName()
}

// Describe is what users call a placement.
func Describe(placement v1beta1.PlacementObject) string {
	return wording.Placement(placement.GetNamespace(), placement.GetName())
}

// Key tells objects of Works apart, whatever their version.
func Key(id v1beta1.WorkResourceIdentifier) string {
	return strings.Join([]string{kindOf(id).String(), id.Namespace, id.Name}, "/")
}

func kindOf(id v1beta1.WorkResourceIdentifier) schema.GroupKind {
	return schema.GroupKind{Group: id.Group, Kind: id.Kind}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"context"
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// maxNameLength leaves room for what the names of snapshots, bindings and Works add, and lets the name be a label's value.
const maxNameLength = 63

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[placement.PlacementObject, placement.PlacementSpec, placement.PlacementStatus]{
		Spec:                 placement.PlacementObject.PlacementSpec,
		Status:               placement.PlacementObject.PlacementStatus,
		Keep:                 keepPrune,
		Name:                 store.NameLimit{Max: maxNameLength, Message: "the name field cannot have length exceeding 63"},
		Validate:             validation.ValidatePlacement,
		ValidateUpdate:       validation.ValidatePlacementUpdate,
		ValidateStatusUpdate: validation.ValidatePlacementStatusUpdate,
		Warnings:             warnings,
		Columns:              columns(),
	}
	return []store.Resource{
		store.NewResource[placement.ClusterResourcePlacement, placement.ClusterResourcePlacementList](
			placement.GroupName, registry.ClusterScoped("clusterresourceplacements", "crp"), family),
		store.NewResource[placement.ResourcePlacement, placement.ResourcePlacementList](
			placement.GroupName, registry.Namespaced("resourceplacements", "rp"), family),
	}
}

// keepPrune takes back a change of what only the subresource prune writes.
func keepPrune(_ context.Context, status, stored *placement.PlacementStatus) {
	status.Prune = stored.Prune
}

// warnings names what is accepted for the sake of existing manifests but has no effect, or none yet.
func warnings(o placement.PlacementObject) []string {
	var found []string
	spec := o.PlacementSpec()
	const reserved = "namespace %s is reserved (default, kube-*, fleet-*): it is not placed, and neither is anything in it"
	if namespace := o.GetNamespace(); wellknown.IsReservedNamespace(namespace) {
		found = append(found, fmt.Sprintf("metadata.namespace: "+reserved, namespace))
	}
	for i, term := range spec.ResourceSelectors {
		if term.Group == "" && term.Kind == "Namespace" && wellknown.IsReservedNamespace(term.Name) {
			found = append(found, fmt.Sprintf("spec.resourceSelectors[%d]: "+reserved, i, term.Name))
		}
	}
	if spec.Policy != nil && spec.Policy.PlacementType == placement.PickNPlacementType {
		found = append(found, "spec.policy.placementType: PickN is not supported yet, no cluster will be picked")
	}
	if spec.Policy != nil && spec.Policy.PlacementType == placement.PickFixedPlacementType && len(spec.Policy.ClusterNames) == 0 {
		found = append(found, "spec.policy.clusterNames: no cluster is named, no cluster will be picked")
	}
	if o.GetNamespace() == "" && spec.StatusReportingScope == placement.NamespaceAccessible {
		found = append(found, "spec.statusReportingScope: NamespaceAccessible is not supported yet, the status stays on the placement")
	}
	if back := spec.Strategy.ReportBackStrategy; back != nil && back.Destination != nil && *back.Destination == placement.ReportBackDestinationOriginalResource {
		found = append(found, "spec.strategy.reportBackStrategy.destination: OriginalResource is not supported yet, use WorkAPI")
	}
	return found
}

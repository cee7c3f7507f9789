// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"context"
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rules/reportback"
)

// maxNameLength leaves room for what the names of snapshots, bindings and Works add, and lets the name be a label's value.
const maxNameLength = 63

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[v1beta1.PlacementObject, v1beta1.PlacementSpec, v1beta1.PlacementStatus]{
		Spec:                 v1beta1.PlacementObject.PlacementSpec,
		Status:               v1beta1.PlacementObject.PlacementStatus,
		ResetServerOwned:     keepPrune,
		Finalizers:           wellknown.PlacementFinalizers,
		ServersOwn:           registry.IsController,
		Name:                 store.NameLimit{Max: maxNameLength, Message: "the name field cannot have length exceeding 63"},
		Validate:             validation.ValidatePlacement,
		ValidateUpdate:       validation.ValidatePlacementUpdate,
		ValidateStatusUpdate: validation.ValidatePlacementStatusUpdate,
		Warnings:             warnings,
		Columns:              columns(),
	}
	return []store.Resource{
		store.NewResource[v1beta1.ClusterResourcePlacement, v1beta1.ClusterResourcePlacementList](
			v1beta1.GroupName, registry.ClusterScoped("clusterresourceplacements", "crp"), family),
		store.NewResource[v1beta1.ResourcePlacement, v1beta1.ResourcePlacementList](
			v1beta1.GroupName, registry.Namespaced("resourceplacements", "rp"), family),
	}
}

// keepPrune takes back a change of what only the subresource prune writes.
func keepPrune(_ context.Context, status, stored *v1beta1.PlacementStatus) {
	status.Prune = stored.Prune
}

// warnings names what is accepted for the sake of existing manifests but has no effect.
func warnings(o v1beta1.PlacementObject) []string {
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
	if spec.Policy != nil && spec.Policy.PlacementType == v1beta1.PickFixedPlacementType && len(spec.Policy.ClusterNames) == 0 {
		found = append(found, "spec.policy.clusterNames: no cluster is named, no cluster will be picked")
	}
	if reportback.IsWanted(spec.Strategy.ReportBackStrategy) {
		if refused := reportback.CheckPolicy(spec.Policy); refused != nil {
			found = append(found, "spec.strategy.reportBackStrategy.destination: "+refused.Message)
		}
	}
	return found
}

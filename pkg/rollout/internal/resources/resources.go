// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resources reads what resource snapshots hold. It does not decide which snapshot a cluster is to have.
package resources

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// Selection is what a placement selects at one moment.
type Selection struct {
	// Index of the resource snapshot that holds it.
	Index int
	// Resources in it.
	Resources []Resource
	// Nothing says why there is no resource in it; empty where there is one.
	Nothing string
	// Warnings tell of selectors that find nothing, and what rolling it out would take away from members.
	Warnings []string
}

// Resource is an object in a snapshot.
type Resource struct {
	ID v1beta1.ResourceIdentifier
	// Manifest is its JSON.
	Manifest []byte
}

// Index of a snapshot, or of the master that it is a part of.
func Index(snapshot v1beta1.ResourceSnapshotObject) string {
	return snapshot.GetLabels()[wellknown.ResourceIndexLabel]
}

// Of names the resources at an index, master and parts, in the order in which they were selected.
func Of(snapshots []v1beta1.ResourceSnapshotObject, index string) []v1beta1.ResourceIdentifier {
	return IDs(At(snapshots, index))
}

// IDs of resources.
func IDs(resources []Resource) []v1beta1.ResourceIdentifier {
	ids := make([]v1beta1.ResourceIdentifier, 0, len(resources))
	for i := range resources {
		ids = append(ids, resources[i].ID)
	}
	return ids
}

// At lists the resources at an index, master and parts, in the order in which they were selected.
func At(snapshots []v1beta1.ResourceSnapshotObject, index string) []Resource {
	parts := slices.DeleteFunc(slices.Clone(snapshots), func(s v1beta1.ResourceSnapshotObject) bool { return Index(s) != index })
	slices.SortFunc(parts, func(a, b v1beta1.ResourceSnapshotObject) int { return cmp.Compare(subindex(a), subindex(b)) })
	var found []Resource
	for _, part := range parts {
		for _, selected := range part.SnapshotSpec().SelectedResources {
			var object metav1.PartialObjectMetadata
			if err := json.Unmarshal(selected.Raw, &object); err != nil {
				// The API takes no snapshot that is not made of objects.
				continue
			}
			kind := object.GroupVersionKind()
			found = append(found, Resource{ID: v1beta1.ResourceIdentifier{
				Group: kind.Group, Version: kind.Version, Kind: kind.Kind, Name: object.Name, Namespace: object.Namespace,
			}, Manifest: selected.Raw})
		}
	}
	return found
}

// subindex puts the master before its parts.
func subindex(s v1beta1.ResourceSnapshotObject) int {
	part, ok := s.GetAnnotations()[wellknown.SubindexAnnotation]
	if !ok {
		return -1
	}
	n, _ := strconv.Atoi(part)
	return n
}

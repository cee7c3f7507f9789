// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/envelope"
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

// Resource is an object in a resource snapshot.
type Resource struct {
	ID v1beta1.ResourceIdentifier
	// Manifest is its JSON.
	Manifest []byte
	// Work tells which resources a cluster gets in one Work: those that have the same number.
	Work int
}

// Resources returns what the resource snapshot at an index holds, master and parts, in the order in which it was selected; nil where
// there is no master. An envelope is one of them: see Contents. What of it is not among the given snapshots is missing: see Parts.
func Resources(snapshots []v1beta1.ResourceSnapshotObject, index string) []Resource {
	master := Master(snapshots, index)
	if master == nil {
		return nil
	}
	// Whether they are all is not asked here.
	parts, _, _ := Parts(master, snapshots)
	var found []Resource
	for i, part := range parts {
		for _, selected := range part.SnapshotSpec().SelectedResources {
			var object metav1.PartialObjectMetadata
			if err := json.Unmarshal(selected.Raw, &object); err != nil {
				// The API takes no snapshot that is not made of objects.
				continue
			}
			kind := object.GroupVersionKind()
			found = append(found, Resource{ID: v1beta1.ResourceIdentifier{
				Group: kind.Group, Version: kind.Version, Kind: kind.Kind, Name: object.Name, Namespace: object.Namespace,
			}, Manifest: selected.Raw, Work: i})
		}
	}
	return found
}

// Contents returns what clusters get of resources: an envelope counts for the objects in it, as far as these can be told.
func Contents(resources []Resource) []Resource {
	var found []Resource
	envelopes := 0
	for i := range resources {
		r := &resources[i]
		if !envelope.Is(r.ID) {
			found = append(found, *r)
			continue
		}
		envelopes++
		for _, c := range envelope.Open(r.ID, r.Manifest).Contents {
			// Each has a Work of its own.
			found = append(found, Resource{ID: c.ID, Manifest: c.Manifest, Work: -envelopes})
		}
	}
	return found
}

// Unusable returns why what envelopes among some resources carry cannot be placed, nil where it can.
func Unusable(resources []Resource) error {
	envelopes, failed := 0, []error{}
	for i := range resources {
		r := &resources[i]
		if !envelope.Is(r.ID) {
			continue
		}
		envelopes++
		if e := envelope.Open(r.ID, r.Manifest); e.Err != nil {
			failed = append(failed, fmt.Errorf("%s cannot be used: %w", envelope.Describe(e.ID), e.Err))
		}
	}
	switch {
	case envelopes > envelope.Max:
		return fmt.Errorf("it has %d envelopes, and no version may have more than %d: divide them among several placements", envelopes, envelope.Max)
	case len(failed) > 1:
		return fmt.Errorf("%w (and %s)", failed[0], wording.Count(len(failed)-1, "more envelope"))
	case len(failed) == 1:
		return failed[0]
	}
	return nil
}

// WithoutEnvelopes leaves envelopes out: no member has one.
func WithoutEnvelopes(ids []v1beta1.ResourceIdentifier) []v1beta1.ResourceIdentifier {
	return slices.DeleteFunc(slices.Clone(ids), envelope.Is)
}

// IDs returns the identifiers of resources.
func IDs(resources []Resource) []v1beta1.ResourceIdentifier {
	ids := make([]v1beta1.ResourceIdentifier, 0, len(resources))
	for i := range resources {
		ids = append(ids, resources[i].ID)
	}
	return ids
}

// OnClusters returns the resources that clusters of a placement have or are getting, at whatever index.
func OnClusters(bindings []v1beta1.BindingObject, snapshots []v1beta1.ResourceSnapshotObject) []v1beta1.ResourceIdentifier {
	inUse := sets.New[string]()
	for _, b := range bindings {
		if b.BindingSpec().State == v1beta1.BindingStateBound {
			inUse.Insert(b.BindingSpec().ResourceSnapshotName)
		}
	}
	var found []v1beta1.ResourceIdentifier
	for _, s := range snapshots {
		if inUse.Has(s.GetName()) {
			found = append(found, IDs(Contents(Resources(snapshots, Index(s))))...)
		}
	}
	return found
}

// Removed returns the resources among those that clusters have which are not kept, each once and in the order given. The version of a kind
// does not matter: it is the same object on the member.
func Removed(had, kept []v1beta1.ResourceIdentifier) []v1beta1.ResourceIdentifier {
	seen := sets.New[v1beta1.ResourceIdentifier]()
	for _, id := range kept {
		seen.Insert(versionless(id))
	}
	var removed []v1beta1.ResourceIdentifier
	for _, id := range had {
		if id = versionless(id); !seen.Has(id) {
			seen.Insert(id)
			removed = append(removed, id)
		}
	}
	return removed
}

func versionless(id v1beta1.ResourceIdentifier) v1beta1.ResourceIdentifier {
	return v1beta1.ResourceIdentifier{Group: id.Group, Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}
}

// Listed names the first of some resources for a message and counts the others: "ConfigMap web/a, Namespace web and 3 more".
func Listed(ids []v1beta1.ResourceIdentifier) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		name := id.Name
		if id.Namespace != "" {
			name = id.Namespace + "/" + name
		}
		names = append(names, fmt.Sprintf("%s %s", id.Kind, name))
	}
	return wording.List(names)
}

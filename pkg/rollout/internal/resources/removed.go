// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// OnClusters are the resources that clusters of a placement have or are getting, at whatever index.
func OnClusters(f *fleet.Fleet, placement reconcile.Key) []v1beta1.ResourceIdentifier {
	inUse := sets.New[string]()
	for _, b := range f.Bindings.ByIndex(fleet.ByPlacement, placement) {
		if b.BindingSpec().State == v1beta1.BindingStateBound {
			inUse.Insert(b.BindingSpec().ResourceSnapshotName)
		}
	}
	snapshots := f.Snapshots.ByIndex(fleet.ByPlacement, placement)
	var found []v1beta1.ResourceIdentifier
	for _, snapshot := range snapshots {
		if inUse.Has(snapshot.GetName()) {
			found = append(found, Of(snapshots, Index(snapshot))...)
		}
	}
	return found
}

// Removed are the resources among those that clusters have which are not kept, each once and in the order given. The version of a kind
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

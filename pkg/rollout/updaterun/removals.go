// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
)

// selected is one object in a resource snapshot.
type selected struct {
	kind            schema.GroupKind
	namespace, name string
}

// removals warns of objects that clusters have and a snapshot has not: rolling it out takes them away.
func removals(f *fleet.Fleet, placement v1beta1.PlacementObject, index string) []string {
	snapshots := f.Snapshots.ByIndex(fleet.ByPlacement, keyOf(placement))
	inUse := sets.New[string]()
	for _, b := range f.Bindings.ByIndex(fleet.ByPlacement, keyOf(placement)) {
		if b.BindingSpec().State == v1beta1.BindingStateBound {
			inUse.Insert(b.BindingSpec().ResourceSnapshotName)
		}
	}
	indices := sets.New[string]()
	for _, snapshot := range snapshots {
		if inUse.Has(snapshot.GetName()) {
			indices.Insert(snapshot.GetLabels()[wellknown.ResourceIndexLabel])
		}
	}
	indices.Delete(index)
	if indices.Len() == 0 {
		return nil
	}
	gone := contents(snapshots, indices).Difference(contents(snapshots, sets.New(index)))
	if gone.Len() == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d object(s) that member clusters have from placement %s are not in resource snapshot %s: they will be removed",
		gone.Len(), placement.GetName(), index)}
}

// contents are the objects in the snapshots with one of the indices, parts included.
func contents(snapshots []v1beta1.ResourceSnapshotObject, indices sets.Set[string]) sets.Set[selected] {
	found := sets.New[selected]()
	for _, snapshot := range snapshots {
		if !indices.Has(snapshot.GetLabels()[wellknown.ResourceIndexLabel]) {
			continue
		}
		for _, content := range snapshot.SnapshotSpec().SelectedResources {
			var identity metav1.PartialObjectMetadata
			if err := json.Unmarshal(content.Raw, &identity); err != nil {
				// What cannot be read cannot be missed.
				continue
			}
			found.Insert(selected{identity.GroupVersionKind().GroupKind(), identity.Namespace, identity.Name})
		}
	}
	return found
}

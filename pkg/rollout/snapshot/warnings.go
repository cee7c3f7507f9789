// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// warnings tell what rolling the items out would take away from members.
func (s *Source) warnings(placement v1beta1.PlacementObject, items []*item) []string {
	removed := s.objectsInUse(placement)
	for _, i := range items {
		removed.Delete(i.object())
	}
	var warnings []string
	if len(items) == 0 {
		warnings = append(warnings, fmt.Sprintf("placement %s selects nothing", nameOf(placement)))
	}
	if n := removed.Len(); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d object(s) that member clusters have from placement %s are no longer selected: they will be removed", n, nameOf(placement)))
	}
	return warnings
}

// objectsInUse are the objects in the snapshots that clusters have or are getting.
func (s *Source) objectsInUse(placement v1beta1.PlacementObject) sets.Set[object] {
	key := reconcile.KeyOf(placement)
	inUse := sets.New[string]()
	for _, b := range s.fleet.Bindings.ByIndex(fleet.ByPlacement, key) {
		if b.BindingSpec().State == v1beta1.BindingStateBound {
			inUse.Insert(b.BindingSpec().ResourceSnapshotName)
		}
	}
	objects := sets.New[object]()
	indices := sets.New[string]()
	snapshots := s.fleet.Snapshots.ByIndex(fleet.ByPlacement, key)
	for _, snapshot := range snapshots {
		if inUse.Has(snapshot.GetName()) {
			indices.Insert(snapshot.GetLabels()[wellknown.ResourceIndexLabel])
		}
	}
	for _, snapshot := range snapshots {
		if !indices.Has(snapshot.GetLabels()[wellknown.ResourceIndexLabel]) {
			continue
		}
		for _, content := range snapshot.SnapshotSpec().SelectedResources {
			identity := metav1.PartialObjectMetadata{}
			if err := json.Unmarshal(content.Raw, &identity); err != nil {
				continue
			}
			gvk := schema.FromAPIVersionAndKind(identity.APIVersion, identity.Kind)
			objects.Insert(object{gvk.GroupKind(), identity.Namespace, identity.Name})
		}
	}
	return objects
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// A status must be storable whatever members say of their objects, and however many members there are. What they say may not be
// compressible.
const (
	// maxObjects is how many bytes the objects of all clusters may have that failed, drifted or differ.
	maxObjects = 1 << 20
	// overhead is about what an entry has besides its texts, in bytes.
	overhead = 256
	// ordinary is how many bytes a condition's message has that is not worth being counted.
	ordinary = 128
	// messageObjectsLeftOut says that a status has been trimmed.
	messageObjectsLeftOut = "the status is too large to list all objects with their details, see the bindings"
	// messageClustersLeftOut says that a status does not list all clusters.
	messageClustersLeftOut = "placementStatuses lists %d of %d clusters, those first that failed or are under way, see the bindings"
)

// extent is how much a status says of each cluster.
type extent struct {
	// details reports whether it says where objects drifted or differ, and not only that they do.
	details bool
	// objects is how many of them each list has.
	objects int
	// message is how many bytes a message may have.
	message int
}

// extents from the fullest on. A binding has at most a hundred objects in each list.
var extents = []extent{
	{details: true, objects: 100, message: 32 << 10},
	{objects: 100, message: 1 << 10},
	{objects: 10, message: 512},
	{objects: 3, message: 256},
	{objects: 1, message: ordinary},
	{message: ordinary},
}

// trim cuts what is said of clusters to what can be stored, the same for all of them, and reports whether that leaves something out.
func trim(clusters []v1beta1.PerClusterPlacementStatus) (trimmed bool) {
	i := slices.IndexFunc(extents, func(e extent) bool {
		size := 0
		for i := range clusters {
			if size += e.size(&clusters[i]); size > maxObjects {
				return false
			}
		}
		return true
	})
	switch {
	case i == 0:
		return false
	case i < 0:
		// So many clusters that not even one message fits for each: they are as short as they become.
		i = len(extents) - 1
	}
	for j := range clusters {
		extents[i].cut(&clusters[j])
	}
	return true
}

func (e extent) size(c *v1beta1.PerClusterPlacementStatus) int {
	size := 0
	for i := range c.Conditions {
		size += max(min(len(c.Conditions[i].Message), e.message)-ordinary, 0)
	}
	for i := range min(len(c.FailedPlacements), e.objects) {
		p := &c.FailedPlacements[i]
		size += sizeOf(&p.ResourceIdentifier) + min(len(p.Condition.Message), e.message)
	}
	for i := range min(len(c.DriftedPlacements), e.objects) {
		p := &c.DriftedPlacements[i]
		size += sizeOf(&p.ResourceIdentifier) + e.sizeOfDetails(p.ObservedDrifts)
	}
	for i := range min(len(c.DiffedPlacements), e.objects) {
		p := &c.DiffedPlacements[i]
		size += sizeOf(&p.ResourceIdentifier) + e.sizeOfDetails(p.ObservedDiffs)
	}
	return size
}

func sizeOf(r *v1beta1.ResourceIdentifier) int {
	size := overhead + len(r.Group) + len(r.Version) + len(r.Kind) + len(r.Namespace) + len(r.Name)
	if r.Envelope != nil {
		size += len(r.Envelope.Name) + len(r.Envelope.Namespace)
	}
	return size
}

func (e extent) sizeOfDetails(details []v1beta1.PatchDetail) int {
	if !e.details {
		return 0
	}
	size := 0
	for i := range details {
		size += len(details[i].Path) + len(details[i].ValueInMember) + len(details[i].ValueInHub)
	}
	return size
}

// cut leaves the lists as they are that it was given: they are those of bindings in the cache.
func (e extent) cut(c *v1beta1.PerClusterPlacementStatus) {
	for i := range c.Conditions {
		e.cutMessage(&c.Conditions[i])
	}
	c.FailedPlacements = slices.Clone(c.FailedPlacements[:min(len(c.FailedPlacements), e.objects)])
	for i := range c.FailedPlacements {
		e.cutMessage(&c.FailedPlacements[i].Condition)
	}
	c.DriftedPlacements = slices.Clone(c.DriftedPlacements[:min(len(c.DriftedPlacements), e.objects)])
	c.DiffedPlacements = slices.Clone(c.DiffedPlacements[:min(len(c.DiffedPlacements), e.objects)])
	if e.details {
		return
	}
	for i := range c.DriftedPlacements {
		c.DriftedPlacements[i].ObservedDrifts = nil
	}
	for i := range c.DiffedPlacements {
		c.DiffedPlacements[i].ObservedDiffs = nil
	}
}

func (e extent) cutMessage(c *metav1.Condition) { c.Message = wording.Shorten(c.Message, e.message) }

// lists reports whether a step is what the lists of objects are about.
func (s step) lists() bool {
	switch s.conditionType {
	case v1beta1.PlacementApplied, v1beta1.PlacementAvailable, v1beta1.PlacementDiffReported:
		return true
	}
	return false
}

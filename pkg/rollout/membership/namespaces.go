// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"iter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"

	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
)

// A ResourcePlacement picks no cluster that lacks its namespace, so what is known of namespaces must not be older than what asks for it. The
// namespaces of a member are listed between two reports once a Namespace was placed there, or somebody created a ResourcePlacement in one,
// that the last list lacks.

// isAwaited reports whether a namespace that the last list lacks was placed on the member since, or has a ResourcePlacement since.
func (c *Controller) isAwaited(member string, last *inspect.Report) bool {
	for _, placement := range c.fleet.Placements.All() {
		if placement.GetNamespace() != "" && last.Lacks(placement.GetNamespace(), placement.GetCreationTimestamp().Time) {
			return true
		}
	}
	works, err := c.fleet.Works.Lister().Works(wellknown.MemberNamespace(member)).List(labels.Everything())
	if err != nil {
		return false
	}
	for _, work := range works {
		for name, applied := range placedNamespaces(work) {
			if last.Lacks(name, applied) {
				return true
			}
		}
	}
	return false
}

// placedNamespaces yields the Namespaces that a Work has on its member, and since when.
func placedNamespaces(work *placementv1beta1.Work) iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		isNamespace := func(m *placementv1beta1.ManifestCondition) bool {
			return m.Identifier.Group == "" && m.Identifier.Kind == "Namespace" && meta.IsStatusConditionTrue(m.Conditions, placementv1beta1.WorkApplied)
		}
		for m := range memberreport.Conditions(work, isNamespace) {
			if !yield(m.Identifier.Name, meta.FindStatusCondition(m.Conditions, placementv1beta1.WorkApplied).LastTransitionTime.Time) {
				return
			}
		}
	}
}

// onPlacedNamespace maps the change of a Work that has another Namespace on its member than before.
func onPlacedNamespace(oldObj, newObj any) []reconcile.Key {
	work, ok := newObj.(*placementv1beta1.Work)
	if !ok {
		return nil
	}
	before := map[string]bool{}
	if old, ok := oldObj.(*placementv1beta1.Work); ok {
		for name := range placedNamespaces(old) {
			before[name] = true
		}
	}
	for name := range placedNamespaces(work) {
		if !before[name] {
			return memberOf(work.Namespace)
		}
	}
	return nil
}

// onNewPlacement maps a ResourcePlacement that is new to the members whose list of namespaces may lack its own.
func (c *Controller) onNewPlacement(oldObj, newObj any) []reconcile.Key {
	placement, ok := newObj.(placementv1beta1.PlacementObject)
	if !ok || oldObj != nil || placement.GetNamespace() == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []reconcile.Key
	for member, known := range c.views {
		if last := known.Report(); last != nil && last.Lacks(placement.GetNamespace(), placement.GetCreationTimestamp().Time) {
			keys = append(keys, reconcile.Key{Name: member})
		}
	}
	return keys
}

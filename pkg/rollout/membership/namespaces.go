// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"iter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// A ResourcePlacement picks no cluster that lacks its namespace, so a Namespace that is placed on a member must not wait for the next
// report: the member is read again once a Work says that it has one that the report lacks.

// shortestCollectRest is how long a member is left alone at least after it was read.
const shortestCollectRest = time.Second

// rested returns from when on a member may be read before that is due.
func (r *report) rested() time.Time {
	return r.at.Add(max(shortestCollectRest, min(collectRest*r.took, longestCollectRest)))
}

// lacksPlaced reports whether a Namespace was placed on the member after it was read, and is not in the report. A report that could not be
// made, or is not complete, says nothing of what it lacks.
func (c *Controller) lacksPlaced(member string, last *report) bool {
	if last.namespaces == nil || len(last.namespaces) >= maxNamespaces {
		return false
	}
	works, err := c.fleet.Works.Lister().Works(wellknown.MemberNamespace(member)).List(labels.Everything())
	if err != nil {
		return false
	}
	// Conditions have whole seconds.
	read := last.at.Truncate(time.Second)
	for _, work := range works {
		for name, applied := range placedNamespaces(work) {
			if _, has := last.namespaces[name]; !has && !applied.Before(read) {
				return true
			}
		}
	}
	return false
}

// placedNamespaces yields the Namespaces that a Work has on its member, and since when.
func placedNamespaces(work *placementv1beta1.Work) iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		for i := range work.Status.ManifestConditions {
			m := &work.Status.ManifestConditions[i]
			if m.Identifier.Group != "" || m.Identifier.Kind != "Namespace" {
				continue
			}
			applied := meta.FindStatusCondition(m.Conditions, placementv1beta1.WorkApplied)
			if applied != nil && applied.Status == metav1.ConditionTrue && !yield(m.Identifier.Name, applied.LastTransitionTime.Time) {
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

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"iter"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// A ResourcePlacement picks no cluster that lacks its namespace, so what is known of namespaces must not be older than what asks for it. The
// namespaces of a member are listed between two reports once a Namespace was placed there, or somebody created a ResourcePlacement in one,
// that the last list lacks.

// shortestListRest is how long a member is left alone at least after its namespaces were listed.
const shortestListRest = time.Second

// collectNamespaces lists the namespaces of a member where that is due, and returns when to look at it again. That is not later than wait,
// when the member is to be read whole.
func (c *Controller) collectNamespaces(ctx context.Context, key reconcile.Key, member *clients, last *report, wait time.Duration) (time.Duration, error) {
	if !c.isAwaited(key.Name, last) {
		return wait, nil
	}
	rest := max(shortestListRest, min(collectRest*last.listing, longestCollectRest))
	if rested := last.listed.Add(rest).Sub(c.clock.Now()); rested > 0 {
		return min(wait, rested), nil
	}
	limited, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	next := *last
	next.conditions = slices.DeleteFunc(slices.Clone(last.conditions), func(condition metav1.Condition) bool {
		return condition.Type == v1beta1.ConditionTypeNamespaceCollectionSucceeded
	})
	next.listNamespaces(limited, member.kube.CoreV1().RESTClient(), c.clock)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	c.keepReport(key.Name, &next)
	if !last.same(&next) {
		c.queue.Enqueue(key)
	}
	return wait, nil
}

// isAwaited reports whether a namespace that the last list lacks was placed on the member since, or has a ResourcePlacement since. A list
// that could not be made, or is not complete, does not tell what it lacks.
func (c *Controller) isAwaited(member string, last *report) bool {
	if last.namespaces == nil || len(last.namespaces) >= maxNamespaces {
		return false
	}
	// Times in the API have whole seconds.
	listed := last.listed.Truncate(time.Second)
	isNews := func(namespace string, since time.Time) bool {
		_, has := last.namespaces[namespace]
		return !has && !since.Before(listed)
	}
	for _, placement := range c.fleet.Placements.All() {
		if placement.GetNamespace() != "" && isNews(placement.GetNamespace(), placement.GetCreationTimestamp().Time) {
			return true
		}
	}
	works, err := c.fleet.Works.Lister().Works(wellknown.MemberNamespace(member)).List(labels.Everything())
	if err != nil {
		return false
	}
	for _, work := range works {
		for name, applied := range placedNamespaces(work) {
			if isNews(name, applied) {
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

// onNewPlacement maps a ResourcePlacement that is new to the members whose list of namespaces may lack its own.
func (c *Controller) onNewPlacement(oldObj, newObj any) []reconcile.Key {
	placement, ok := newObj.(placementv1beta1.PlacementObject)
	if !ok || oldObj != nil || placement.GetNamespace() == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []reconcile.Key
	for member, last := range c.reports {
		if _, has := last.namespaces[placement.GetNamespace()]; !has && !placement.GetCreationTimestamp().Time.Before(last.listed.Truncate(time.Second)) {
			keys = append(keys, reconcile.Key{Name: member})
		}
	}
	return keys
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package override tells which overrides are in force: for which placement, on which objects, in which version, and on which clusters;
// and what they make of a manifest. Controllers that come to different answers would move clusters to and fro.
package override

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// For keeps the overrides, or versions of them, that are for a placement and change one of the resources that it places.
func For[O v1beta1.Override](all []O, placement metav1.Object, resources []v1beta1.ResourceIdentifier) []O {
	return slices.DeleteFunc(OfPlacement(all, placement), func(o O) bool {
		return !slices.ContainsFunc(resources, func(r v1beta1.ResourceIdentifier) bool { return Changes(o, r) })
	})
}

// OfPlacement keeps the overrides that are for a placement, whatever it places.
func OfPlacement[O v1beta1.Override](all []O, placement metav1.Object) []O {
	var found []O
	for _, o := range all {
		if IsFor(o, placement) {
			found = append(found, o)
		}
	}
	return found
}

// IsFor reports whether an override is for a placement: both its name and its scope must be the ones that the override names.
func IsFor(o v1beta1.Override, placement metav1.Object) bool {
	ref := o.OverriddenPlacement()
	switch {
	case ref == nil:
		return true
	case ref.Name != placement.GetName():
		return false
	case ref.Scope == v1beta1.NamespaceScoped:
		return placement.GetNamespace() != "" && placement.GetNamespace() == o.GetNamespace()
	}
	return placement.GetNamespace() == ""
}

// Changes reports whether an override changes a resource. Who selects a Namespace selects everything in it.
func Changes(o v1beta1.Override, resource v1beta1.ResourceIdentifier) bool {
	// What it came in makes no other object of it.
	resource.Envelope = nil
	return slices.ContainsFunc(o.OverriddenResources(), func(selected v1beta1.ResourceIdentifier) bool {
		return selected == resource || resource.Namespace != "" && selected == namespace(resource.Namespace)
	})
}

func namespace(name string) v1beta1.ResourceIdentifier {
	return v1beta1.ResourceIdentifier{Version: "v1", Kind: "Namespace", Name: name}
}

// Latest are the newest versions of overrides; pending are the overrides that say something of which no version was made yet. One
// that is being deleted is in force no more.
func Latest(all []v1beta1.OverrideObject, snapshots []v1beta1.OverrideSnapshotObject) (latest []v1beta1.OverrideSnapshotObject, pending []v1beta1.OverrideObject) {
	for _, o := range all {
		if o.GetDeletionTimestamp() != nil {
			continue
		}
		if newest := newestOf(o, snapshots); newest != nil && SaysTheSame(o, newest) {
			latest = append(latest, newest)
		} else {
			pending = append(pending, o)
		}
	}
	return latest, pending
}

func newestOf(o v1beta1.OverrideObject, snapshots []v1beta1.OverrideSnapshotObject) (newest v1beta1.OverrideSnapshotObject) {
	last := -1
	for _, s := range snapshots {
		if s.GetNamespace() != o.GetNamespace() || s.GetLabels()[wellknown.ParentOverrideLabel] != o.GetName() || s.GetDeletionTimestamp() != nil {
			continue
		}
		if index, ok := Index(s); ok && index > last {
			newest, last = s, index
		}
	}
	return newest
}

// Index of a version, false for an object that is none.
func Index(snapshot v1beta1.OverrideSnapshotObject) (int, bool) {
	index, err := strconv.Atoi(snapshot.GetLabels()[wellknown.OverrideIndexLabel])
	parent := snapshot.GetLabels()[wellknown.ParentOverrideLabel]
	return index, err == nil && index >= 0 && snapshot.GetName() == wellknown.OverrideSnapshotName(parent, index)
}

// SaysTheSame compares what two overrides, or an override and a version, change and where.
func SaysTheSame(a, b v1beta1.Override) bool {
	return equality.Semantic.DeepEqual(a.OverriddenPlacement(), b.OverriddenPlacement()) &&
		slices.Equal(a.OverriddenResources(), b.OverriddenResources()) &&
		equality.Semantic.DeepEqual(a.OverridePolicy(), b.OverridePolicy())
}

// Selects reports whether a rule is for a cluster with some labels: none without a selector, all where the selector has no terms.
func Selects(rule *v1beta1.OverrideRule, cluster labels.Labels) (bool, error) {
	selectors, err := selectorsOf(rule)
	return matchAny(selectors, cluster), err
}

func selectorsOf(rule *v1beta1.OverrideRule) ([]labels.Selector, error) {
	if rule.ClusterSelector == nil {
		return nil, nil
	}
	terms := rule.ClusterSelector.ClusterSelectorTerms
	if len(terms) == 0 {
		return []labels.Selector{labels.Everything()}, nil
	}
	selectors := make([]labels.Selector, 0, len(terms))
	for i := range terms {
		selector, err := metav1.LabelSelectorAsSelector(terms[i].LabelSelector)
		if err != nil {
			return nil, err
		}
		selectors = append(selectors, selector)
	}
	return selectors, nil
}

func matchAny(selectors []labels.Selector, set labels.Labels) bool {
	return slices.ContainsFunc(selectors, func(s labels.Selector) bool { return s.Matches(set) })
}

// Rules are versions of overrides whose rules are ready to be asked of many clusters.
type Rules struct{ versions []version }

type version struct {
	snapshot  v1beta1.OverrideSnapshotObject
	selectors []labels.Selector
}

// NewRules fails for a label selector that the API does not take.
func NewRules(snapshots []v1beta1.OverrideSnapshotObject) (Rules, error) {
	r := Rules{}
	for _, s := range snapshots {
		v := version{snapshot: s}
		if policy := s.OverridePolicy(); policy != nil {
			for i := range policy.OverrideRules {
				selectors, err := selectorsOf(&policy.OverrideRules[i])
				if err != nil {
					return Rules{}, fmt.Errorf("override snapshot %s: %w", s.GetName(), err)
				}
				v.selectors = append(v.selectors, selectors...)
			}
		}
		r.versions = append(r.versions, v)
	}
	return r, nil
}

// On names the versions that have a rule for a cluster with some labels, in the order in which they are applied.
func (r Rules) On(cluster labels.Labels) (clusterScoped []string, namespaced []v1beta1.NamespacedName) {
	for _, v := range r.versions {
		if !matchAny(v.selectors, cluster) {
			continue
		}
		if ns := v.snapshot.GetNamespace(); ns == "" {
			clusterScoped = append(clusterScoped, v.snapshot.GetName())
		} else {
			namespaced = append(namespaced, v1beta1.NamespacedName{Namespace: ns, Name: v.snapshot.GetName()})
		}
	}
	slices.Sort(clusterScoped)
	slices.SortFunc(namespaced, func(a, b v1beta1.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return clusterScoped, namespaced
}

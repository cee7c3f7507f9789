// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// Match is which rollouts an object of the platform is about: a ClusterRolloutPolicy, or a NotificationSink.
type Match struct {
	clusterScoped bool
	// namespaces and placements pick by labels. A nil one picks nothing.
	namespaces, placements labels.Selector
}

// NewMatch reads which rollouts an object is about. It returns an error if a selector cannot be read, which validation refuses.
func NewMatch(match *v1alpha1.PolicyMatch) (Match, error) {
	var unreadable error
	m := newMatch(match, func(field string, selector *metav1.LabelSelector) labels.Selector {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil && unreadable == nil {
			unreadable = fmt.Errorf("spec.%s: %w", field, err)
		}
		return s
	})
	return m, unreadable
}

func newMatch(match *v1alpha1.PolicyMatch, selector func(field string, selector *metav1.LabelSelector) labels.Selector) Match {
	given := ptr.Deref(match, v1alpha1.PolicyMatch{})
	return Match{
		clusterScoped: ptr.Deref(given.ClusterScoped, true),
		namespaces:    selector("match.namespaceSelector", given.NamespaceSelector),
		placements:    selector("match.placementSelector", orAll(given.PlacementSelector)),
	}
}

// Matches reports whether the rollouts of a placement are among them.
func (m Match) Matches(subject Subject) bool {
	if subject.Namespace != "" {
		return m.namespaces.Matches(subject.NamespaceLabels)
	}
	return m.clusterScoped && m.placements.Matches(subject.PlacementLabels)
}

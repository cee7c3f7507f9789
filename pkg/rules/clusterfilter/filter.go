// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterfilter

import (
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Filter is what a policy requires of a cluster, read once to be asked of many clusters.
type Filter struct {
	// terms are those of which a cluster must match one, where there are any.
	terms       []term
	tolerations []v1beta1.Toleration
}

// term is a required term, all of which a cluster must meet. What cannot be read no cluster meets.
type term struct {
	labels       labels.Selector
	requirements []requirement
}

// New reads a policy, nil for PickAll without a word more.
func New(policy *v1beta1.PlacementPolicy) *Filter {
	filter := &Filter{}
	if policy == nil {
		return filter
	}
	filter.tolerations = policy.Tolerations
	for _, t := range requiredTerms(policy) {
		read := term{labels: Labels(t.LabelSelector)}
		if t.PropertySelector != nil {
			for _, r := range t.PropertySelector.MatchExpressions {
				read.requirements = append(read.requirements, newRequirement(r))
			}
		}
		filter.terms = append(filter.terms, read)
	}
	return filter
}

// Rejected returns why the policy keeps a cluster out that could be given something; empty where it does not.
func (f *Filter) Rejected(cluster *clusterv1beta1.MemberCluster) string {
	if why := f.Unmatched(cluster); why != "" {
		return why
	}
	return f.Untolerated(cluster)
}

// Reads returns the names of the labels and properties of a cluster by which a policy tells whether it may be picked, each at least once. What only ranks
// is not among them.
func Reads(policy *v1beta1.PlacementPolicy) (labels, properties []string) {
	for _, t := range requiredTerms(policy) {
		if t.LabelSelector != nil {
			labels = slices.AppendSeq(labels, maps.Keys(t.LabelSelector.MatchLabels))
			for _, r := range t.LabelSelector.MatchExpressions {
				labels = append(labels, r.Key)
			}
		}
		if t.PropertySelector != nil {
			for _, r := range t.PropertySelector.MatchExpressions {
				properties = append(properties, r.Name)
			}
		}
	}
	if policy != nil {
		for _, constraint := range policy.TopologySpreadConstraints {
			labels = append(labels, constraint.TopologyKey)
		}
	}
	return labels, properties
}

func requiredTerms(policy *v1beta1.PlacementPolicy) []v1beta1.ClusterSelectorTerm {
	if policy == nil || policy.Affinity == nil || policy.Affinity.ClusterAffinity == nil {
		return nil
	}
	required := policy.Affinity.ClusterAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		return nil
	}
	return required.ClusterSelectorTerms
}

// Labels reads a label selector of a policy, nil for any labels. What cannot be read matches nothing.
func Labels(selector *metav1.LabelSelector) labels.Selector {
	if selector == nil {
		return labels.Everything()
	}
	read, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return labels.Nothing()
	}
	return read
}

// Unmatched returns why the cluster matches no required term, empty where it does. A property that would have decided, and is no quantity, is
// named: whoever reads the reason cannot tell from the labels.
func (f *Filter) Unmatched(cluster *clusterv1beta1.MemberCluster) string {
	if len(f.terms) == 0 {
		return ""
	}
	unreadable := ""
	for _, t := range f.terms {
		matches, why := t.matches(cluster)
		if matches {
			return ""
		}
		if unreadable == "" {
			unreadable = why
		}
	}
	const mismatch = "cluster does not match with any of the required cluster affinity terms"
	if unreadable != "" {
		return mismatch + ": " + unreadable
	}
	return mismatch
}

func (t term) matches(cluster *clusterv1beta1.MemberCluster) (matches bool, unreadable string) {
	if !t.labels.Matches(labels.Set(cluster.Labels)) {
		return false, ""
	}
	for _, r := range t.requirements {
		if holds, why := r.holds(cluster); !holds {
			return false, why
		}
	}
	return true, ""
}

// Untolerated names the first taint of the cluster that no toleration covers, empty where there is none.
func (f *Filter) Untolerated(cluster *clusterv1beta1.MemberCluster) string {
	for _, taint := range cluster.Spec.Taints {
		tolerated := false
		for _, t := range f.tolerations {
			if tolerates(t, taint) {
				tolerated = true
				break
			}
		}
		if !tolerated {
			return fmt.Sprintf("taint {Key:%s Value:%s Effect:%s} cannot be tolerated", taint.Key, taint.Value, taint.Effect)
		}
	}
	return ""
}

func tolerates(t v1beta1.Toleration, taint clusterv1beta1.Taint) bool {
	if t.Effect != "" && string(t.Effect) != string(taint.Effect) {
		return false
	}
	if t.Key != "" && t.Key != taint.Key {
		return false
	}
	return t.Operator == v1beta1.TolerationOpExists || t.Value == taint.Value
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterfilter

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Rejected returns why a policy, nil for PickAll without a word more, keeps a cluster out that could be given something; empty where it
// does not. The error is a policy, or a property of the cluster, that cannot be read.
func Rejected(cluster *clusterv1beta1.MemberCluster, policy *v1beta1.PlacementPolicy) (string, error) {
	if policy == nil {
		return untolerated(cluster, nil), nil
	}
	matches, err := matchesAffinity(cluster, policy.Affinity)
	if err != nil {
		return "", err
	}
	if !matches {
		return "cluster does not match with any of the required cluster affinity terms", nil
	}
	return untolerated(cluster, policy.Tolerations), nil
}

func matchesAffinity(cluster *clusterv1beta1.MemberCluster, affinity *v1beta1.Affinity) (bool, error) {
	if affinity == nil || affinity.ClusterAffinity == nil {
		return true, nil
	}
	required := affinity.ClusterAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil || len(required.ClusterSelectorTerms) == 0 {
		return true, nil
	}
	for i := range required.ClusterSelectorTerms {
		matches, err := matchesTerm(cluster, &required.ClusterSelectorTerms[i])
		if matches || err != nil {
			return matches, err
		}
	}
	return false, nil
}

func matchesTerm(cluster *clusterv1beta1.MemberCluster, term *v1beta1.ClusterSelectorTerm) (bool, error) {
	if term.LabelSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		if err != nil {
			return false, fmt.Errorf("label selector of a required cluster affinity term: %w", err)
		}
		if !selector.Matches(labels.Set(cluster.Labels)) {
			return false, nil
		}
	}
	if term.PropertySelector == nil {
		return true, nil
	}
	for _, requirement := range term.PropertySelector.MatchExpressions {
		holds, err := holds(cluster, requirement)
		if !holds || err != nil {
			return false, err
		}
	}
	return true, nil
}

// untolerated names the first taint of the cluster that no toleration covers, or "".
func untolerated(cluster *clusterv1beta1.MemberCluster, tolerations []v1beta1.Toleration) string {
	for _, taint := range cluster.Spec.Taints {
		tolerated := false
		for _, t := range tolerations {
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

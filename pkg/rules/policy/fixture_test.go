// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// The tests write policies and strategies as users do, in YAML, and clusters by name: prod1 has the label environment=prod, canary1 has
// environment=canary, first1 is a production cluster with the label ring=first, and bare1 has no label.

func labelsOf(cluster string) labels.Set {
	switch kind := strings.TrimRight(cluster, "0123456789"); kind {
	case "bare":
		return nil
	case "first":
		return labels.Set{"environment": "prod", "ring": "first"}
	default:
		return labels.Set{"environment": kind}
	}
}

func clustersOf(names ...string) []strategy.Cluster {
	var clusters []strategy.Cluster
	for _, name := range names {
		clusters = append(clusters, strategy.Cluster{Name: name, Labels: labelsOf(name)})
	}
	return clusters
}

func parse[T any](t testing.TB, text string) T {
	t.Helper()
	var value T
	if err := yaml.UnmarshalStrict([]byte(text), &value); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return value
}

// clusterPolicy is a ClusterRolloutPolicy that protects production unless the spec says otherwise.
func clusterPolicy(t testing.TB, name, spec string) *Policy {
	t.Helper()
	object := &v1alpha1.ClusterRolloutPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name), Generation: 3}}
	object.Spec = parse[v1alpha1.RolloutPolicySpec](t, spec)
	if object.Spec.Clusters == nil {
		object.Spec.Clusters = &metav1.LabelSelector{MatchLabels: map[string]string{"environment": "prod"}}
	}
	return New(object)
}

func namespacePolicy(t testing.TB, namespace, name, spec string) *Policy {
	t.Helper()
	object := &v1alpha1.RolloutPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-of-" + name), Generation: 1}}
	object.Spec = parse[v1alpha1.RolloutPolicySpec](t, spec)
	return New(object)
}

// plan is a strategy whose stages have their clusters.
type plan struct {
	FailurePolicy *v1beta1.FailurePolicy `json:"failurePolicy"`
	Stages        []struct {
		v1beta1.StageConfig `json:",inline"`
		Clusters            []string `json:"clusters"`
	} `json:"stages"`
	// Removal are the clusters of the delete stage.
	Removal []string `json:"removal"`
}

// rolloutOf returns what Of makes of a run with a plan.
func rolloutOf(t testing.TB, text string, spec v1beta1.UpdateRunSpec) Rollout {
	t.Helper()
	p := parse[plan](t, text)
	status := &v1beta1.UpdateRunStatus{
		UpdateStrategySnapshot: &v1beta1.UpdateStrategySpec{FailurePolicy: p.FailurePolicy},
		DeletionStageStatus:    &v1beta1.StageUpdatingStatus{},
	}
	members := map[string]labels.Set{}
	fill := func(stage *v1beta1.StageUpdatingStatus, names []string) {
		for _, name := range names {
			stage.Clusters = append(stage.Clusters, v1beta1.ClusterUpdatingStatus{ClusterName: name})
			if name != "gone1" {
				members[name] = labelsOf(name)
			}
		}
	}
	for _, stage := range p.Stages {
		planned := v1beta1.StageUpdatingStatus{StageName: stage.Name}
		fill(&planned, stage.Clusters)
		status.UpdateStrategySnapshot.Stages = append(status.UpdateStrategySnapshot.Stages, stage.StageConfig)
		status.StagesStatus = append(status.StagesStatus, planned)
	}
	fill(status.DeletionStageStatus, p.Removal)
	return Of(&v1beta1.ClusterStagedUpdateRun{Spec: spec}, status, members)
}

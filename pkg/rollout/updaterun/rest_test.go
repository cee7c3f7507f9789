// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestARunRestsOnlyWhileClustersAreUnderWay(t *testing.T) {
	isTrue := func(types ...string) []metav1.Condition {
		var list []metav1.Condition
		for _, conditionType := range types {
			list = append(list, metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, ObservedGeneration: 2})
		}
		return list
	}
	const started, succeeded, available = v1beta1.ClusterStarted, v1beta1.ClusterSucceeded, v1beta1.BindingAvailable
	for name, test := range map[string]struct {
		// cluster and binding are the conditions of member1 in the run, and of its binding.
		cluster, binding []metav1.Condition
		change           func(v1beta1.UpdateRunObject)
		want             bool
	}{
		"a cluster is under way":             {cluster: isTrue(started), want: true},
		"the last cluster under way is done": {cluster: isTrue(started), binding: isTrue(available)},
		"a cluster has not started":          {},
		"a cluster is recorded as done":      {cluster: isTrue(started, succeeded)},
		"the run was stopped":                {cluster: isTrue(started), change: func(r v1beta1.UpdateRunObject) { r.SetGeneration(3) }},
		"somebody asks something of the run": {cluster: isTrue(started), change: func(r v1beta1.UpdateRunObject) {
			r.RunStatus().ObservedOperation = 1
			r.RunStatus().History = []v1beta1.UpdateRunHistoryEntry{{Number: 1, Operation: v1beta1.OperationSkip}, {Number: 2, Operation: v1beta1.OperationSkip}}
		}},
		"what was asked is done": {cluster: isTrue(started), change: func(r v1beta1.UpdateRunObject) {
			r.RunStatus().ObservedOperation = 1
			r.RunStatus().History = []v1beta1.UpdateRunHistoryEntry{{Number: 1, Operation: v1beta1.OperationSkip}, {Number: 2, Reason: "ClusterSkipped"}}
		}, want: true},
		"the run is deleted":                  {cluster: isTrue(started), change: func(r v1beta1.UpdateRunObject) { r.SetDeletionTimestamp(&metav1.Time{}) }},
		"nothing is said of the progress":     {cluster: isTrue(started), change: func(r v1beta1.UpdateRunObject) { r.RunStatus().Conditions = nil }},
		"the binding of the cluster has gone": {cluster: isTrue(started), change: func(r v1beta1.UpdateRunObject) { r.RunStatus().StagesStatus[1].Clusters[0].ClusterName = "other" }},
	} {
		for scope, objects := range map[string]struct {
			run     v1beta1.UpdateRunObject
			binding v1beta1.BindingObject
		}{
			"cluster-scoped": {&v1beta1.ClusterStagedUpdateRun{}, &v1beta1.ClusterResourceBinding{}},
			"namespaced":     {&v1beta1.StagedUpdateRun{}, &v1beta1.ResourceBinding{}},
		} {
			t.Run(name+"/"+scope, func(t *testing.T) {
				run, binding := objects.run, objects.binding
				run.SetGeneration(2)
				run.RunStatus().Conditions = isTrue(v1beta1.RunProgressing)
				run.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{
					{StageName: "first", Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "member0", Conditions: isTrue(started, succeeded)}}},
					{StageName: "second", Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "member1", Conditions: test.cluster}}},
				}
				binding.SetGeneration(2)
				binding.BindingSpec().TargetCluster = "member1"
				binding.BindingStatus().Conditions = test.binding
				if test.change != nil {
					test.change(run)
				}
				if got := mayRest(run, []v1beta1.BindingObject{binding}); got != test.want {
					t.Errorf("may rest is %v, want %v", got, test.want)
				}
			})
		}
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// planFunc is a RunPlanner.
type planFunc func(v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error)

func (f planFunc) Plan(_ context.Context, run v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
	return f(run)
}

func TestPlanConvertsBothWays(t *testing.T) {
	status := &v1beta1.UpdateRunStatus{
		PolicySnapshotIndexUsed: "7",
		StagesStatus:            []v1beta1.StageUpdatingStatus{{StageName: "canary", Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "member1"}}}},
	}
	for name, run := range map[string]placement.UpdateRunObject{
		"cluster-scoped": &placement.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: placement.UpdateRunSpec{PlacementName: "p"}},
		"namespaced":     &placement.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "a"}, Spec: placement.UpdateRunSpec{PlacementName: "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := planner{planFunc(func(got v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
				if got.GetName() != "a" || got.GetNamespace() != run.GetNamespace() || got.RunSpec().PlacementName != "p" {
					t.Errorf("planned %s/%s with %+v", got.GetNamespace(), got.GetName(), got.RunSpec())
				}
				return status, []string{"careful"}, nil
			})}
			got, warnings, err := p.Plan(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			want := &placement.UpdateRunStatus{
				PolicySnapshotIndexUsed: "7",
				StagesStatus:            []placement.StageUpdatingStatus{{StageName: "canary", Clusters: []placement.ClusterUpdatingStatus{{ClusterName: "member1"}}}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"careful"}, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanPassesAPIErrorsOn(t *testing.T) {
	p := planner{planFunc(func(v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
		return nil, nil, apierrors.NewServiceUnavailable("caches are not ready")
	})}
	if _, _, err := p.Plan(t.Context(), &placement.StagedUpdateRun{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v, want ServiceUnavailable", err)
	}
}

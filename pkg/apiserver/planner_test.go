// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

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
			p := newPlanner(planFunc(func(got v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
				if got.GetName() != "a" || got.GetNamespace() != run.GetNamespace() || got.RunSpec().PlacementName != "p" {
					t.Errorf("planned %s/%s with %+v", got.GetNamespace(), got.GetName(), got.RunSpec())
				}
				return status, []string{"careful"}, nil
			}))
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
	p := newPlanner(planFunc(func(v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
		return nil, nil, apierrors.NewServiceUnavailable("caches are not ready")
	}))
	if _, _, err := p.Plan(t.Context(), &placement.StagedUpdateRun{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v, want ServiceUnavailable", err)
	}
}

func TestSoManyRunsArePlannedAtOnce(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	p := newPlanner(planFunc(func(v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
		started <- struct{}{}
		<-finish
		return &v1beta1.UpdateRunStatus{}, nil, nil
	}))
	plan := func(name string) error {
		ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: name})
		_, _, err := p.Plan(ctx, &placement.StagedUpdateRun{})
		return err
	}
	var planning sync.WaitGroup
	begin := func(name string) {
		t.Helper()
		planning.Go(func() {
			if err := plan(name); err != nil {
				t.Errorf("plan of %s: %v", name, err)
			}
		})
		<-started
	}
	turnedAway := func(name, why string) {
		t.Helper()
		err := plan(name)
		if !apierrors.IsTooManyRequests(err) || !strings.Contains(err.Error(), why) {
			t.Errorf("one more of %s: %v, want too many requests because %s", name, err, why)
		}
		if seconds, ok := apierrors.SuggestsClientDelay(err); !ok || seconds != retryPlanSeconds {
			t.Errorf("a client is told to wait %d s, want %d", seconds, retryPlanSeconds)
		}
	}
	for i := range maxPlansOfUser {
		begin("alice")
		begin(fmt.Sprintf("system:serviceaccount:team-a:robot-%d", i))
	}
	turnedAway("alice", "2 dry runs of yours are being planned")
	turnedAway("system:serviceaccount:team-a:another-robot", "2 dry runs of yours are being planned")
	for i := range maxPlans - 2*maxPlansOfUser {
		begin(fmt.Sprintf("user-%d", i))
	}
	turnedAway("bob", "8 dry runs are being planned")
	finish <- struct{}{}
	planning.Go(func() {
		// The one that is finished leaves its place at once or a moment later.
		for {
			err := plan("bob")
			if err == nil || !apierrors.IsTooManyRequests(err) {
				if err != nil {
					t.Error(err)
				}
				return
			}
			runtime.Gosched()
		}
	})
	<-started
	close(finish)
	planning.Wait()
	if len(p.planning) > 0 {
		t.Errorf("%v are planning after the end", p.planning)
	}
}

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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// planFunc is a Planner.
type planFunc func(v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error)

func (f planFunc) Plan(_ context.Context, run v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
	return f(run)
}

func (f planFunc) Obstacle(context.Context, v1beta1.UpdateRunObject) string { return "" }

func (f planFunc) CheckRollback(context.Context, v1beta1.UpdateRunObject) error { return nil }

func (f planFunc) CheckResume(context.Context, v1beta1.UpdateRunObject) error { return nil }

func TestPlanPassesAPIErrorsOn(t *testing.T) {
	p := newPlanner(planFunc(func(v1beta1.UpdateRunObject) (*v1beta1.UpdateRunStatus, []string, error) {
		return nil, nil, apierrors.NewServiceUnavailable("caches are not ready")
	}))
	if _, _, err := p.Plan(t.Context(), &v1beta1.StagedUpdateRun{}); !apierrors.IsServiceUnavailable(err) {
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
		_, _, err := p.Plan(ctx, &v1beta1.StagedUpdateRun{})
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
	if end, _ := p.planning.Begin("anybody", 1, 1); end == nil {
		t.Error("somebody is planning after the end")
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

const (
	// noisyClients is how many clients the noisy user has.
	noisyClients = 16
	// noisyObjects is how many objects a list of theirs has.
	noisyObjects = 500
	// quietRequests is how many requests of each kind the other user makes, alone and beside them.
	quietRequests = 300
)

// BenchmarkNoisyUser has one user read and decide approval requests, alone and then beside another one who writes and lists as fast as
// it goes.
func BenchmarkNoisyUser(b *testing.B) {
	r := newRigWithoutServer(b)
	r.start(false, testserver.WithPriorityAndFairness(0))
	controller, err := versioned.NewForConfig(r.server.Loops())
	r.must(err)
	loud, err := versioned.NewForConfig(r.server.As(testserver.Bob))
	r.must(err)
	r.each(noisyObjects, func(i int) error { return createNoise(r.ctx, loud, fmt.Sprintf("noise-%d", i)) })

	for b.Loop() {
		r.each(2*quietRequests, func(i int) error {
			_, err := controller.PlacementV1beta1().ClusterApprovalRequests().Create(r.ctx, &v1beta1.ClusterApprovalRequest{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("request-%d-%d", b.N, i)},
				Spec:       v1beta1.ApprovalRequestSpec{TargetUpdateRun: "run", TargetStage: "stage"},
			}, metav1.CreateOptions{})
			return err
		})
		cost := startMeter()
		get, approve := r.decide(0)
		stop, made := r.makeNoise(loud)
		noisyGet, noisyApprove := r.decide(quietRequests)
		stop()
		cost.stop(noisyUser)
		b.ReportMetric(noisyGet.Seconds()/get.Seconds(), "x-get")
		b.ReportMetric(noisyApprove.Seconds()/approve.Seconds(), "x-approve")
		result(noisyUser, "get %.1f ms alone and %.1f beside, %.1f times; approve %.1f ms and %.1f, %.1f times; the other made %d requests",
			milliseconds(get), milliseconds(noisyGet), noisyGet.Seconds()/get.Seconds(),
			milliseconds(approve), milliseconds(noisyApprove), noisyApprove.Seconds()/approve.Seconds(), made.Load())
	}
}

// decide reads and approves requests one after the other, from the given one on, and returns the 99th percentile of both.
func (r *rig) decide(from int) (get, approve time.Duration) {
	r.Helper()
	var gets, approvals []time.Duration
	for i := range quietRequests {
		name := fmt.Sprintf("request-%d-%d", r.N, from+i)
		start := time.Now()
		_, err := r.api.ClusterApprovalRequests().Get(r.ctx, name, metav1.GetOptions{})
		r.must(err)
		gets = append(gets, time.Since(start))
		start = time.Now()
		_, err = r.api.ClusterApprovalRequests().Approve(r.ctx, name, &v1beta1.Approval{}, metav1.CreateOptions{})
		r.must(err)
		approvals = append(approvals, time.Since(start))
	}
	return percentile99(gets), percentile99(approvals)
}

func percentile99(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)*99/100]
}

// makeNoise has the clients of a user create, list and delete until it is stopped. It returns how many requests they have made.
func (r *rig) makeNoise(loud versioned.Interface) (stop func(), made *atomic.Int64) {
	ctx, cancel := context.WithCancel(r.ctx)
	made = &atomic.Int64{}
	var running sync.WaitGroup
	for client := range noisyClients {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := noise(ctx, loud, fmt.Sprintf("noise-%d-%d", client, i)); err != nil && ctx.Err() == nil {
					r.Errorf("the noisy user: %v", err)
					return
				}
				made.Add(3)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}, made
}

func noise(ctx context.Context, loud versioned.Interface, name string) error {
	if err := createNoise(ctx, loud, name); err != nil {
		return err
	}
	// Not decoded: that is the client's work, in the same process.
	body, err := loud.PlacementV1beta1().RESTClient().Get().Resource("clusterstagedupdatestrategies").Stream(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	return loud.PlacementV1beta1().ClusterStagedUpdateStrategies().Delete(ctx, name, metav1.DeleteOptions{})
}

func createNoise(ctx context.Context, loud versioned.Interface, name string) error {
	_, err := loud.PlacementV1beta1().ClusterStagedUpdateStrategies().Create(ctx, &v1beta1.ClusterStagedUpdateStrategy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{stage("canary", "50%"), stage("production", "25%", needsApproval)}},
	}, metav1.CreateOptions{})
	return err
}

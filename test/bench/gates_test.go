// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

var needsApproval = v1beta1.StageTask{Type: v1beta1.StageTaskTypeApproval}

func (r *rig) requests() cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return r.api.ClusterApprovalRequests().List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return r.api.ClusterApprovalRequests().Watch(ctx, o)
		},
	}
}

func (r *rig) approve(run string) error {
	name := wellknown.BeforeStageApprovalName(run, "all")
	_, err := r.api.ClusterApprovalRequests().Approve(r.ctx, name, &v1beta1.Approval{}, metav1.CreateOptions{})
	return err
}

func BenchmarkApprovalToFirstBinding(b *testing.B) {
	r := newRig(b)
	r.join(10)
	r.strategyOf("gated", "100%", needsApproval)
	r.place(10, app)
	var times []time.Duration
	cost := startMeter()
	for b.Loop() {
		for i := range 10 {
			name, version := fmt.Sprintf("run-%d-%d", b.N, i), i%2
			asked := wellknown.BeforeStageApprovalName(name, "all")
			until(r, r.requests(), func() error { return r.startRun(name, app, "gated", version) },
				func(request *v1beta1.ClusterApprovalRequest) bool { return request.Name == asked })
			times = append(times, until(r, r.bindingsOf(app), func() error { return r.approve(name) }, func(binding *v1beta1.ClusterResourceBinding) bool {
				return binding.Spec.ResourceSnapshotName == wellknown.ResourceSnapshotName(app, version)
			}))
			until(r, r.runs(name), nothing, r.succeeded)
		}
	}
	cost.stop(approval)
	took := median(times)
	b.ReportMetric(took.Seconds(), "s/approval")
	result(approval, "%.3f s", took.Seconds())
}

// BenchmarkRestart has many runs wait for an approval, gives it while no controller runs, and measures from the start of the server until
// every run has acted on it, so that each was looked at and written.
func BenchmarkRestart(b *testing.B) {
	const runs = 1000
	r := newRig(b)
	r.join(1)
	r.strategyOf("gated", "100%", needsApproval)
	names := make([]string, runs)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%04d", app, i)
	}
	r.place(1, names...)
	asked := sets.New[string]()
	until(r, r.requests(), func() error {
		r.each(runs, func(i int) error { return r.startRun(names[i], names[i], "gated", 0) })
		return nil
	}, func(request *v1beta1.ClusterApprovalRequest) bool { return asked.Insert(request.Name).Len() == runs })
	r.stop()
	r.start(false)
	r.each(runs, func(i int) error { return r.approve(names[i]) })
	r.stop()
	cost := startMeter()
	for b.Loop() {
		start := time.Now()
		r.start(true)
		serving := time.Since(start)
		accepted := sets.New[string]()
		until(r, r.requests(), nothing, func(request *v1beta1.ClusterApprovalRequest) bool {
			if meta.IsStatusConditionTrue(request.Status.Conditions, v1beta1.RequestApprovalAccepted) {
				accepted.Insert(request.Name)
			}
			return accepted.Len() == runs
		})
		moved := time.Since(start)
		cost.stop(restart)
		b.ReportMetric(serving.Seconds(), "s/start")
		b.ReportMetric(moved.Seconds(), "s/restart")
		result(restart, "%.1f s, of which the start of the server %.1f s", moved.Seconds(), serving.Seconds())
	}
}

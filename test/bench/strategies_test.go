// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

const strategies = 5000

// BenchmarkStrategies creates strategies through the whole of the server's chain, and lists them as kubectl does.
func BenchmarkStrategies(b *testing.B) {
	r := newRigWithoutServer(b)
	r.start(false)
	clients := make([]versioned.Interface, 16)
	for i := range clients {
		config := r.server.As(testserver.Alice)
		var err error
		clients[i], err = versioned.NewForConfig(config)
		r.must(err)
	}
	n := 0
	b.Run("create", func(b *testing.B) {
		var total, cpu time.Duration
		for b.Loop() {
			n++
			errs := make([]error, strategies)
			start, before := time.Now(), processCPU()
			workqueue.ParallelizeUntil(r.ctx, len(clients), strategies, func(i int) {
				_, errs[i] = clients[i%len(clients)].PlacementV1beta1().ClusterStagedUpdateStrategies().Create(r.ctx, &v1beta1.ClusterStagedUpdateStrategy{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("strategy-%d-%d", n, i)},
					Spec: v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{
						stage("staging", "2"), stage("canary", "50%"), stage("production", "25%", needsApproval),
					}},
				}, metav1.CreateOptions{})
			})
			total, cpu = total+time.Since(start), cpu+processCPU()-before
			for _, err := range errs {
				r.must(err)
			}
		}
		rate, each := float64(strategies*n)/total.Seconds(), milliseconds(cpu)/float64(strategies*n)
		b.ReportMetric(rate, "creates/s")
		b.ReportMetric(each, "ms-CPU/create")
		result(createStrategies, "%.0f/s, %.1f ms CPU each with the client", rate, each)
	})
	b.Run("list", func(b *testing.B) {
		var times []time.Duration
		for b.Loop() {
			for range 9 {
				start := time.Now()
				list, err := clients[0].PlacementV1beta1().ClusterStagedUpdateStrategies().List(r.ctx, metav1.ListOptions{})
				r.must(err)
				if len(list.Items) != strategies {
					b.Fatalf("%d of %d strategies are listed", len(list.Items), strategies)
				}
				times = append(times, time.Since(start))
			}
		}
		took := median(times)
		b.ReportMetric(milliseconds(took), "ms/list")
		result(listStrategies, "%.0f ms, decoding included", milliseconds(took))
	})
}

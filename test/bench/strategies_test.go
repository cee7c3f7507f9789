// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"io"
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
		var total time.Duration
		cost := startMeter()
		for b.Loop() {
			n++
			errs := make([]error, strategies)
			start := time.Now()
			workqueue.ParallelizeUntil(r.ctx, len(clients), strategies, func(i int) {
				_, errs[i] = clients[i%len(clients)].PlacementV1beta1().ClusterStagedUpdateStrategies().Create(r.ctx, &v1beta1.ClusterStagedUpdateStrategy{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("strategy-%d-%d", n, i)},
					Spec: v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{
						stage("staging", "2"), stage("canary", "50%"), stage("production", "25%", needsApproval),
					}},
				}, metav1.CreateOptions{})
			})
			total += time.Since(start)
			for _, err := range errs {
				r.must(err)
			}
		}
		rate, each := float64(strategies*n)/total.Seconds(), milliseconds(cost.spent())/float64(strategies*n)
		cost.stop(createStrategies)
		b.ReportMetric(rate, "creates/s")
		b.ReportMetric(each, "ms-CPU/create")
		result(createStrategies, "%.0f/s, %.1f ms CPU each with the client", rate, each)
	})
	b.Run("list", func(b *testing.B) {
		var times, read, first []time.Duration
		size, cost := 0, startMeter()
		for b.Loop() {
			for range 9 {
				start := time.Now()
				list, err := clients[0].PlacementV1beta1().ClusterStagedUpdateStrategies().List(r.ctx, metav1.ListOptions{})
				r.must(err)
				if len(list.Items) != strategies {
					b.Fatalf("%d of %d strategies are listed", len(list.Items), strategies)
				}
				times = append(times, time.Since(start))

				start = time.Now()
				body, err := clients[0].PlacementV1beta1().RESTClient().Get().Resource("clusterstagedupdatestrategies").Stream(r.ctx)
				r.must(err)
				first = append(first, time.Since(start))
				n, err := io.Copy(io.Discard, body)
				r.must(errors.Join(err, body.Close()))
				size, read = int(n), append(read, time.Since(start))
			}
		}
		cost.stop(listStrategies)
		took, firstByte, lastByte := median(times), median(first), median(read)
		b.ReportMetric(milliseconds(took), "ms/list")
		b.ReportMetric(milliseconds(firstByte), "ms/first-byte")
		b.ReportMetric(milliseconds(lastByte), "ms/last-byte")
		result(listStrategies, "%.0f ms with decoding; first byte after %.0f ms, last after %.0f ms, %.1f MiB",
			milliseconds(took), milliseconds(firstByte), milliseconds(lastByte), mebibytes(size))
	})
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

const (
	strategies = 5000
	// creators is how many clients create them.
	creators = 16
)

// BenchmarkStrategies creates strategies through the whole of the server's chain, and lists them as kubectl does, and then as clients do that
// ask for protobuf, where the server answers that.
func BenchmarkStrategies(b *testing.B) {
	r := newRigWithoutServer(b)
	r.start(false)
	b.Run("create", func(b *testing.B) {
		r.measureCreation(b, runtime.ContentTypeJSON, createStrategies)
	})
	b.Run("list", func(b *testing.B) {
		r.measureList(b, runtime.ContentTypeJSON, listStrategies)
	})
	b.Run("list-protobuf", func(b *testing.B) {
		r.needProtobuf(b)
		r.measureList(b, runtime.ContentTypeProtobuf, listProtobuf)
	})
	b.Run("create-protobuf", func(b *testing.B) {
		r.needProtobuf(b)
		r.measureCreation(b, runtime.ContentTypeProtobuf, createProtobuf)
	})
}

// clientOf makes a client that sends and asks for a media type.
func (r *rig) clientOf(mediaType string) versioned.Interface {
	r.Helper()
	config := r.server.As(testserver.Alice)
	config.ContentType, config.AcceptContentTypes = mediaType, mediaType
	client, err := versioned.NewForConfig(config)
	r.must(err)
	return client
}

// needProtobuf skips a benchmark where the server does not answer protobuf.
func (r *rig) needProtobuf(b *testing.B) {
	b.Helper()
	err := r.api.RESTClient().Get().Resource("clusterstagedupdatestrategies").SetHeader("Accept", runtime.ContentTypeProtobuf).Do(r.ctx).Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code == http.StatusNotAcceptable {
		b.Skip("the server does not answer protobuf")
	}
}

func (r *rig) measureCreation(b *testing.B, mediaType string, row *row) {
	clients := make([]versioned.Interface, creators)
	for i := range clients {
		clients[i] = r.clientOf(mediaType)
	}
	var total time.Duration
	n, cost := 0, startMeter()
	for b.Loop() {
		n++
		errs := make([]error, strategies)
		start := time.Now()
		workqueue.ParallelizeUntil(r.ctx, len(clients), strategies, func(i int) {
			_, errs[i] = clients[i%len(clients)].PlacementV1beta1().ClusterStagedUpdateStrategies().Create(r.ctx, &v1beta1.ClusterStagedUpdateStrategy{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(path.Base(mediaType), ".", "-"), n, i)},
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
	cost.stop(row)
	b.ReportMetric(rate, "creates/s")
	b.ReportMetric(each, "ms-CPU/create")
	result(row, "%.0f/s, %.1f ms CPU each with the client", rate, each)
}

func (r *rig) measureList(b *testing.B, mediaType string, row *row) {
	client := r.clientOf(mediaType).PlacementV1beta1()
	var times, read, first []time.Duration
	size, cost := 0, startMeter()
	for b.Loop() {
		for range 9 {
			start := time.Now()
			list, err := client.ClusterStagedUpdateStrategies().List(r.ctx, metav1.ListOptions{})
			r.must(err)
			if len(list.Items) != strategies {
				b.Fatalf("%d of %d strategies are listed", len(list.Items), strategies)
			}
			times = append(times, time.Since(start))

			start = time.Now()
			body, err := client.RESTClient().Get().Resource("clusterstagedupdatestrategies").Stream(r.ctx)
			r.must(err)
			first = append(first, time.Since(start))
			n, err := io.Copy(io.Discard, body)
			r.must(errors.Join(err, body.Close()))
			size, read = int(n), append(read, time.Since(start))
		}
	}
	cost.stop(row)
	took, firstByte, lastByte := median(times), median(first), median(read)
	b.ReportMetric(milliseconds(took), "ms/list")
	b.ReportMetric(milliseconds(firstByte), "ms/first-byte")
	b.ReportMetric(milliseconds(lastByte), "ms/last-byte")
	result(row, "%.0f ms with decoding; first byte after %.0f ms, last after %.0f ms, %.1f MiB",
		milliseconds(took), milliseconds(firstByte), milliseconds(lastByte), mebibytes(size))
}

const (
	// watchers is how many clients watch, and changes how many changes they are shown.
	watchers = 50
	changes  = 200
)

// BenchmarkWatchers has clients, each with a connection of its own, watch one object, and measures how long it takes until all of them have
// seen a change of it.
func BenchmarkWatchers(b *testing.B) {
	r := newRigWithoutServer(b)
	r.start(false)
	r.createStrategy("watched", stage("staging", "2"), stage("canary", "50%"), stage("production", "25%", needsApproval))
	seen := make(chan string, watchers*(changes+1))
	for range watchers {
		r.show("watched", seen)
	}
	for range watchers {
		r.awaitSeen(seen, "")
	}
	for b.Loop() {
		var times []time.Duration
		cost := startMeter()
		for i := range changes {
			value := fmt.Sprintf("%d-%d", b.N, i)
			times = append(times, r.timed(func() error { return r.mark("watched", value) }))
			start := time.Now()
			for range watchers {
				r.awaitSeen(seen, value)
			}
			times[i] += time.Since(start)
		}
		each := float64(cost.spent().Microseconds()) / (watchers * changes)
		cost.stop(watched)
		b.ReportMetric(milliseconds(percentile99(times)), "ms-p99")
		b.ReportMetric(each, "µs-CPU/event")
		result(watched, "%.1f ms; median %.1f ms; %.0f µs of CPU time for each client, its own included", milliseconds(percentile99(times)), milliseconds(median(times)), each)
	}
}

// markLabel is what a benchmark changes.
const markLabel = "mark"

func (r *rig) mark(strategy, value string) error {
	_, err := r.api.ClusterStagedUpdateStrategies().Patch(r.ctx, strategy, types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, markLabel, value), metav1.PatchOptions{})
	return err
}

// show has a client of its own watch a strategy until the benchmark ends, and tell each mark that it sees.
func (r *rig) show(strategy string, seen chan<- string) {
	r.Helper()
	config := r.server.As(testserver.Alice)
	// Clients with the same dialer share a connection.
	config.Dial = (&net.Dialer{}).DialContext
	client, err := versioned.NewForConfig(config)
	r.must(err)
	shown, err := client.PlacementV1beta1().ClusterStagedUpdateStrategies().Watch(r.ctx, named(strategy, metav1.ListOptions{}))
	r.must(err)
	var watching sync.WaitGroup
	watching.Go(func() {
		for event := range shown.ResultChan() {
			if o, ok := event.Object.(*v1beta1.ClusterStagedUpdateStrategy); ok {
				seen <- o.Labels[markLabel]
			}
		}
	})
	r.Cleanup(func() {
		shown.Stop()
		watching.Wait()
	})
}

// awaitSeen waits until one client has seen a mark.
func (r *rig) awaitSeen(seen <-chan string, mark string) {
	r.Helper()
	select {
	case got := <-seen:
		if got != mark {
			r.Fatalf("a client sees %q, want %q", got, mark)
		}
	case <-r.ctx.Done():
		r.must(r.ctx.Err())
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package notify

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	hubfake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
	"github.com/stagegate/stagegate/pkg/rollout/internal/outbound"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// BenchmarkNotify measures what an entry in the history of a run costs: 100 runs get one each, over 50 sinks, over 50 sinks that do not ask for it,
// and over none, which is what the API in memory takes. An entry that is sent is sent to each of the sinks; ten a second to each is all they get.
// The CPU time is that of the process: the endpoints, with TLS, are in it.
func BenchmarkNotify(b *testing.B) {
	for _, row := range []struct {
		name  string
		sinks int
		types []string
	}{
		{"sinks=none", 0, nil},
		{"sinks=50 that do not ask", 50, []string{"cluster.*"}},
		{"sinks=50", 50, nil},
	} {
		b.Run(row.name, func(b *testing.B) { benchmark(b, row.sinks, row.types) })
	}
}

const benchmarkRuns = 100

func benchmark(b *testing.B, sinks int, types []string) {
	ctx, client := b.Context(), fleettest.NewClientset()
	f := fleet.New(client)
	seen := f.Sinks.Informer()
	for _, informer := range slices.Concat(f.Runs.Informers(), f.Approvals.Informers(), f.Placements.Informers()) {
		if informer == nil {
			b.Fatal("a kind is not watched")
		}
	}
	var came atomic.Int64
	arrived := make(chan struct{}, 1)
	endpoint := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		came.Add(1)
		select {
		case arrived <- struct{}{}:
		default:
		}
	}))
	b.Cleanup(endpoint.Close)
	for i := range sinks {
		sink := &v1alpha1.NotificationSink{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("sink-%d", i)}}
		sink.Spec.URL, sink.Spec.Types = endpoint.URL, types
		sink.Spec.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: endpoint.Certificate().Raw})
		if _, err := client.RolloutV1alpha1().NotificationSinks().Create(ctx, sink, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	runs := make([]v1beta1.UpdateRunObject, benchmarkRuns)
	for i := range runs {
		run := f.Runs.New(reconcile.Key{Name: fmt.Sprintf("run-%d", i)})
		run.RunSpec().PlacementName = "app"
		created, err := f.Runs.Client("").Create(ctx, run, metav1.CreateOptions{})
		if err != nil {
			b.Fatal(err)
		}
		runs[i] = created
	}
	f.Start(ctx.Done())
	if !f.WaitForSync(ctx.Done()) || !seen.HasSynced() {
		b.Fatal("the caches do not fill")
	}
	addresses := &outbound.Rules{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	controller := New(f, hubfake.NewClientset(), Options{Addresses: addresses, Hub: "hub-uid"}, clock.RealClock{})
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- controller.Run(running) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})

	var spent time.Duration
	number := int64(0)
	round := func() {
		number++
		for i, run := range runs {
			status := run.RunStatus()
			status.History = append(status.History, v1beta1.UpdateRunHistoryEntry{Number: number, Time: metav1.Now(), Reason: "StageStarted", Stage: "canary"})
			updated, err := f.Runs.Client("").UpdateStatus(ctx, run, metav1.UpdateOptions{})
			if err != nil {
				b.Fatal(err)
			}
			runs[i] = updated
		}
		for deadline := time.After(5 * time.Minute); types == nil && came.Load() < number*int64(sinks)*benchmarkRuns; {
			select {
			case <-arrived:
			case <-deadline:
				b.Fatalf("only %d notifications have come", came.Load())
			}
		}
		handled(b, controller, sinks, runs, number)
	}
	// The first round starts the senders and opens the connections.
	round()
	for b.Loop() {
		before := cpu(b)
		round()
		spent += cpu(b) - before
	}
	if types != nil && came.Load() > 0 {
		b.Errorf("%d notifications came that no sink asks for", came.Load())
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N)/benchmarkRuns, "cpu-µs/entry")
	b.ReportMetric(0, "ns/op")
}

// handled waits until all sinks are past an entry of all runs.
func handled(b *testing.B, c *Controller, sinks int, runs []v1beta1.UpdateRunObject, number int64) {
	b.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		missing := 0
		c.mu.Lock()
		missing += (sinks - len(c.sinks)) * len(runs)
		for _, state := range c.sinks {
			state.ledger.mu.Lock()
			for _, run := range runs {
				if at := state.ledger.runs[run.GetUID()]; at == nil || at.number < number {
					missing++
				}
			}
			state.ledger.mu.Unlock()
		}
		c.mu.Unlock()
		if missing == 0 {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
			// There is no event for what is not sent.
		case <-deadline:
			b.Fatalf("%d entries are not handled", missing)
		}
	}
}

// cpu is the processor's time of the process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

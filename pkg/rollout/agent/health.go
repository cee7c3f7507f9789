// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/version"
)

const (
	// shortestSilence is after how long at least without a heartbeat that the hub took a replica is not ready, also after the start of a term.
	shortestSilence = 30 * time.Second
	// Whoever reaches the port may send what they like, as slowly as they like.
	healthTimeout = 10 * time.Second
	healthHeaders = 8 << 10
)

// Health is what the agent tells of itself to probes and in metrics. Its methods may be called at the same time, and on nil.
type Health struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	leading bool
	// heard is when the hub took a heartbeat, or when the term began.
	heard  time.Time
	period time.Duration
	// idle is why nothing is applied, empty while it is.
	idle  string
	works func() (all, applied int)
	// refusal is what a person has to do for the hub to accept the agent, nil where nobody knows.
	refusal func() error
}

// NewHealth returns the Health of a replica that does not work yet.
func NewHealth(c clock.PassiveClock) *Health { return &Health{clock: c} }

// leads notes that a term begins, and returns what ends it.
func (h *Health) leads() (end func()) {
	h.change(func() { h.leading, h.heard, h.period, h.idle, h.refusal = true, h.clock.Now(), 0, "", nil })
	leading.Set(1)
	return func() {
		h.change(func() { h.leading = false })
		leading.Set(0)
	}
}

// beat notes that the hub took a heartbeat.
func (h *Health) beat(period time.Duration) {
	if h == nil {
		return
	}
	now := h.clock.Now()
	h.change(func() { h.heard, h.period, h.idle = now, period, "" })
	lastHeartbeat.Set(float64(now.UnixMilli()) / 1000)
}

// idles notes why nothing is applied.
func (h *Health) idles(why string) { h.change(func() { h.idle = why }) }

// applies notes who counts the Works, and returns what ends that.
func (h *Health) applies(count func() (all, applied int)) (end func()) {
	h.change(func() { h.works = count })
	return func() { h.change(func() { h.works = nil }) }
}

// asks notes who knows what a person has to do for the hub to accept the agent.
func (h *Health) asks(refusal func() error) { h.change(func() { h.refusal = refusal }) }

func (h *Health) change(f func()) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Ready returns nil while the hub takes the heartbeats of this replica, or another replica works, and otherwise why the replica is not ready.
func (h *Health) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.leading {
		return nil
	}
	if h.clock.Since(h.heard) < max(wellknown.SilentHeartbeats*h.period, shortestSilence) {
		return nil
	}
	if h.refusal != nil {
		if err := h.refusal(); err != nil {
			return err
		}
	}
	if h.idle != "" {
		return errors.New("nothing is applied: " + h.idle)
	}
	return fmt.Errorf("the hub has taken no heartbeat since %s: the log says why", h.heard.UTC().Format(time.RFC3339))
}

// count sets the metric of Works, which nobody is told of as they change.
func (h *Health) count() {
	h.mu.Lock()
	counter := h.works
	h.mu.Unlock()
	if counter == nil {
		works.Reset()
		return
	}
	all, applied := counter()
	works.WithLabelValues("true").Set(float64(applied))
	works.WithLabelValues("false").Set(float64(all - applied))
}

// handler serves /healthz, /readyz and /metrics. The process is healthy as long as it answers: a hub that is away is nothing that a restart
// mends.
func (h *Health) handler() http.Handler {
	registerMetrics()
	version.RegisterMetric()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.Ready()) })
	gathered := legacyregistry.Handler()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		h.count()
		gathered.ServeHTTP(w, r)
	})
	return mux
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, err)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// listen serves on an address until the context ends or stop is called, which returns when no request is under way.
func (h *Health) listen(ctx context.Context, address string) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: h.handler(), MaxHeaderBytes: healthHeaders,
		ReadTimeout: healthTimeout, WriteTimeout: healthTimeout, IdleTimeout: 3 * healthTimeout,
	}
	logger := klog.FromContext(ctx)
	logger.Info("Serving health and metrics", "address", listener.Addr().String())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error(err, "Health and metrics are not served any more", "address", address)
		}
	})
	stop = sync.OnceFunc(func() {
		_ = server.Close()
		serving.Wait()
	})
	context.AfterFunc(ctx, stop)
	return stop, nil
}

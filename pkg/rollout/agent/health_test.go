// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// ask returns what a replica answers to a GET.
func ask(t *testing.T, h *Health, path string) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return recorder.Code, recorder.Body.String()
}

func TestAReplicaIsReadyWhileTheHubTakesItsHeartbeats(t *testing.T) {
	clock := clocktesting.NewFakeClock(start)
	h := NewHealth(clock)
	expect := func(what string, want int, says string) {
		t.Helper()
		if code, body := ask(t, h, "/readyz"); code != want || !strings.Contains(body, says) {
			t.Errorf("%s: /readyz answers %d %q, want %d %q", what, code, body, want, says)
		}
		if code, _ := ask(t, h, "/healthz"); code != http.StatusOK {
			t.Errorf("%s: /healthz answers %d: a restart mends nothing", what, code)
		}
	}
	clock.Step(time.Hour)
	expect("another replica works", http.StatusOK, "ok")
	end := h.leads()
	expect("its term has begun", http.StatusOK, "ok")
	clock.Step(shortestSilence)
	expect("it has never reached the hub", http.StatusServiceUnavailable, "no heartbeat since 2")
	h.beat(time.Minute)
	clock.Step(wellknown.SilentHeartbeats*time.Minute - time.Second)
	expect("it was heard", http.StatusOK, "ok")
	clock.Step(time.Second)
	expect("the hub is away", http.StatusServiceUnavailable, "no heartbeat since "+start.Add(time.Hour+shortestSilence).UTC().Format(time.RFC3339))
	h.idles("the hub has no InternalMemberCluster for the member")
	expect("there is nothing to do", http.StatusServiceUnavailable, "nothing is applied: the hub has no InternalMemberCluster")
	h.asks(func() error { return errors.New("the hub does not accept the token") })
	expect("its token has ended", http.StatusServiceUnavailable, "does not accept the token")
	h.beat(time.Second)
	clock.Step(shortestSilence - time.Second)
	expect("its heartbeats are a second apart", http.StatusOK, "ok")
	clock.Step(time.Hour)
	end()
	expect("its term has ended", http.StatusOK, "ok")
}

func TestAHeartbeatThatTheHubTookCounts(t *testing.T) {
	s := newSite(t, internalMemberCluster(v1beta1.ClusterStateJoin, 1))
	s.agent.options.Health = NewHealth(s.clock)
	s.agent.options.Health.leads()
	s.clock.Step(time.Hour)
	if code, _ := ask(t, s.agent.options.Health, "/readyz"); code == http.StatusOK {
		t.Error("it is ready without a heartbeat")
	}
	s.wake()
	if code, body := ask(t, s.agent.options.Health, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d %s after a heartbeat", code, body)
	}
	s.set(nil)
	s.clock.Step(time.Hour)
	s.wake()
	if code, body := ask(t, s.agent.options.Health, "/readyz"); code == http.StatusOK || !strings.Contains(body, "no InternalMemberCluster") {
		t.Errorf("/readyz answers %d %s without an InternalMemberCluster", code, body)
	}
}

func TestMetricsTellHowTheAgentFares(t *testing.T) {
	h := NewHealth(clocktesting.NewFakeClock(start))
	defer h.leads()()
	h.beat(time.Minute)
	applied := 1
	end := h.applies(func() (int, int) { return 3, applied })
	watch := countWatch(io.NopCloser(strings.NewReader("")))
	countTokenLife(tokenFor(start, time.Hour))
	expect := func(lines ...string) {
		t.Helper()
		_, body := ask(t, h, "/metrics")
		for _, line := range lines {
			if !strings.Contains(body, "\n"+line+"\n") {
				var ours []string
				for got := range strings.Lines(body) {
					if strings.HasPrefix(got, "stagegate_agent_") {
						ours = append(ours, got)
					}
				}
				t.Errorf("/metrics lacks %q: %q", line, ours)
			}
		}
	}
	number := func(at time.Time) string { return strconv.FormatFloat(float64(at.Unix()), 'g', -1, 64) }
	expect("stagegate_agent_leading 1", "stagegate_agent_last_heartbeat_timestamp_seconds "+number(start), "stagegate_agent_hub_watches 1",
		`stagegate_agent_works{applied="true"} 1`, `stagegate_agent_works{applied="false"} 2`,
		"stagegate_agent_token_expiration_timestamp_seconds "+number(start.Add(time.Hour)))
	applied = 3
	for range 2 {
		if err := watch.Close(); err != nil {
			t.Fatal(err)
		}
	}
	expect(`stagegate_agent_works{applied="true"} 3`, `stagegate_agent_works{applied="false"} 0`, "stagegate_agent_hub_watches 0")
	end()
	if _, body := ask(t, h, "/metrics"); strings.Contains(body, "stagegate_agent_works{") {
		t.Error("Works are counted though nothing is applied")
	}
}

func TestOnlyReadsAreServed(t *testing.T) {
	h := NewHealth(clocktesting.NewFakeClock(start))
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		recorder := httptest.NewRecorder()
		h.handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, http.NoBody))
		if recorder.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s is answered with %d", path, recorder.Code)
		}
	}
	if code, _ := ask(t, h, "/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("/debug/pprof/ is answered with %d", code)
	}
}

func TestHealthIsServedUntilItIsStopped(t *testing.T) {
	h := NewHealth(clocktesting.NewFakeClock(start))
	stop, err := h.listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := h.listen(t.Context(), "256.0.0.1:0"); err == nil {
		t.Error("it listens on an address that there is not")
	}
}

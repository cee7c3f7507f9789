// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
)

// patience is how long a test waits for what comes at once.
const patience = 30 * time.Second

func optionsFor(hub *fakeHub, clk clock.WithTicker) Options {
	config := &rest.Config{Host: hub.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	return Options{Stagegate: versioned.NewForConfigOrDie(config), Kubernetes: kubernetes.NewForConfigOrDie(config), Clock: clk, Hub: "test"}
}

func TestItEndsWhenNobodyLooks(t *testing.T) {
	hub, clk := newFakeHub(t), clocktesting.NewFakeClock(time.Now())
	options := optionsFor(hub, clk)
	options.Idle = time.Hour
	ready, ended := make(chan string, 1), make(chan error, 1)
	options.Ready = func(address string) { ready <- address }
	go func() { ended <- Run(t.Context(), options) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("it does not begin")
	}
	// It looks at the clock every minute.
	deadline := time.After(patience)
	for {
		clk.Step(time.Minute)
		select {
		case err := <-ended:
			if !errors.Is(err, ErrIdle) || !strings.Contains(err.Error(), "for 1h0m0s: start it again") {
				t.Errorf("it ends with %v", err)
			}
			if now := clk.Since(time.Now()); now < 50*time.Minute {
				t.Errorf("it ends after %s", now)
			}
			return
		case <-deadline:
			t.Fatal("it does not end")
		default:
		}
	}
}

func TestItServesUntilItIsInterrupted(t *testing.T) {
	hub := newFakeHub(t)
	options := optionsFor(hub, clock.RealClock{})
	ready, ended := make(chan string, 1), make(chan error, 1)
	options.Ready = func(address string) { ready <- address }
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() { ended <- Run(ctx, options) }()
	var address string
	select {
	case address = <-ready:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("it does not begin")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		t.Errorf("%s is answered with %s", address, answer.Status)
	}
	interrupt()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

func TestAHubThatIsGoneIsSaid(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	o := open(t, hub).enter()
	changed := o.server.data.changes.next()
	hub.CloseClientConnections()
	hub.Listener.Close()
	deadline := time.After(patience)
	for {
		page := o.get("/")
		if strings.Contains(page, "The hub has not answered since") {
			if !strings.Contains(page, "checkout-12") {
				t.Error("what was known is not shown")
			}
			return
		}
		select {
		case <-changed:
			changed = o.server.data.changes.next()
		case <-deadline:
			t.Fatalf("the page does not say it:\n%s", page)
		}
	}
}

func TestWhatMayNoLongerBeListedIsShownNoMore(t *testing.T) {
	hub := newFakeHub(t)
	smallFleet(hub)
	o := open(t, hub).enter()
	if page := o.get("/"); !strings.Contains(page, "checkout-12") {
		t.Fatalf("the page lacks the run:\n%s", page)
	}
	changed := o.server.data.changes.next()
	hub.mu.Lock()
	hub.forbidden["clusterstagedupdateruns"] = true
	hub.mu.Unlock()
	// Whoever watches must ask anew.
	hub.CloseClientConnections()
	deadline := time.After(patience)
	for {
		page := o.get("/")
		if strings.Contains(page, "You may not list ClusterStagedUpdateRuns.") {
			if strings.Contains(page, "checkout-12") {
				t.Error("the run is still shown")
			}
			if answer, _ := o.do(o.request(http.MethodGet, "/runs/checkout-12", nil)); answer.StatusCode != http.StatusNotFound {
				t.Errorf("its page is answered with %s", answer.Status)
			}
			return
		}
		select {
		case <-changed:
			changed = o.server.data.changes.next()
		case <-deadline:
			t.Fatalf("the page does not say it:\n%s", page)
		}
	}
}

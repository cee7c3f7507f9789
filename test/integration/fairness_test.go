// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestAFloodOfRequestsOfOneUserHoldsUpNobodyElse has one user make more requests than are served at once, and another one come last.
func TestAFloodOfRequestsOfOneUserHoldsUpNobodyElse(t *testing.T) {
	skipUnderRace(t)
	const flood, patience = 100, time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A request of the flood is served from when it enters until the test lets it go.
	entered, leave := make(chan struct{}, flood), make(chan struct{})
	// The other user is served when their request enters.
	other := make(chan struct{}, 1)
	s := testserver.Start(t, testserver.WithPriorityAndFairness(12), testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
		if strings.HasPrefix(a.GetName(), "flood-") {
			entered <- struct{}{}
			select {
			case <-leave:
			case <-ctx.Done():
			}
		} else if a.GetUser().GetName() == testserver.Alice && a.GetVerb() == "list" {
			other <- struct{}{}
		}
		return testserver.Authorize(a)
	}))
	r := find(t, s, "v1", "clusterstagedupdateruns")
	var flooding sync.WaitGroup
	for i := range flood {
		flooding.Go(func() {
			_, _ = r.client(t, s.As(testserver.Bob)).Get(ctx, fmt.Sprintf("flood-%d", i), metav1.GetOptions{})
		})
	}
	defer flooding.Wait()
	answered := make(chan error, 1)
	waitFor := func(arrived int) {
		t.Helper()
		if err := wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(context.Context) (bool, error) {
			n, err := queued()
			return len(entered)+n >= arrived || len(other) > 0, err
		}); err != nil {
			t.Fatalf("%d requests have not arrived: %v", arrived, err)
		}
	}
	waitFor(flood)
	if served := len(entered); served > flood/2 {
		t.Fatalf("%d of %d requests are served at once, which is no flood", served, flood)
	}
	go func() {
		_, err := r.client(t, s.As(testserver.Alice)).List(ctx, metav1.ListOptions{Limit: 1})
		answered <- err
	}()
	waitFor(flood + 1)

	served := 0
	for waiting := true; waiting; {
		select {
		case <-other:
			waiting = false
		case <-entered:
			leave <- struct{}{}
			served++
		case <-ctx.Done():
			t.Fatalf("the other user is not served after %d requests of the flood", served)
		}
	}
	// One after the other, all of the flood would be served first. On a busy machine some of it is before the other user's request arrives.
	if served > flood*3/4 {
		t.Errorf("the other user is served after %d of %d requests of the flood, which came first", served, flood)
	}
	if err := <-answered; err != nil {
		t.Errorf("the other user: %v", err)
	}
	close(leave)
}

// queued returns how many requests wait to be served.
func queued() (int, error) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, family := range families {
		if family.GetName() == "apiserver_flowcontrol_current_inqueue_requests" {
			for _, m := range family.GetMetric() {
				n += int(m.GetGauge().GetValue())
			}
		}
	}
	return n, nil
}

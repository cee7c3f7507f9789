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
	const flood, patience = 40, 30 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	serve := make(chan struct{})
	s := testserver.Start(t, testserver.WithPriorityAndFairness(12), testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
		// A request of the flood is served until the test lets it go.
		if strings.HasPrefix(a.GetName(), "flood-") {
			select {
			case <-serve:
			case <-ctx.Done():
			}
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
	waitQueued := func(enough func(n float64) bool) (n float64) {
		t.Helper()
		if err := wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(context.Context) (bool, error) {
			var err error
			n, err = queued()
			return enough(n), err
		}); err != nil {
			t.Fatalf("%.0f requests are queued: %v", n, err)
		}
		return n
	}
	// A few are served, the others wait.
	waiting := waitQueued(func(n float64) bool { return n >= flood/2 })
	answered := make(chan error, 1)
	go func() {
		_, err := r.client(t, s.As(testserver.Alice)).List(ctx, metav1.ListOptions{Limit: 1})
		answered <- err
	}()
	waiting = waitQueued(func(n float64) bool { return n > waiting })

	served := 0
	for alone := false; !alone; {
		select {
		case err := <-answered:
			if err != nil {
				t.Errorf("the other user: %v", err)
			}
			alone = true
		case serve <- struct{}{}:
			served++
			// What is let go makes room for one that waits.
			waiting = waitQueued(func(n float64) bool { return n < waiting || n == 0 })
		case <-ctx.Done():
			t.Fatalf("the other user is not served after %d requests of the flood", served)
		}
	}
	if served > flood/2 {
		t.Errorf("the other user is served after %d of %d requests of the flood, which came first", served, flood)
	}
	close(serve)
}

// queued returns how many requests wait to be served.
func queued() (float64, error) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return 0, err
	}
	n := 0.0
	for _, family := range families {
		if family.GetName() == "apiserver_flowcontrol_current_inqueue_requests" {
			for _, m := range family.GetMetric() {
				n += m.GetGauge().GetValue()
			}
		}
	}
	return n, nil
}

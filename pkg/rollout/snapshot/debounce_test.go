// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

func TestBursts(t *testing.T) {
	const ms = time.Millisecond
	key := reconcile.Key{Name: "app"}
	for name, tc := range map[string]struct {
		changes []time.Duration
		at      time.Duration
		want    time.Duration
	}{
		"nothing has changed":             {nil, 0, 0},
		"one change":                      {[]time.Duration{0}, 0, 250 * ms},
		"one change, a little later":      {[]time.Duration{0}, 100 * ms, 150 * ms},
		"one change, long ago":            {[]time.Duration{0}, 250 * ms, 0},
		"each change begins the wait":     {[]time.Duration{0, 200 * ms, 400 * ms}, 500 * ms, 150 * ms},
		"but not for longer than patient": {[]time.Duration{0, 200 * ms, 400 * ms, 600 * ms, 800 * ms, 900 * ms}, 950 * ms, 50 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			clock := clocktesting.NewFakePassiveClock(start)
			b := newBursts(clock)
			for _, at := range tc.changes {
				clock.SetTime(start.Add(at))
				b.changed(key)
			}
			clock.SetTime(start.Add(tc.at))
			if got := b.wait(key); got != tc.want {
				t.Errorf("waits %s, want %s", got, tc.want)
			}
		})
	}
}

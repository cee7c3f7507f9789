// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestLargeStatusesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A channel of the test, which may be waited for in it.
		previous := large
		defer func() { large = previous }()
		large = make(chan struct{}, 1)

		end, err := BeginLarge(t.Context(), minLarge)
		if err != nil {
			t.Fatal(err)
		}
		if small, err := BeginLarge(t.Context(), minLarge-1); err != nil {
			t.Error(err)
		} else {
			small()
		}
		began := make(chan func())
		go func() {
			next, err := BeginLarge(t.Context(), minLarge)
			if err != nil {
				t.Error(err)
			}
			began <- next
		}()
		synctest.Wait()
		select {
		case <-began:
			t.Error("a large one does not wait for another one")
		default:
		}
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := BeginLarge(ctx, minLarge); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that has ended: %v", err)
		}
		end()
		next := <-began
		// The one that has the turn is stuck.
		start := time.Now()
		if without, err := BeginLarge(t.Context(), minLarge); err != nil || time.Since(start) != maxTurnWait {
			t.Errorf("it waits for one that is stuck for %s: %v", time.Since(start), err)
		} else {
			without()
		}
		next()
		if len(large) != 0 {
			t.Error("a turn is not given back")
		}
	})
}

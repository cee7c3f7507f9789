// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestGroupsTakeTurns(t *testing.T) {
	// A step is a key that is added, or - for one that is taken.
	for name, tc := range map[string]struct {
		steps, want string
		groupOf     func(Key) string
	}{
		"one group is first come, first served": {
			steps: "a1 a3 a2 - a4 - - -", want: "a1 a3 a2 a4", groupOf: groupOf,
		},
		"without groups all is first come, first served": {
			steps: "a1 a2 b1 - - -", want: "a1 a2 b1",
		},
		"one of many comes first behind one of the others": {
			steps: "a1 a2 a3 a4 b1 - - - - -", want: "a1 b1 a2 a3 a4", groupOf: groupOf,
		},
		"who comes late waits for one of each": {
			steps: "a1 a2 a3 b1 b2 b3 - c1 - - - - - -", want: "a1 b1 a2 c1 b2 a3 b3", groupOf: groupOf,
		},
		"who comes again has no turn before the others": {
			steps: "a1 b1 b2 b3 - a2 - - a3 - - -", want: "a1 b1 a2 b2 a3 b3", groupOf: groupOf,
		},
		"all of many have their turns": {
			steps: "a1 a2 b1 c1 c2 - - - - -", want: "a1 b1 c1 a2 c2", groupOf: groupOf,
		},
	} {
		t.Run(name, func(t *testing.T) {
			order := newTurns()
			order.groupOf = tc.groupOf
			var got []string
			waiting := 0
			for _, step := range strings.Fields(tc.steps) {
				if step == "-" {
					got = append(got, order.Pop().Name)
					waiting--
				} else {
					order.Push(Key{Name: step})
					waiting++
				}
				if order.Len() != waiting {
					t.Fatalf("%d wait after %q, want %d", order.Len(), got, waiting)
				}
			}
			if got := strings.Join(got, " "); got != tc.want {
				t.Errorf("order %s, want %s", got, tc.want)
			}
			if len(order.waiting) > 0 || len(order.next) > 0 {
				t.Errorf("what is empty is kept: %v, %v", order.waiting, order.next)
			}
		})
	}
}

func groupOf(key Key) string { return key.Name[:1] }

func TestAKeyThatChangesWhileItIsReconciledWaitsForItsTurn(t *testing.T) {
	var got []string
	var queue *Queue
	queue = New(t.Name(), 1, func(_ context.Context, key Key) (time.Duration, error) {
		got = append(got, key.Name)
		if len(got) == 1 {
			queue.Enqueue(key)
		}
		return 0, nil
	})
	queue.TakeTurns(groupOf)
	for _, name := range []string{"a1", "a2", "b1", "a1"} {
		queue.Enqueue(Key{Name: name})
	}
	for range 4 {
		queue.next(t.Context())
	}
	if got, want := strings.Join(got, " "), "a1 b1 a2 a1"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
}

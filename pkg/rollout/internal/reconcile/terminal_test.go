// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestATerminalErrorIsKnownThroughWhatWrapsIt(t *testing.T) {
	terminal := Terminalf("duplicate %s", "thing")
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                 {nil, false},
		"another error":            {errors.New("broken"), false},
		"a terminal error":         {terminal, true},
		"one that is wrapped":      {fmt.Errorf("placement app: %w", terminal), true},
		"one that wraps another":   {Terminalf("invalid: %w", errors.New("broken")), true},
		"one that is not alone":    {errors.Join(errors.New("broken"), terminal), false},
		"the same as text of else": {fmt.Errorf("placement app: %v", terminal), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsTerminal(tc.err); got != tc.want {
				t.Errorf("terminal: %v, want %v", got, tc.want)
			}
		})
	}
	if broken := errors.New("broken"); !errors.Is(Terminalf("invalid: %w", broken), broken) {
		t.Error("what a terminal error wraps is lost")
	}
}

func TestAReconciliationIsTriedAgainAndCountedByItsError(t *testing.T) {
	const took = 2 * time.Second
	for name, tc := range map[string]struct {
		reconcile                                     func(ctx context.Context) error
		wantErrors, wantTerminal, wantPanics, retries int
	}{
		"what succeeds":          {reconcile: func(context.Context) error { return nil }},
		"what fails":             {reconcile: func(context.Context) error { return errors.New("broken") }, wantErrors: 1, retries: 1},
		"what only a user mends": {reconcile: func(context.Context) error { return Terminalf("duplicate") }, wantTerminal: 1},
		"a conflict": {
			reconcile: func(context.Context) error {
				return apierrors.NewConflict(schema.GroupResource{Resource: "things"}, "a", nil)
			}, retries: 1,
		},
		"a panic": {reconcile: func(context.Context) error { panic("out of order") }, wantErrors: 1, wantPanics: 1, retries: 1},
		"a panic in one of many pieces": {
			reconcile: func(ctx context.Context) error {
				return InParallel(ctx, 2, 2, func(i int) error {
					if i == 1 {
						panic("out of order")
					}
					return errors.New("broken")
				})
			},
			wantErrors: 1, wantPanics: 1, retries: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := clocktesting.NewFakeClock(time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC))
			queue := NewWithClock(t.Name(), 1, func(ctx context.Context, _ Key) (time.Duration, error) {
				c.Step(took)
				return 0, tc.reconcile(ctx)
			}, c)
			key := Key{Name: "a"}
			queue.Enqueue(key)
			queue.next(countedAs(t.Context(), t.Name()))

			if got := queue.keys.NumRequeues(key); got != tc.retries {
				t.Errorf("it is to be tried again %d times, want %d", got, tc.retries)
			}
			for metric, want := range map[string]int{
				"stagegate_reconcile_errors_total":          tc.wantErrors,
				"stagegate_reconcile_terminal_errors_total": tc.wantTerminal,
				"stagegate_reconcile_panics_total":          tc.wantPanics,
			} {
				testutil.AssertVectorCount(t, metric, map[string]string{"controller": t.Name()}, want)
			}
			testutil.AssertHistogramTotalCount(t, "stagegate_reconcile_duration_seconds", map[string]string{"controller": t.Name()}, 1)
			families, err := legacyregistry.DefaultGatherer.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range families {
				for _, m := range family.GetMetric() {
					if family.GetName() == "stagegate_reconcile_duration_seconds" && m.GetLabel()[0].GetValue() == t.Name() {
						if got := m.GetHistogram().GetSampleSum(); got != took.Seconds() {
							t.Errorf("it took %v s, want %v s", got, took.Seconds())
						}
					}
				}
			}
		})
	}
}

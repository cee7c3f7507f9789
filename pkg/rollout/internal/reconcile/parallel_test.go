// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestAConflictIsOneOnlyWhereNothingWorseHappened(t *testing.T) {
	resource := schema.GroupResource{Resource: "things"}
	conflict := apierrors.NewConflict(resource, "a", errors.New("changed"))
	gone := apierrors.NewNotFound(resource, "b")
	broken := errors.New("broken")
	tests := map[string]struct {
		errs         []error
		wantConflict bool
		wantErr      error
	}{
		"nothing went wrong":       {errs: []error{nil, nil}},
		"what is gone is done":     {errs: []error{gone, nil}},
		"conflicts alone":          {errs: []error{conflict, nil, conflict}, wantConflict: true, wantErr: conflict},
		"a conflict beside others": {errs: []error{conflict, broken}, wantErr: broken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, err := range []error{
				InParallel(t.Context(), 2, len(test.errs), func(i int) error { return test.errs[i] }),
				FanOut(t.Context(), len(test.errs), func(i int) error { return test.errs[i] }),
			} {
				if !errors.Is(err, test.wantErr) {
					t.Errorf("got %v, want %v", err, test.wantErr)
				}
				if apierrors.IsConflict(err) != test.wantConflict {
					t.Errorf("%v is a conflict: %v, want %v", err, !test.wantConflict, test.wantConflict)
				}
			}
		})
	}
}

func TestAPanicIsTheErrorOfItsPieceAlone(t *testing.T) {
	errs := Each(t.Context(), 2, 3, func(i int) error {
		if i == 1 {
			panic("out of order")
		}
		return nil
	})
	if errs[0] != nil || errs[2] != nil {
		t.Errorf("other pieces failed: %v", errs)
	}
	var panicked *PanicError
	if !errors.As(errs[1], &panicked) || panicked.Value != "out of order" || errs[1].Error() != "panic: out of order" {
		t.Errorf("got %v", errs[1])
	}
}

func TestAJoinedPanicNamesItsPiece(t *testing.T) {
	do := func(i int) error {
		if i == 1 {
			panic("out of order")
		}
		return nil
	}
	for _, err := range []error{InParallel(t.Context(), 2, 3, do), FanOut(t.Context(), 3, do)} {
		if want := "2 of 3: panic: out of order"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestFewRequestsDoNotWaitForThousands has callers with more requests than there may be, none of which is answered, and one with a few.
func TestFewRequestsDoNotWaitForThousands(t *testing.T) {
	const callers = 2
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	most, each := cap(extraRequests)+callers, cap(extraRequests)+1
	answer, underWay := make(chan struct{}), make(chan struct{}, callers*each)
	var many sync.WaitGroup
	for range callers {
		many.Go(func() {
			if err := FanOut(ctx, each, func(int) error {
				underWay <- struct{}{}
				<-answer
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	for range most {
		select {
		case <-underWay:
		case <-ctx.Done():
			t.Fatal("there are fewer requests at once than there may be")
		}
	}
	answered := 0
	if err := FanOut(ctx, 3, func(int) error {
		answered++
		return nil
	}); err != nil || answered != 3 {
		t.Errorf("%d of 3 are answered, %v", answered, err)
	}
	if more := len(underWay); more > 0 {
		t.Errorf("%d more than %d are under way at once", more, most)
	}
	close(answer)
	many.Wait()
}

func TestNothingMoreBeginsWhenTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun := 0
	err := FanOut(ctx, 1, func(int) error {
		begun++
		cancel()
		return nil
	})
	if err := FanOut(ctx, 1000, func(int) error {
		begun++
		return nil
	}); !errors.Is(err, context.Canceled) || begun != 1 {
		t.Errorf("%d have begun, %v", begun, err)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

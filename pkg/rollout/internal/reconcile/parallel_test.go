// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"errors"
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
			err := InParallel(t.Context(), 2, len(test.errs), func(i int) error { return test.errs[i] })
			if !errors.Is(err, test.wantErr) {
				t.Errorf("got %v, want %v", err, test.wantErr)
			}
			if apierrors.IsConflict(err) != test.wantConflict {
				t.Errorf("%v is a conflict: %v, want %v", err, !test.wantConflict, test.wantConflict)
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
	err := InParallel(t.Context(), 2, 3, func(i int) error {
		if i == 1 {
			panic("out of order")
		}
		return nil
	})
	if want := "2 of 3: panic: out of order"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

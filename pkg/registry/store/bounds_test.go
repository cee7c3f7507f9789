// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

type controllerKey struct{}

func boundsOfRuns() *bounds {
	family := Family[*v1beta1.StagedUpdateRun, v1beta1.UpdateRunSpec, v1beta1.UpdateRunStatus]{
		Spec:   func(r *v1beta1.StagedUpdateRun) *v1beta1.UpdateRunSpec { return &r.Spec },
		Status: func(r *v1beta1.StagedUpdateRun) *v1beta1.UpdateRunStatus { return &r.Status },
	}
	return &bounds{
		kind:    "StagedUpdateRun",
		measure: measure(v1beta1.GroupName, family),
		exempt:  func(ctx context.Context) bool { return ctx.Value(controllerKey{}) != nil },
	}
}

// sized is a run with so many bytes of spec, of labels, of managedFields and of status, and with so many finalizers.
func sized(spec, labels, managed, status, finalizers int) *v1beta1.StagedUpdateRun {
	run := &v1beta1.StagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "run"}}
	run.Spec.PlacementName = strings.Repeat("x", spec)
	run.Status.ResourceSnapshotIndexUsed = strings.Repeat("x", status)
	if labels > 0 {
		run.Labels = map[string]string{"a": strings.Repeat("x", labels)}
	}
	if managed > 0 {
		run.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: strings.Repeat("x", managed)}}
	}
	for i := range finalizers {
		run.Finalizers = append(run.Finalizers, fmt.Sprintf("example.com/%d", i))
	}
	return run
}

func TestUsersWriteObjectsUpToAMebibyte(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		object, old *v1beta1.StagedUpdateRun
		controller  bool
		refused     bool
	}{
		"a small one":                               {object: sized(10, 10, 10, 0, 0)},
		"nearly a mebibyte":                         {object: sized(mib-1000, 0, 0, 0, 0)},
		"a mebibyte of spec":                        {object: sized(mib, 0, 0, 0, 0), refused: true},
		"a mebibyte of labels":                      {object: sized(0, mib, 0, 0, 0), refused: true},
		"a mebibyte of managedFields":               {object: sized(0, 0, mib, 0, 0), refused: true},
		"a mebibyte of all together":                {object: sized(mib/3, mib/3, mib/3, 0, 0), refused: true},
		"a large status":                            {object: sized(0, 0, 0, 5*mib, 0)},
		"a controller's":                            {object: sized(5*mib, 0, 0, 0, 0), controller: true},
		"one that grows":                            {object: sized(mib, 0, 0, 0, 0), old: sized(mib-1000, 0, 0, 0, 0), refused: true},
		"one that grows by a label":                 {object: sized(mib-1000, 2000, 0, 0, 0), old: sized(mib-1000, 0, 0, 0, 0), refused: true},
		"a large one that grows":                    {object: sized(2*mib+1, 0, 0, 0, 0), old: sized(2*mib, 0, 0, 0, 0), refused: true},
		"a large one that stays":                    {object: sized(2*mib, 0, 0, 0, 0), old: sized(2*mib, 0, 0, 0, 0)},
		"a large one that shrinks":                  {object: sized(2*mib-1, 0, 0, 0, 0), old: sized(2*mib, 0, 0, 0, 0)},
		"a label on a large one":                    {object: sized(2*mib, 1000, 0, 0, 0), old: sized(2*mib, 0, 0, 0, 0)},
		"a finalizer on a large one":                {object: sized(2*mib, 0, 100, 0, 1), old: sized(2*mib, 0, 0, 0, 0)},
		"too many labels on a large one":            {object: sized(2*mib, metadataRoom, 0, 0, 0), old: sized(2*mib, 0, 0, 0, 0), refused: true},
		"one more label on very many":               {object: sized(0, 2*mib+10, 0, 0, 0), old: sized(0, 2*mib, 0, 0, 0), refused: true},
		"a finalizer less, and more managedFields":  {object: sized(0, 2*mib, 200, 0, 1), old: sized(0, 2*mib, 0, 0, 2)},
		"a finalizer less, and more of everything":  {object: sized(2*mib+1, 0, 200, 0, 1), old: sized(2*mib, 0, 0, 0, 2), refused: true},
		"what a user puts in the place of a status": {object: sized(0, 0, 0, 5*mib, 0), old: sized(0, 0, 0, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if test.controller {
				ctx = context.WithValue(ctx, controllerKey{}, true)
			}
			var old runtime.Object
			if test.old != nil {
				old = test.old
			}
			status := test.object.Status
			err := boundsOfRuns().check(ctx, test.object, old)
			if got := apierrors.IsRequestEntityTooLargeError(err); got != test.refused || err != nil && !test.refused {
				t.Errorf("got %v, want refused %v", err, test.refused)
			}
			if test.object.Status.ResourceSnapshotIndexUsed != status.ResourceSnapshotIndexUsed {
				t.Error("the status is changed")
			}
		})
	}
}

func TestTooLargeObjectsAreNamedWithTheirSizeAndTheLimit(t *testing.T) {
	err := boundsOfRuns().check(t.Context(), sized(2<<20, 0, 0, 0, 0), nil)
	for _, part := range []string{"StagedUpdateRun team/run", "2097", "at most 1048576 (1 MiB)", "divide it"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not contain %q", err, part)
		}
	}
}

func TestNothingIsWrittenOnceTheTimeOfARequestIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), controllerKey{}, true))
	b := boundsOfRuns()
	writes := map[string]func() error{
		"create": func() error { _, err := b.create(ctx, sized(1, 0, 0, 0, 0), nil); return err },
		"update": func() error { _, err := b.update(ctx, sized(1, 0, 0, 0, 0), sized(1, 0, 0, 0, 0), nil); return err },
		"action": func() error { _, err := ofAction(ctx, nil, nil, nil); return err },
	}
	for name, write := range writes {
		if err := write(); err != nil {
			t.Errorf("%s in time: %v", name, err)
		}
	}
	cancel()
	for name, write := range writes {
		if err := write(); !apierrors.IsTimeout(err) {
			t.Errorf("%s too late: %v, want a timeout", name, err)
		}
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// deadline is far more than anything here takes.
const deadline = 30 * time.Second

func TestAPanicIsLoggedWithItsPlace(t *testing.T) {
	var logged string
	ctx := klog.NewContext(t.Context(), funcr.New(func(_, line string) { logged += line }, funcr.Options{}))
	if err := Safely(ctx, func() error { panic("out of order") }); err == nil || err.Error() != "panic: out of order" {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(logged, "panic_test.go") {
		t.Errorf("the log does not tell where it was: %s", logged)
	}
}

func TestAPanicOverOneObjectKeepsNoOtherBack(t *testing.T) {
	for name, tc := range map[string]struct {
		mapFunc   MapFunc
		reconcile func(Key)
	}{
		"in the reconciliation": {
			mapFunc: Self,
			reconcile: func(key Key) {
				if key.Name == "bad" {
					panic("out of order")
				}
			},
		},
		"in the mapping of a change": {
			mapFunc: ByObject(func(o metav1.Object) []Key {
				if o.GetName() == "bad" {
					panic("out of order")
				}
				return []Key{KeyOf(o)}
			}),
			reconcile: func(Key) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			reconciled := make(chan Key, 10)
			queue := New("test", 1, func(_ context.Context, key Key) (time.Duration, error) {
				tc.reconcile(key)
				reconciled <- key
				return 0, nil
			})
			hub := fake.NewClientset(
				&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "bad", Namespace: "ns"}},
				&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "good", Namespace: "ns"}})
			informer := coreinformers.NewConfigMapInformer(hub, "ns", 0, cache.Indexers{})
			queue.Watch(informer, tc.mapFunc)
			go informer.RunWithContext(ctx)
			ended := make(chan error, 1)
			go func() { ended <- queue.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
			select {
			case key := <-reconciled:
				if key.Name != "good" {
					t.Errorf("%s was reconciled", key)
				}
			case <-time.After(deadline):
				t.Error("the other object is not reconciled")
			}
		})
	}
}

func TestWhatPanicsIsStartedAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	Forever(ctx, "test", func(context.Context) error {
		if runs++; runs == 1 {
			panic("out of order")
		}
		cancel()
		return errors.New("over")
	})
	if runs != 2 {
		t.Errorf("it ran %d times, want 2", runs)
	}
}

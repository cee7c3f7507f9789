// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package initializer

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestAWatchThatIsStoppedIsNoFailure(t *testing.T) {
	for name, stop := range map[string]bool{"stopped": true, "failed": false} {
		t.Run(name, func(t *testing.T) {
			logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
			ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), logger))
			defer cancel()
			answered := false
			answer := func() error {
				if stop || answered {
					cancel()
					return ctx.Err()
				}
				answered = true
				return errors.New("no route")
			}
			informer := cache.NewSharedIndexInformer(&cache.ListWatch{
				ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
					return &v1beta1.ClusterResourcePlacementList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, nil
				},
				WatchFuncWithContext: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
					if o.SendInitialEvents != nil {
						// As a server that does not know of it: the informer lists instead.
						return nil, apierrors.NewInvalid(schema.GroupKind{}, "", nil)
					}
					return nil, answer()
				},
			}, &v1beta1.ClusterResourcePlacement{}, 0, nil)
			QuietStop(informer)
			informer.RunWithContext(ctx)

			logged := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
			if got := strings.Contains(logged, "Failed to watch"); got == stop {
				t.Errorf("%s, and the log says:\n%s", name, logged)
			}
		})
	}
}

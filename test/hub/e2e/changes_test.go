// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/test/hub"
)

// watched are the kinds that tests wait for changes of, on the hub.
var watched = append([]schema.GroupVersionKind{
	kindRun, placementV1beta1.WithKind("StagedUpdateRun"),
	kindPlacement, placementV1beta1.WithKind("ResourcePlacement"),
	kindStrategy, placementV1beta1.WithKind("StagedUpdateStrategy"),
	kindApproval, placementV1beta1.WithKind("ApprovalRequest"),
	kindResourceSnapshot, placementV1beta1.WithKind("ResourceSnapshot"),
	placementV1beta1.WithKind("ClusterSchedulingPolicySnapshot"), placementV1beta1.WithKind("SchedulingPolicySnapshot"),
	placementV1beta1.WithKind("ClusterResourceBinding"), placementV1beta1.WithKind("ResourceBinding"),
	placementV1beta1.WithKind("Work"),
	kindMemberCluster,
}, watchedOnMembers...)

var watchedOnMembers = []schema.GroupVersionKind{
	kindConfigMap, kindNamespace, kindService, placementV1beta1.WithKind("AppliedWork"),
	kindDeployment, kindStatefulSet, kindDaemonSet, kindJob, kindBudget, kindPod,
}

// changes wakes whoever waits when an object of a watched kind changes on any cluster.
type changes struct {
	mu      sync.Mutex
	changed chan struct{}
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// next returns a channel that is closed at the next change.
func (c *changes) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

func (c *changes) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// watch starts anew: after a server was away, a watch that is retried can be half a minute late.
func (c *changes) watch(t *testing.T, clusters map[string]cluster) {
	t.Helper()
	c.close()
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	for name, cluster := range clusters {
		factory := dynamicinformer.NewDynamicSharedInformerFactory(cluster, 0)
		kinds := watchedOnMembers
		if name == hub.HubName {
			kinds = watched
		}
		for _, kind := range kinds {
			resource, _ := meta.UnsafeGuessKindToResource(kind)
			handler := cache.ResourceEventHandlerFuncs{
				AddFunc:    func(any) { c.notify() },
				UpdateFunc: func(any, any) { c.notify() },
				DeleteFunc: func(any) { c.notify() },
			}
			if _, err := factory.ForResource(resource).Informer().AddEventHandler(handler); err != nil {
				t.Fatal(err)
			}
		}
		factory.Start(ctx.Done())
		c.running.Go(func() { <-ctx.Done(); factory.Shutdown() })
		for resource, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				t.Fatalf("on %s: no watch of %s", name, resource)
			}
		}
	}
}

func (c *changes) close() {
	if c.cancel != nil {
		c.cancel()
		c.running.Wait()
	}
}

func isGone(err error) bool { return apierrors.IsNotFound(err) }

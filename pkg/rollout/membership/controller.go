// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	clusterinformers "github.com/stagegate/stagegate/pkg/generated/informers/externalversions/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/members"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Name of the controller.
const Name = "membership"

// workers is how many members are probed at once. Most of that time is spent waiting, the longest for those that do not answer.
const workers = 32

// collectors is how many members are read at once. A member takes memory for one of its objects.
const collectors = 4

// Controller joins and probes member clusters, and lets them leave. It serves one term of leadership.
type Controller struct {
	fleet     *fleet.Fleet
	hub       kubernetes.Interface
	directory *members.Directory
	options   Options
	recorder  record.EventRecorder
	clock     clock.WithTicker
	queue     *reconcile.Queue
	// reading has the members whose nodes, Pods and namespaces are read.
	reading *reconcile.Queue

	// namespaces of members on the hub, and internals, the InternalMemberClusters in them.
	namespaces, internals cache.SharedIndexInformer

	mu sync.Mutex
	// views are of the members that the controller reaches.
	views map[string]*view
	// pulls are the members that have agents.
	pulls map[string]*pulled
}

// Options of the controller.
type Options struct {
	// Ruler is what members are claimed for.
	Ruler storeid.Ruler
	// ForceDeleteWait is how long a member that cannot be reached keeps its MemberCluster from going. It must be more than zero.
	ForceDeleteWait time.Duration
}

// New returns the controller. Events on MemberClusters go to the recorder.
func New(f *fleet.Fleet, hub kubernetes.Interface, directory *members.Directory, options Options, recorder record.EventRecorder, c clock.WithTicker) *Controller {
	controller := &Controller{
		fleet:     f,
		hub:       hub,
		directory: directory,
		options:   options,
		recorder:  recorder,
		clock:     c,
		namespaces: coreinformers.NewFilteredNamespaceInformer(hub, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
			o.LabelSelector = labels.Set{wellknown.FleetResourceLabel: "true"}.String()
		}),
		internals: clusterinformers.NewInternalMemberClusterInformer(f.Clientset, metav1.NamespaceAll, 0, cache.Indexers{}),
		views:     map[string]*view{},
		pulls:     map[string]*pulled{},
	}
	controller.queue = reconcile.NewWithClock(Name, workers, controller.reconcile, c)
	controller.queue.Watch(f.MemberClusters.Informer(), reconcile.Self)
	controller.queue.Watch(controller.namespaces, reconcile.ByObject(func(namespace metav1.Object) []reconcile.Key {
		return memberOf(namespace.GetName())
	}))
	controller.queue.Watch(controller.internals, unlessStatus(reconcile.ByObject(inMemberNamespace)))
	controller.queue.Watch(f.Works.Informer(), onDelete(reconcile.ByObject(inMemberNamespace)))
	directory.Watch(controller.queue)
	controller.reading = reconcile.NewWithClock(Name+"-reports", collectors, controller.collect, c)
	controller.reading.Watch(f.MemberClusters.Informer(), reconcile.Self)
	controller.reading.Watch(f.Works.Informer(), onPlacedNamespace)
	f.Placements.Watch(controller.reading, controller.onNewPlacement)
	return controller
}

// Run serves until the context ends.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var informers sync.WaitGroup
	defer informers.Wait()
	defer cancel()
	informers.Go(func() { c.namespaces.RunWithContext(ctx) })
	informers.Go(func() { c.internals.RunWithContext(ctx) })
	reading := make(chan error, 1)
	go func() {
		defer cancel()
		reading <- c.reading.Run(ctx)
	}()
	err := c.queue.Run(ctx)
	cancel()
	return errors.Join(err, <-reading)
}

func (c *Controller) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	cluster, err := c.fleet.MemberClusters.Lister().Get(key.Name)
	if apierrors.IsNotFound(err) {
		// A namespace without a MemberCluster is left alone: the store may have been lost or restored.
		c.forget(key.Name)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if cluster.DeletionTimestamp.IsZero() {
		return c.join(ctx, cluster)
	}
	return c.leave(ctx, cluster)
}

func memberOf(namespace string) []reconcile.Key {
	if name, ok := wellknown.MemberOfNamespace(namespace); ok {
		return []reconcile.Key{{Name: name}}
	}
	return nil
}

func inMemberNamespace(o metav1.Object) []reconcile.Key { return memberOf(o.GetNamespace()) }

// unlessStatus leaves out changes of the status alone: this controller writes them, but for those of a member that has an agent.
func unlessStatus(f reconcile.MapFunc) reconcile.MapFunc {
	return func(oldObj, newObj any) []reconcile.Key {
		o, wasThere := oldObj.(metav1.Object)
		n, isThere := newObj.(metav1.Object)
		if wasThere && isThere && !wellknown.IsPulled(n.GetAnnotations()) && o.GetGeneration() == n.GetGeneration() && o.GetUID() == n.GetUID() && n.GetDeletionTimestamp().IsZero() {
			return nil
		}
		return f(oldObj, newObj)
	}
}

// onDelete leaves out everything but deletions.
func onDelete(f reconcile.MapFunc) reconcile.MapFunc {
	return func(oldObj, newObj any) []reconcile.Key {
		if newObj != nil {
			return nil
		}
		return f(oldObj, newObj)
	}
}

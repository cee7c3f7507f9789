// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/act"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/pkg/view"
)

// source is a kind that is watched: of a namespace, of all namespaces, or of the cluster. The user may be forbidden to list it.
type source struct {
	// kind in the plural, and where: "in namespace team-a", "in all namespaces", or nothing for a cluster-scoped kind.
	kind, where string
	informer    cache.SharedIndexInformer

	mu sync.Mutex
	// err is why the kind could not be read last, nil if it could.
	err error
	// since is since when.
	since time.Time
	// answered is closed once the hub has answered for the first time, or has not.
	answered chan struct{}
}

// data is all that the dashboard watches.
type data struct {
	runs, requests, placements []*source
	members                    *source
	// changes wakes who shows it.
	changes broadcast
}

func (d *data) all() []*source {
	all := append([]*source{}, d.runs...)
	all = append(all, d.requests...)
	all = append(all, d.placements...)
	return append(all, d.members)
}

// watchHub begins to watch the cluster-scoped kinds and the namespaced ones of a namespace, or with an empty one of all namespaces.
func watchHub(ctx context.Context, client versioned.Interface, namespace string, now func() time.Time) *data {
	d := &data{changes: broadcast{wake: make(chan struct{})}}
	placementAPI, clusterAPI := client.PlacementV1beta1().RESTClient(), client.ClusterV1beta1().RESTClient()
	// What names a resource in a namespace is the same in all of them.
	const anyNamespace = "x"
	both := func(n act.Noun, kind string, cluster, namespaced runtime.Object) []*source {
		where := "in all namespaces"
		if namespace != "" {
			where = "in namespace " + namespace
		}
		return []*source{
			d.inform(ctx, placementAPI, n.Resource(""), "", "Cluster"+kind, "", cluster, now),
			d.inform(ctx, placementAPI, n.Resource(anyNamespace), namespace, kind, where, namespaced, now),
		}
	}
	d.runs = both(act.Runs, "StagedUpdateRuns", &v1beta1.ClusterStagedUpdateRun{}, &v1beta1.StagedUpdateRun{})
	d.requests = both(act.Requests, "ApprovalRequests", &v1beta1.ClusterApprovalRequest{}, &v1beta1.ApprovalRequest{})
	d.placements = both(act.Placements, "ResourcePlacements", &v1beta1.ClusterResourcePlacement{}, &v1beta1.ResourcePlacement{})
	d.members = d.inform(ctx, clusterAPI, "memberclusters", "", "MemberClusters", "", &clusterv1beta1.MemberCluster{}, now)
	return d
}

// await returns once the hub has answered for each kind, or the context is over.
func (d *data) await(ctx context.Context) {
	for _, s := range d.all() {
		select {
		case <-s.answered:
		case <-ctx.Done():
			return
		}
		if s.failure() == nil {
			cache.WaitForCacheSync(ctx.Done(), s.informer.HasSynced)
		}
	}
}

func (d *data) inform(ctx context.Context, client rest.Interface, resource, namespace, kind, where string, of runtime.Object, now func() time.Time) *source {
	s := &source{kind: kind, where: where, answered: make(chan struct{})}
	plain := cache.NewFilteredListWatchFromClient(client, resource, namespace, func(*metav1.ListOptions) {})
	told := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := plain.ListWithContext(ctx, options)
			d.tell(ctx, s, err, now())
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := plain.WatchWithContext(ctx, options)
			d.tell(ctx, s, err, now())
			return w, err
		},
	}
	s.informer = cache.NewSharedIndexInformer(told, of, 0, cache.Indexers{})
	// An informer takes a transform before it runs; who manages a field nobody is shown.
	_ = s.informer.SetTransform(func(obj any) (any, error) {
		if accessor, err := meta.Accessor(obj); err == nil {
			accessor.SetManagedFields(nil)
		}
		return obj, nil
	})
	// What the hub refuses is shown on the pages. Nothing is logged over the address on the terminal.
	_ = s.informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {})
	_, _ = s.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { d.changes.send() },
		UpdateFunc: func(any, any) { d.changes.send() },
		DeleteFunc: func(any) { d.changes.send() },
	})
	go s.informer.RunWithContext(klog.NewContext(ctx, logr.Discard()))
	return s
}

// tell records whether the hub has answered.
func (d *data) tell(ctx context.Context, s *source, err error, now time.Time) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) {
		// The informer asks in another way.
		return
	}
	s.mu.Lock()
	changed := (err == nil) != (s.err == nil)
	s.err = err
	if changed {
		s.since = now
	}
	select {
	case <-s.answered:
	default:
		close(s.answered)
	}
	s.mu.Unlock()
	if changed {
		d.changes.send()
	}
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// forbidden reports whether the hub refuses to list the kind.
func (s *source) forbidden() bool { return apierrors.IsForbidden(s.failure()) }

// notice is what a page says about what it cannot show.
type notice struct {
	Text, Detail string
}

// notices tells of the sources that could not be read.
func notices(sources ...*source) (found []notice) {
	unreached := false
	for _, s := range sources {
		err := s.failure()
		switch {
		case err == nil:
		case apierrors.IsForbidden(err):
			text := "You may not list " + s.kind
			if s.where != "" {
				text += " " + s.where
			}
			if s.where == "in all namespaces" {
				text += ": start the dashboard with -n NAMESPACE for those of one namespace"
			}
			found = append(found, notice{Text: text + "."})
		case !unreached:
			unreached = true
			s.mu.Lock()
			since := s.since
			s.mu.Unlock()
			found = append(found, notice{Text: "The hub has not answered since " + since.Local().Format("15:04:05") + ": what is shown may be old.", Detail: view.Clean(err.Error())})
		}
	}
	return found
}

func listOf[O any](sources ...*source) (found []O) {
	for _, s := range sources {
		if s.forbidden() {
			// What was read before a right was taken is shown no more.
			continue
		}
		for _, obj := range s.informer.GetStore().List() {
			found = append(found, obj.(O))
		}
	}
	return found
}

// getOf returns an object of the cluster-scoped source, or of the namespaced one for a namespace.
func getOf[O any](sources []*source, namespace, name string) (found O, ok bool) {
	s := sources[0]
	if namespace != "" {
		s = sources[1]
	}
	if s.forbidden() {
		return found, false
	}
	obj, ok, err := s.informer.GetStore().GetByKey(cache.NewObjectName(namespace, name).String())
	if err != nil || !ok {
		return found, false
	}
	return obj.(O), true
}

// broadcast wakes all who wait for a change.
type broadcast struct {
	mu   sync.Mutex
	wake chan struct{}
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.wake)
	b.wake = make(chan struct{})
}

// next returns a channel that is closed with the next change.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wake
}

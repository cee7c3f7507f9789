// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// Name of the controller.
const Name = "apply"

// Each Work is applied in parallel within itself. A placement with envelopes may have hundreds of them, so placements take turns.
const workers = 2

// Options of an Applier.
type Options struct {
	// Cluster is the member's name. It is required: the Works are those of its namespace.
	Cluster string
	// Ruler is the store that holds the Works, and its hub. AppliedWorks carry both on the member. Either may be empty.
	Ruler storeid.Ruler
	// ClusterUID is the uid of the member, that of its namespace kube-system. Where it is set, nothing is done on another cluster.
	ClusterUID string
	// Doubt is called when the member ceases to answer. It must not block. Nil is nobody.
	Doubt func()
	// Clock gives the times in conditions. It defaults to the real one.
	Clock clock.PassiveClock
}

// Applier applies the Works of one namespace to one member.
type Applier struct {
	options Options
	works   placementclient.WorkInterface
	config  *rest.Config
	connect func(*rest.Config) (*member, error)
	reach   reach

	member *member
	// isHub reports whether the member is the hub itself.
	isHub    bool
	watches  *watches
	informer cache.SharedIndexInformer
	// enqueue has a Work looked at again, nil before Run.
	enqueue func(work string)

	mu      sync.Mutex
	records map[string]*record
	// waiting are the Works that wait for others of their placement.
	waiting sets.Set[string]
	// remnants are what Works wait for that are being deleted.
	remnants map[string][]remnant
	// restoring is since when AppliedWorks are to get back what those before them owned, by the names of their Works.
	restoring map[string]time.Time
}

// New makes an applier of the Works that the client sees, all of one namespace, to the member of the config. A config without a
// rate limit is used without one: the member's API server has its own.
func New(works placementclient.WorkInterface, memberConfig *rest.Config, options Options) *Applier {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	a := &Applier{
		options: options,
		works:   works,
		config:  memberConfig,
		connect: connect,
		records: map[string]*record{},
		waiting: sets.New[string](),

		remnants:  map[string][]remnant{},
		restoring: map[string]time.Time{},
	}
	a.informer = a.newInformer()
	return a
}

// Works counts the Works of the member that the applier sees, and how many of them are applied in the version that they have now. It may be
// called at any time.
func (a *Applier) Works() (all, applied int) {
	for _, obj := range a.informer.GetStore().List() {
		work, ok := obj.(*v1beta1.Work)
		if !ok {
			continue
		}
		all++
		if conditions.IsTrue(work.Status.Conditions, v1beta1.WorkApplied, work.Generation) {
			applied++
		}
	}
	return all, applied
}

// Run applies until the context ends. It fails at once where the member's config cannot make a client, and where the cluster is not the
// member that it is taken for or does not say so yet; a member that does not answer later is tried again for as long as it takes. Run
// may be called once.
func (a *Applier) Run(ctx context.Context) error {
	m, err := a.connect(a.config)
	if err != nil {
		return fmt.Errorf("member %s: %w", a.options.Cluster, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.member = m
	if a.isHub, err = m.identify(ctx, a.options); err == nil && a.isHub {
		err = a.disownOnHub(ctx)
	}
	if err != nil {
		return fmt.Errorf("member %s: %w", a.options.Cluster, err)
	}

	queue := reconcile.New(Name, workers, a.reconcile)
	queue.TakeTurns(a.turnOf)
	a.enqueue = func(work string) { queue.Enqueue(reconcile.Key{Name: work}) }
	a.watches = newWatches(ctx, m.informer, a.enqueue)
	// Those that have no Work are nobody's wish.
	a.watches.pin(appliedWorks)
	queue.Watch(a.informer, a.concerned)

	var informers sync.WaitGroup
	informers.Go(func() { a.informer.RunWithContext(ctx) })
	err = queue.Run(ctx)
	stop()
	a.watches.stopAll()
	informers.Wait()
	return err
}

// turnOf is the placement of a Work, since placements take turns: one with hundreds of Works must not keep those of others waiting. Works
// without a placement, and what is left of Works that are gone, take turns as one.
func (a *Applier) turnOf(key reconcile.Key) string {
	work, err := a.cached(key.Name)
	if err != nil || work == nil {
		return ""
	}
	return placementOf(work).String()
}

// concerned are the Work that has changed and those that wait for it.
func (a *Applier) concerned(oldObj, newObj any) []reconcile.Key {
	own := a.isOwnWrite(oldObj, newObj)
	return reconcile.ByObject(func(o metav1.Object) []reconcile.Key {
		var keys []reconcile.Key
		if !own {
			keys = append(keys, reconcile.Key{Name: o.GetName()})
		}
		if work, ok := o.(*v1beta1.Work); ok {
			for _, name := range a.wokenBy(work) {
				keys = append(keys, reconcile.Key{Name: name})
			}
		}
		return keys
	})(oldObj, newObj)
}

// isOwnWrite reports whether nothing of a Work has changed but its status, by a write of this applier. A pass that fails is tried
// again less and less often, and what it has to say must not wake it: a member whose words differ each time, such as those with the id of
// a request, would be asked again at once, for ever.
func (a *Applier) isOwnWrite(oldObj, newObj any) bool {
	before, ok := oldObj.(*v1beta1.Work)
	after, isWork := newObj.(*v1beta1.Work)
	if !ok || !isWork || before.UID != after.UID || before.Generation != after.Generation || !before.DeletionTimestamp.Equal(after.DeletionTimestamp) ||
		!maps.Equal(before.Labels, after.Labels) || !maps.Equal(before.Annotations, after.Annotations) || !slices.Equal(before.Finalizers, after.Finalizers) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.records[after.Name]
	return r != nil && r.uid == after.UID && r.own.sees(after.ResourceVersion)
}

func (a *Applier) newInformer() cache.SharedIndexInformer {
	return cache.NewSharedIndexInformer(
		cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return a.works.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return a.works.Watch(ctx, options)
			},
		}, a.works),
		&v1beta1.Work{}, 0, cache.Indexers{byPlacement: placementIndex})
}

func (a *Applier) cached(name string) (*v1beta1.Work, error) {
	key := cache.NewObjectName(wellknown.MemberNamespace(a.options.Cluster), name).String()
	obj, exists, err := a.informer.GetStore().GetByKey(key)
	if err != nil || !exists {
		return nil, err
	}
	return obj.(*v1beta1.Work), nil
}

func (a *Applier) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	again, err := a.reconcileWork(ctx, key.Name)
	if pause, away, news := a.reach.observe(ctx, a.options.Clock.Now(), err); away {
		if news && a.options.Doubt != nil {
			a.options.Doubt()
		}
		return pause, nil
	}
	if isKindUnknown(err) {
		// Whoever looks after memberships recreates it. That the member has it again is an event, but not that its API server serves it.
		if a.options.Doubt != nil {
			a.options.Doubt()
		}
		klog.FromContext(ctx).V(2).Info("Applying nothing", "reason", err)
		return lostPause, nil
	}
	return again, err
}

// reconcileWork brings the member closer to what a Work says. It returns when to look again although nothing changes, 0 for never.
func (a *Applier) reconcileWork(ctx context.Context, name string) (time.Duration, error) {
	work, err := a.cached(name)
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading Work %s from the cache: %w", name, err)
	case work == nil:
		// A Work that is missing says nothing about what is to be on the member: only a deletion that was asked for removes.
		deleted := a.watches.deleted(appliedWorks, keyOf(name))
		a.forget(name)
		if deleted && !a.isHub {
			return 0, a.surrenderUnknown(ctx, name)
		}
		return 0, nil
	case work.DeletionTimestamp != nil:
		return a.remove(ctx, work)
	case isGoing(work):
		// Others count on it to hold nothing any more. Its deletion follows.
		return 0, nil
	}
	work, err = a.withFinalizer(ctx, work)
	if err != nil {
		return 0, err
	}

	p := &pass{Applier: a, work: work, record: a.recordOf(work)}
	again, err := p.run(ctx)
	switch {
	case errors.Is(err, errStale), errors.Is(err, errHeld):
		return 0, nil
	case err != nil:
		return 0, err
	}
	if err := a.writeStatus(ctx, p.work, p.status()); err != nil {
		return 0, err
	}
	_, left := remainingVerdict(p.record.remnants, false, a.options.Clock.Now())
	return left, again
}

func (a *Applier) withFinalizer(ctx context.Context, work *v1beta1.Work) (*v1beta1.Work, error) {
	if reconcile.HasFinalizer(work, wellknown.WorkCleanupFinalizer) {
		return work, nil
	}
	work = work.DeepCopy()
	reconcile.AddFinalizer(work, wellknown.WorkCleanupFinalizer)
	updated, err := a.works.Update(ctx, work, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return nil, fmt.Errorf("adding the finalizer to Work %s: %w", work.Name, err)
	}
	return updated, nil
}

func (a *Applier) writeStatus(ctx context.Context, work *v1beta1.Work, status v1beta1.WorkStatus) error {
	if equality.Semantic.DeepEqual(work.Status, status) {
		return nil
	}
	work = work.DeepCopy()
	work.Status = status
	err := a.updateStatus(ctx, work)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("writing the status of Work %s: %w", work.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Work status written", "work", klog.KObj(work), "generation", work.Generation,
		"summary", summary(status))
	return nil
}

// updateStatus writes a status such that the change does not wake the applier.
func (a *Applier) updateStatus(ctx context.Context, work *v1beta1.Work) error {
	own := a.ownWritesOf(work)
	a.mu.Lock()
	own.begin()
	a.mu.Unlock()
	updated, err := a.works.UpdateStatus(ctx, work, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	version := ""
	if err == nil {
		version = updated.ResourceVersion
	}
	a.mu.Lock()
	others := own.end(version)
	a.mu.Unlock()
	if others && a.enqueue != nil {
		a.enqueue(work.Name)
	}
	return err
}

// ownWritesOf are those to a Work; to one without a record they do not matter.
func (a *Applier) ownWritesOf(work *v1beta1.Work) *ownWrites {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.records[work.Name]; r != nil && r.uid == work.UID {
		return &r.own
	}
	return &ownWrites{}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package fleettest

import (
	"context"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// World is a fleet in one scope, with its caches filled.
type World struct {
	*testing.T
	Client *fake.Clientset
	Fleet  *fleet.Fleet
	// Namespace is empty for the cluster-scoped kinds.
	Namespace string

	changed chan struct{}
}

// InBothScopes runs a test on a world of each scope.
func InBothScopes(t *testing.T, test func(w *World)) {
	for name, namespace := range map[string]string{"cluster-scoped": "", "namespaced": "team"} {
		t.Run(name, func(t *testing.T) { test(New(t, namespace)) })
	}
}

// New makes a world of the scope that a namespace stands for: the cluster-scoped one where it is empty.
func New(t *testing.T, namespace string) *World {
	t.Helper()
	w := &World{T: t, Client: NewClientset(), Namespace: namespace, changed: make(chan struct{}, 1)}
	w.Fleet = fleet.New(w.Client)
	for _, informer := range slices.Concat(w.Fleet.Placements.Informers(), w.Fleet.Bindings.Informers(), w.Fleet.Snapshots.Informers(),
		w.Fleet.PolicySnapshots.Informers(), w.Fleet.Runs.Informers(), w.Fleet.Approvals.Informers(), w.Fleet.Overrides.Informers(), w.Fleet.OverrideSnapshots.Informers(),
		w.Fleet.Policies.Informers(), []cache.SharedIndexInformer{w.Fleet.Works.Informer(), w.Fleet.MemberClusters.Informer(), w.Fleet.Evictions.Informer(), w.Fleet.Mirrors.Informer(), w.Fleet.Sinks.Informer()}) {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { w.notify() }, UpdateFunc: func(any, any) { w.notify() }, DeleteFunc: func(any) { w.notify() },
		})
		w.Must(err)
	}
	w.Fleet.Start(t.Context().Done())
	if !w.Fleet.WaitForSync(t.Context().Done()) {
		t.Fatal("the caches do not fill")
	}
	return w
}

func (w *World) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Must ends the test with an error.
func (w *World) Must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// Key of an object in the scope.
func (w *World) Key(name string) reconcile.Key {
	return reconcile.Key{Namespace: w.Namespace, Name: name}
}

// Eventually waits for what follows from changes.
func (w *World) Eventually(what string, done func() bool) {
	w.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !done() {
		select {
		case <-w.changed:
		case <-deadline.C:
			w.Fatalf("%s: does not happen", what)
		}
	}
}

// Run runs a controller until the test ends.
func (w *World) Run(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	w.Cleanup(func() {
		cancel()
		w.Must(<-done)
	})
}

// Create makes an object and waits until the caches have it.
func Create[O fleet.Object](w *World, kind fleet.Kind[O], name string, fill func(O)) {
	w.Helper()
	o := kind.New(w.Key(name))
	fill(o)
	_, err := kind.Client(w.Namespace).Create(w.Context(), o, metav1.CreateOptions{})
	w.Must(err)
	w.Eventually(name+" is in the cache", func() bool { _, err := kind.Get(w.Key(name)); return err == nil })
}

// Update changes an object, and tries again where that meets a conflict.
func Update[O fleet.Object](w *World, kind fleet.Kind[O], name string, change func(O)) {
	w.Helper()
	w.Must(write(w, kind, name, change, kind.Client(w.Namespace).Update))
}

// UpdateStatus changes the status of an object, and tries again where that meets a conflict.
func UpdateStatus[O fleet.Object](w *World, kind fleet.Kind[O], name string, change func(O)) {
	w.Helper()
	w.Must(write(w, kind, name, change, kind.Client(w.Namespace).UpdateStatus))
}

func write[O fleet.Object](w *World, kind fleet.Kind[O], name string, change func(O), put func(context.Context, O, metav1.UpdateOptions) (O, error)) error {
	for {
		o, err := kind.Client(w.Namespace).Get(w.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(o)
		if _, err = put(w.Context(), o, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			return err
		}
	}
}

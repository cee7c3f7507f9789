// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/workqueue"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/pkg/rollout/placementstatus"
	"github.com/stagegate/stagegate/pkg/rollout/scheduling"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun"
	"github.com/stagegate/stagegate/pkg/rollout/work"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// patience is how long a benchmark waits for anything.
const patience = 15 * time.Minute

// setters is how many writes prepare a benchmark at once.
const setters = 32

// rig is a server, what stands around it, and a user.
type rig struct {
	*testing.B
	ctx     context.Context
	dataDir string
	hub     *rest.Config
	// namespaces is what admission sees of the hub.
	namespaces kubernetes.Interface
	writes     *writes
	server     *testserver.Server
	fleet      versioned.Interface
	// api is the user's client.
	api         placementclient.PlacementV1beta1Interface
	stopMembers func()
	// controllers are those that run.
	controllers []string
}

// newRig starts a server with its controllers and members.
func newRig(b *testing.B) *rig {
	b.Helper()
	r := newRigWithoutServer(b)
	r.start(true)
	return r
}

func newRigWithoutServer(b *testing.B) *rig { return newRigFor(b, patience) }

// newRigFor makes a rig that waits so long for all of its work.
func newRigFor(b *testing.B, patience time.Duration) *rig {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &rig{
		B: b, ctx: ctx, dataDir: dir, hub: testserver.StartHub(b), namespaces: testserver.NewHub(), writes: &writes{},
		controllers: []string{scheduling.Name, updaterun.Name, work.Name, placementstatus.Name},
	}
}

// start runs a server on the rig's data, with the controllers that a rollout takes or without any. The options come last.
func (r *rig) start(queues bool, options ...testserver.Option) {
	r.Helper()
	r.server = testserver.Start(r.B, slices.Concat([]testserver.Option{
		testserver.WithDataDir(r.dataDir),
		testserver.WithHub(r.namespaces),
		testserver.WithOptions(func(o *apiserver.Options) {
			// Benchmarks prepare as a user what controllers and many teams make of a fleet.
			o.MaxObjects = 0
		}),
		testserver.WithConfig(func(c *apiserver.Config) {
			if queues {
				c.Generic.ClientConfig = r.hub
				c.Extra.NewManager = r.newManager
			}
		}),
	}, options)...)
	members := r.server.Controllers()
	members.Wrap(r.writes.wrap)
	applier, err := versioned.NewForConfig(members)
	r.must(err)
	ctx, cancel := context.WithCancel(r.ctx)
	var running sync.WaitGroup
	running.Go(func() { applyAtOnce(ctx, applier) })
	r.stopMembers = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	r.Cleanup(r.stopMembers)
	r.fleet, err = versioned.NewForConfig(r.server.As(testserver.Alice))
	r.must(err)
	r.api = r.fleet.PlacementV1beta1()
}

// stop ends the server and keeps its data.
func (r *rig) stop() {
	r.stopMembers()
	r.server.Stop()
}

// newManager runs all controllers that move an update run. Snapshots are made by hand, since there is nothing to select on the hub, and no
// member has credentials to be joined or applied with.
func (r *rig) newManager(api, hub *rest.Config, options rollout.Options) (apiserver.Manager, error) {
	api.Wrap(r.writes.wrap)
	return rollout.New(api, hub, rollout.Options{
		Controllers:       r.controllers,
		ExternalSnapshots: options.ExternalSnapshots,
		StoreID:           testserver.HubStoreID,
		HubRecord:         options.HubRecord,
	})
}

// stored is the size in bytes of a cluster-scoped object as it is in etcd.
func (r *rig) stored(resource, name string) int {
	r.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{r.server.Endpoint}})
	r.must(err)
	defer func() { _ = client.Close() }()
	response, err := client.Get(r.ctx, "/registry/kubernetes-fleet.io/"+v1beta1.GroupName+"/"+resource+"/"+name)
	r.must(err)
	if len(response.Kvs) != 1 {
		r.Fatalf("%s %s is in etcd %d times", resource, name, len(response.Kvs))
	}
	return len(response.Kvs[0].Value)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(errors.Join(err, context.Cause(r.ctx)))
	}
}

// each does something n times, several at once.
func (r *rig) each(n int, do func(i int) error) {
	r.Helper()
	errs := make([]error, n)
	workqueue.ParallelizeUntil(r.ctx, setters, n, func(i int) { errs[i] = do(i) })
	r.must(errors.Join(errs...))
}

// until watches objects, then does something, and returns how long it took from there until an object was seen with which everything
// is done.
func until[O runtime.Object](r *rig, lw cache.ListerWatcher, do func() error, done func(O) bool) time.Duration {
	r.Helper()
	took, err := untilSeen(r.ctx, lw, do, func(o O) (bool, error) { return done(o), nil })
	r.must(err)
	return took
}

func untilSeen[O runtime.Object](ctx context.Context, lw cache.ListerWatcher, do func() error, done func(O) (bool, error)) (time.Duration, error) {
	var start time.Time
	var zero O
	_, err := watchtools.UntilWithSync(ctx, lw, zero, func(cache.Store) (bool, error) {
		start = time.Now()
		return false, do()
	}, func(e watch.Event) (bool, error) {
		o, ok := e.Object.(O)
		if !ok || e.Type == watch.Deleted {
			return false, nil
		}
		return done(o)
	})
	return time.Since(start), err
}

// untilEach watches objects, does things one after the other, each once what the one before has come to was seen, and returns how long each
// of them took.
func untilEach[O runtime.Object](ctx context.Context, lw cache.ListerWatcher, n int, do func(i int) error, done func(i int, o O) bool) ([]time.Duration, error) {
	var times []time.Duration
	var start time.Time
	next := func() error {
		start = time.Now()
		return do(len(times))
	}
	_, err := untilSeen(ctx, lw, next, func(o O) (bool, error) {
		if !done(len(times), o) {
			return false, nil
		}
		if times = append(times, time.Since(start)); len(times) == n {
			return true, nil
		}
		return false, next()
	})
	return times, err
}

func nothing() error { return nil }

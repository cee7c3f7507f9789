// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	clusterclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/cluster/v1beta1"
	clusterlisters "github.com/stagegate/stagegate/pkg/generated/listers/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

const (
	supervisionWorkers = 4

	// A function that fails is started again after a pause that doubles from the first to the last, and is the first again once the
	// function has run for longer than the last.
	firstPause = 100 * time.Millisecond
	lastPause  = time.Minute
)

// Func works on one member until its context ends. It may return earlier with an error, and is then started again after a pause.
type Func func(ctx context.Context, m *Member) error

// Supervise keeps one run of a function going for each cluster that has joined, is not leaving and has usable credentials, until
// the context ends and all of them have returned. A member with an agent has none: the server never asks for anything there, until it has
// taken the agent's rights. There are never two runs for one member: when its credentials change, the run ends before the next begins. A
// member is in use, as Directory.Idle understands it, for as long as its run.
func Supervise(ctx context.Context, f *fleet.Fleet, directory *Directory, run Func) error {
	return newSupervisor(f, directory, run, clock.RealClock{}).supervise(ctx)
}

type supervisor struct {
	clusters  clusterlisters.MemberClusterLister
	internals clusterclient.InternalMemberClustersGetter
	directory *Directory
	run       Func
	clock     clock.WithTicker
	queue     *reconcile.Queue

	running sync.WaitGroup
	mu      sync.Mutex
	members map[string]*supervised
}

// supervised is what is known of a member. Only one worker at a time reconciles a member, so only the map needs a lock.
type supervised struct {
	session *session
	// generation of the credentials that the pauses are about.
	generation string
	pause      time.Duration
	notBefore  time.Time
}

// session is one run of the function. Its error may be read once done is closed.
type session struct {
	generation string
	started    time.Time
	cancel     context.CancelFunc
	canceled   bool
	done       chan struct{}
	err        error
}

func newSupervisor(f *fleet.Fleet, directory *Directory, run Func, c clock.WithTicker) *supervisor {
	s := &supervisor{
		clusters:  f.MemberClusters.Lister(),
		internals: f.Clientset.ClusterV1beta1(),
		directory: directory,
		run:       run,
		clock:     c,
		members:   map[string]*supervised{},
	}
	s.queue = reconcile.NewWithClock("members", supervisionWorkers, s.reconcile, c)
	s.queue.Watch(f.MemberClusters.Informer(), reconcile.Self)
	directory.Watch(s.queue)
	return s
}

func (s *supervisor) supervise(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.running.Wait()
	defer cancel()
	return s.queue.Run(ctx)
}

func (s *supervisor) reconcile(ctx context.Context, key reconcile.Key) (time.Duration, error) {
	state := s.state(key.Name)
	member := s.wanted(key.Name)
	if session := state.session; session != nil {
		select {
		case <-session.done:
			s.ended(ctx, state)
		default:
			if !session.canceled && (member == nil || member.Generation != session.generation) {
				session.canceled = true
				session.cancel()
			}
			// The end of the session brings the key back.
			return 0, nil
		}
	}
	if member == nil {
		s.forget(key.Name)
		return 0, nil
	}
	if state.generation != member.Generation {
		*state = supervised{generation: member.Generation}
	}
	if wait := state.notBefore.Sub(s.clock.Now()); wait > 0 {
		return wait, nil
	}
	switch pulled, err := s.isPulled(ctx, key.Name); {
	case err != nil:
		return 0, err
	case pulled:
		// Who takes the rights of the agent wakes the member.
		return 0, nil
	}
	// Whoever sees the member idle after it started to leave can rely on it: nothing starts any more.
	release := s.directory.acquire(key.Name)
	if s.wanted(key.Name) == nil {
		release()
		s.forget(key.Name)
		return 0, nil
	}
	state.session = s.start(ctx, key, member, release)
	return 0, nil
}

// isPulled reports whether the InternalMemberCluster still has an agent serve the member: it tells the agent so until the agent's rights are
// gone. No cache has the few that are read, and one that lags would let two serve.
func (s *supervisor) isPulled(ctx context.Context, name string) (bool, error) {
	internal, err := s.internals.InternalMemberClusters(wellknown.MemberNamespace(name)).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("reading the InternalMemberCluster of %s: %w", name, err)
	}
	return wellknown.IsPulled(internal.Annotations), nil
}

// wanted is the member if it should have a run, or else nil.
func (s *supervisor) wanted(name string) *Member {
	cluster, err := s.clusters.Get(name)
	if err != nil || !cluster.DeletionTimestamp.IsZero() || wellknown.IsPulled(cluster.Annotations) ||
		!meta.IsStatusConditionTrue(cluster.Status.Conditions, clusterv1beta1.ConditionTypeMemberClusterJoined) {
		return nil
	}
	// What is wrong with the credentials is said in the conditions of the MemberCluster.
	member, err := s.directory.Get(name)
	if err != nil {
		return nil
	}
	return member
}

func (s *supervisor) start(ctx context.Context, key reconcile.Key, member *Member, release func()) *session {
	klog.FromContext(ctx).V(2).Info("Started with a member", "cluster", member.Name, "credentials", member.Generation)
	ctx, cancel := context.WithCancel(ctx)
	running := &session{
		generation: member.Generation,
		started:    s.clock.Now(),
		cancel:     cancel,
		done:       make(chan struct{}),
	}
	s.running.Go(func() {
		defer s.queue.Enqueue(key)
		defer close(running.done)
		defer release()
		defer cancel()
		running.err = reconcile.Safely(ctx, func() error { return s.run(ctx, member) })
	})
	return running
}

// ended says when the next run may begin: at once after one that was ended, later and later after those that ended by themselves.
func (s *supervisor) ended(ctx context.Context, state *supervised) {
	ended := state.session
	state.session = nil
	logger := klog.FromContext(ctx).WithValues("credentials", ended.generation)
	if ended.canceled {
		logger.V(2).Info("Stopped with a member")
		return
	}
	now := s.clock.Now()
	if state.pause = min(2*state.pause, lastPause); state.pause == 0 || now.Sub(ended.started) > lastPause {
		state.pause = firstPause
	}
	state.notBefore = now.Add(state.pause)
	err := ended.err
	if err == nil {
		err = errors.New("returned before it was told to")
	}
	logger.Error(err, "Starting again with a member", "after", state.pause)
}

func (s *supervisor) state(name string) *supervised {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.members[name]
	if state == nil {
		state = &supervised{}
		s.members[name] = state
	}
	return state
}

func (s *supervisor) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, name)
}

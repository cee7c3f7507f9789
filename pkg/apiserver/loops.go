// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"sync"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// loopsStopTimeout is how long the loops may take to finish what they are at.
const loopsStopTimeout = 30 * time.Second

// LoopRunner is the machinery behind the API.
type LoopRunner interface {
	// Run blocks until the context has ended and all work has.
	Run(ctx context.Context) error
}

// Loops are what the server runs beside the API.
type Loops struct {
	// Runner runs the loops.
	Runner LoopRunner
	// Planner answers what a run would do; nil if none is there to ask.
	Planner updaterun.Planner
}

// LoopsConfig is what the loops get from the server.
type LoopsConfig struct {
	// API is the server's own API, as a client with all rights.
	API *rest.Config
	// Hub is the hub, as the server's ServiceAccount.
	Hub *rest.Config
	// StoreID is the id of the store.
	StoreID string
	// HubRecord is where the store keeps which hub it rules.
	HubRecord storeid.HubRecord
	// Identity of this replica in an election.
	Identity string
	// Options are those of the flags.
	Options RolloutOptions
}

// install makes the server start the loops once it serves, and stop them before it ceases to.
func install(server *genericapiserver.GenericAPIServer, runner LoopRunner) error {
	loops := newLoopRun(runner)
	err := server.AddPostStartHook("start-rollout", func(hook genericapiserver.PostStartHookContext) error {
		loops.start(hook)
		return nil
	})
	if err != nil {
		return err
	}
	return server.AddPreShutdownHook("stop-rollout", loops.stop)
}

// loops is one run of a LoopRunner: it is started at most once, and not after it was stopped.
type loops struct {
	runner LoopRunner
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	started bool
}

func newLoopRun(runner LoopRunner) *loops {
	l := &loops{runner: runner, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *loops) start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return
	}
	l.started = true
	// The server's context ends when it has ceased to serve, which is too late for the loops, but they should not outlive it.
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(l.ctx, cancel)
	go func() {
		defer close(l.done)
		defer cancel()
		if err := l.runner.Run(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "The loops ended: the API is served, but nothing moves")
		}
	}()
}

func (l *loops) stop() error {
	l.mu.Lock()
	l.cancel()
	started := l.started
	l.mu.Unlock()
	if !started {
		return nil
	}
	timeout := time.NewTimer(loopsStopTimeout)
	defer timeout.Stop()
	select {
	case <-l.done:
		return nil
	case <-timeout.C:
		return errors.New("the loops are still at work after " + loopsStopTimeout.String())
	}
}

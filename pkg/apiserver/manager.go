// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/admission/initializer"
	"github.com/stagegate/stagegate/pkg/registry/placement/updaterun"
	"github.com/stagegate/stagegate/pkg/rollout"
)

// stopTimeout is how long the controllers may take to finish what they are at.
const stopTimeout = 30 * time.Second

// Manager is the machinery behind the API.
type Manager interface {
	// Run blocks until the context has ended and all work has.
	Run(ctx context.Context) error
	// Planner answers what a run would do.
	updaterun.Planner
	// PolicyJudge answers what rollout policies say of what a run would do.
	initializer.PolicyJudge
	// Health returns what is wrong with the controllers of this replica, nil where they run or another replica's do.
	Health() error
}

var _ Manager = &rollout.Manager{}

// newManager makes the manager of all controllers.
func newManager(api, hub *rest.Config, options rollout.Options) (Manager, error) {
	manager, err := rollout.New(api, hub, options)
	if err != nil {
		return nil, err
	}
	return manager, nil
}

// managerHealth is the check /healthz/controllers.
type managerHealth struct{ manager atomic.Pointer[Manager] }

var _ healthz.HealthChecker = &managerHealth{}

// Name implements healthz.HealthChecker.
func (h *managerHealth) Name() string { return "controllers" }

// Check implements healthz.HealthChecker.
func (h *managerHealth) Check(*http.Request) error {
	manager := h.manager.Load()
	if manager == nil {
		return errors.New("the controllers are not there yet")
	}
	return (*manager).Health()
}

// install makes the server start the controllers once it serves, and stop them before it ceases to.
func install(server *genericapiserver.GenericAPIServer, manager Manager) error {
	run := newManagerRun(manager)
	err := server.AddPostStartHook("start-rollout", func(hook genericapiserver.PostStartHookContext) error {
		run.start(hook)
		return nil
	})
	if err != nil {
		return err
	}
	return server.AddPreShutdownHook("stop-rollout", run.stop)
}

// managerRun is one run of a Manager: it is started at most once, and not after it was stopped.
type managerRun struct {
	manager Manager
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex
	started bool
}

func newManagerRun(manager Manager) *managerRun {
	l := &managerRun{manager: manager, done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *managerRun) start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return
	}
	l.started = true
	// The server's context ends when it has ceased to serve, which is too late for the controllers, but they should not outlive it.
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(l.ctx, cancel)
	go func() {
		defer close(l.done)
		defer cancel()
		if err := l.manager.Run(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "The controllers ended: the API is served, but nothing moves")
		}
	}()
}

func (l *managerRun) stop() error {
	l.mu.Lock()
	l.cancel()
	started := l.started
	l.mu.Unlock()
	if !started {
		return nil
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-l.done:
		return nil
	case <-timeout.C:
		return errors.New("the controllers are still at work after " + stopTimeout.String())
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"testing"
)

// runner is a LoopRunner that takes its time to end.
type runner struct {
	started, ending, end chan struct{}
	err                  error
}

func newRunner() *runner {
	return &runner{started: make(chan struct{}), ending: make(chan struct{}), end: make(chan struct{})}
}

func (r *runner) Run(ctx context.Context) error {
	close(r.started)
	if r.err != nil {
		return r.err
	}
	<-ctx.Done()
	close(r.ending)
	<-r.end
	return nil
}

func TestStopWaitsUntilTheLoopsHaveEnded(t *testing.T) {
	r := newRunner()
	l := newLoopRun(r)
	l.start(t.Context())
	<-r.started
	stopped := make(chan error)
	go func() { stopped <- l.stop() }()
	<-r.ending
	select {
	case <-stopped:
		t.Fatal("stop returned while the loops were at work")
	default:
	}
	close(r.end)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestLoopsThatNeverStartedAreNotWaitedFor(t *testing.T) {
	r := newRunner()
	l := newLoopRun(r)
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	l.start(t.Context())
	select {
	case <-r.started:
		t.Error("the loops started after they were stopped")
	case <-l.done:
		t.Error("the loops ran")
	default:
	}
}

func TestLoopsThatFailLeaveTheServerAlone(t *testing.T) {
	r := newRunner()
	r.err = errors.New("another store rules the hub")
	l := newLoopRun(r)
	l.start(t.Context())
	<-l.done
	if err := l.stop(); err != nil {
		t.Error(err)
	}
}

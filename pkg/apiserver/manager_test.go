// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"testing"
)

// fakeManager takes its time to end.
type fakeManager struct {
	Manager
	started, ending, end chan struct{}
	err                  error
}

func newFakeManager() *fakeManager {
	return &fakeManager{started: make(chan struct{}), ending: make(chan struct{}), end: make(chan struct{})}
}

func (r *fakeManager) Run(ctx context.Context) error {
	close(r.started)
	if r.err != nil {
		return r.err
	}
	<-ctx.Done()
	close(r.ending)
	<-r.end
	return nil
}

func TestStopWaitsUntilTheControllersHaveEnded(t *testing.T) {
	r := newFakeManager()
	l := newManagerRun(r)
	l.start(t.Context())
	<-r.started
	stopped := make(chan error)
	go func() { stopped <- l.stop() }()
	<-r.ending
	select {
	case <-stopped:
		t.Fatal("stop returned while the controllers were at work")
	default:
	}
	close(r.end)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestControllersThatNeverStartedAreNotWaitedFor(t *testing.T) {
	r := newFakeManager()
	l := newManagerRun(r)
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	l.start(t.Context())
	select {
	case <-r.started:
		t.Error("the controllers started after they were stopped")
	case <-l.done:
		t.Error("the controllers ran")
	default:
	}
}

func TestControllersThatFailLeaveTheServerAlone(t *testing.T) {
	r := newFakeManager()
	r.err = errors.New("another store rules the hub")
	l := newManagerRun(r)
	l.start(t.Context())
	<-l.done
	if err := l.stop(); err != nil {
		t.Error(err)
	}
}

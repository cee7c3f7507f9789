// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package election has one of several replicas work at a time, by a lease.
package election

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	componentbaseconfig "k8s.io/component-base/config"
	"k8s.io/klog/v2"
)

// Times returns the times of an election by default. A replica that waits looks at the lease every 1 to 2.2 seconds, and its clock for the
// lease begins when it first sees a renewal. So a leader that gives its lease back has a successor within 2.2 seconds, and one that is killed
// within 2.2 + 10 + 2.2 = 14.4. A leader that cannot renew its lease ends its term 1 + 6 seconds after it last could, 3 before anybody else
// leads: as much as with the 15, 10 and 2 seconds of Kubernetes' components, which take up to 23.8 seconds after a kill.
func Times() (lease, renewDeadline, retryPeriod time.Duration) {
	return 10 * time.Second, 6 * time.Second, time.Second
}

// Campaign waits for the lease, calls lead once and returns its error. The term's context ends when the lease is lost, when it was not renewed for
// the renew deadline and a retry period, or when the context ends. The lease is given back once lead has returned, unless another replica has
// taken it.
func Campaign(ctx context.Context, hub kubernetes.Interface, config componentbaseconfig.LeaderElectionConfiguration, identity string, lead func(context.Context) error) error {
	// The election goes on while lead returns, so that nobody else starts before it has.
	election, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	lock := &leaderLock{
		Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: config.ResourceNamespace, Name: config.ResourceName},
			Client:     hub.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		lost: func(holder string) {
			klog.FromContext(ctx).Info("Ending the term: the lease has another holder", "holder", holder, "identity", identity)
			stop()
		},
		renewWithin: config.RenewDeadline.Duration + config.RetryPeriod.Duration,
	}
	held, expire := context.WithCancel(context.Background())
	defer expire()
	lock.expire = expire
	lock.idle.Store(true)
	// Either the term begins or the context ends, whichever is first.
	var settled atomic.Bool
	over := make(chan struct{})
	var result error
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name:            config.ResourceName,
		Lock:            lock,
		LeaseDuration:   config.LeaseDuration.Duration,
		RenewDeadline:   config.RenewDeadline.Duration,
		RetryPeriod:     config.RetryPeriod.Duration,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leaseHeld context.Context) {
				defer close(over)
				defer stop()
				lock.idle.Store(false)
				defer lock.idle.Store(true)
				if !settled.CompareAndSwap(false, true) {
					return
				}
				term, end := context.WithCancel(leaseHeld)
				defer end()
				defer context.AfterFunc(ctx, end)()
				defer context.AfterFunc(held, end)()
				result = lead(term)
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	defer context.AfterFunc(ctx, func() {
		if settled.CompareAndSwap(false, true) {
			stop()
		}
	})()
	elector.Run(election)
	lock.stopTimer()
	if !lock.won {
		return nil
	}
	<-over
	return result
}

// leaderLock is the lock of one campaign. It reports at once when the lock that it has won is read to have another holder, and writes
// nothing from then on. An elector by itself tries to renew the lock until its deadline while the other leads already, and can release
// the other's when it ends. It ends a term also only after it has tried to release the lock, which takes as long again if the hub does not
// answer, and another one leads by then.
type leaderLock struct {
	resourcelock.Interface
	// lost is called with the other holder.
	lost func(holder string)
	// expire ends the term. It is called when the lock was not renewed within a time that begins with the last renewal.
	expire      func()
	renewWithin time.Duration
	timer       *time.Timer
	// idle is true while nobody leads. The lock is not released before.
	idle atomic.Bool
	// won is set once the lock has been held.
	won bool
	// taken is who has taken the lock from this holder, as an error of whatever is written after that.
	taken error
}

// Get reads who holds the lock.
func (l *leaderLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if err == nil && l.won && l.taken == nil && record.HolderIdentity != l.Identity() {
		l.taken = fmt.Errorf("%s has another holder, %q", l.Describe(), record.HolderIdentity)
		l.lost(record.HolderIdentity)
	}
	return record, raw, err
}

// Create makes the lock, held by who is in the record.
func (l *leaderLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update takes, renews or releases the lock.
func (l *leaderLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

func (l *leaderLock) write(ctx context.Context, record resourcelock.LeaderElectionRecord, write func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	if l.taken != nil {
		return l.taken
	}
	if record.HolderIdentity == "" && !l.idle.Load() {
		return errors.New("the lock is released once the term has ended")
	}
	start := time.Now()
	err := write(ctx, record)
	if err == nil && record.HolderIdentity == l.Identity() {
		l.won = true
		l.stopTimer()
		l.timer = time.AfterFunc(l.renewWithin-time.Since(start), l.expire)
	}
	return err
}

func (l *leaderLock) stopTimer() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

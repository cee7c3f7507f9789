// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"context"
	"fmt"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	componentbaseconfig "k8s.io/component-base/config"
	"k8s.io/klog/v2"
)

// campaign holds an election until the context ends and calls lead for each term. The term's context ends when the lease is lost
// or the context does, and the lease is given back only after lead has returned.
func campaign(ctx context.Context, hub kubernetes.Interface, config componentbaseconfig.LeaderElectionConfiguration, identity string, lead func(context.Context)) error {
	logger := klog.FromContext(ctx).WithValues("lease", klog.KRef(config.ResourceNamespace, config.ResourceName), "identity", identity)
	for ctx.Err() == nil {
		// The election goes on while the loops stop, so that nobody else starts before they have.
		election, stop := context.WithCancel(context.WithoutCancel(ctx))
		var leading atomic.Bool
		termOver := make(chan struct{})
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Name: config.ResourceName,
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Namespace: config.ResourceNamespace, Name: config.ResourceName},
				Client:     hub.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
			},
			LeaseDuration:   config.LeaseDuration.Duration,
			RenewDeadline:   config.RenewDeadline.Duration,
			RetryPeriod:     config.RetryPeriod.Duration,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(leaseHeld context.Context) {
					leading.Store(true)
					defer close(termOver)
					term, endTerm := context.WithCancel(leaseHeld)
					defer endTerm()
					defer context.AfterFunc(ctx, endTerm)()
					logger.Info("Leading")
					lead(term)
				},
				OnStoppedLeading: func() { logger.Info("Not leading") },
			},
		})
		if err != nil {
			stop()
			return fmt.Errorf("leader election: %w", err)
		}
		defer context.AfterFunc(ctx, func() {
			if leading.Load() {
				<-termOver
			}
			stop()
		})()
		elector.Run(election)
		if leading.Load() {
			<-termOver
		}
		stop()
	}
	return nil
}

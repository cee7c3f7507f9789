// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
)

var current = &state{clock: clock.RealClock{}}

// controllerRunning is about each controller that this replica is to run while it leads.
var controllerRunning = metrics.NewGaugeVec(&metrics.GaugeOpts{
	Namespace: "stagegate", Name: "controller_running", StabilityLevel: metrics.ALPHA,
	Help: "Whether a controller runs in this process: 1, or 0 while another replica leads, none does, or the controller waits to be started again.",
}, []string{"controller"})

// Register has all metrics of this package served. It must be called once the feature gates of metrics are set, and may be called again.
var Register = sync.OnceFunc(func() {
	legacyregistry.MustRegister(finishedTotal, runDuration, waitingDuration, clusterDuration, decisionsTotal, policyOverridesTotal,
		orchestrationLatency, approvalLatency, stageDuration, controllerRunning, notificationsTotal)
	legacyregistry.CustomMustRegister(current)
	zero()
})

// Lead has the state of a fleet collected until the returned function is called. A process leads one fleet at a time; of several, as in tests, the
// last one counts.
func Lead(f *fleet.Fleet) (end func()) {
	current.fleet.Store(f)
	return func() {
		if current.fleet.CompareAndSwap(f, nil) {
			statuses.reset()
			// Another replica is told of it when a sink is deleted.
			forgetSinks()
		}
	}
}

// Running tells whether a controller runs in this process.
func Running(controller string, runs bool) {
	value := 0.0
	if runs {
		value = 1
	}
	controllerRunning.WithLabelValues(controller).Set(value)
}

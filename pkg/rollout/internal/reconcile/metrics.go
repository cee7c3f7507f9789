// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

const (
	metricsNamespace = "stagegate"
	metricsSubsystem = "reconcile"
)

// The metrics of all controllers in this process, each by the name of its controller. They are what controller-runtime has; those of
// the queues are client-go's.
var (
	errorsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "errors_total", StabilityLevel: metrics.ALPHA,
		Help: "Reconciliations that failed and are tried again, panics among them. Conflicts are no failures.",
	}, []string{"controller"})

	terminalErrorsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "terminal_errors_total", StabilityLevel: metrics.ALPHA,
		Help: "Reconciliations that failed and are not tried again before something changes.",
	}, []string{"controller"})

	panicsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "panics_total", StabilityLevel: metrics.ALPHA,
		Help: "Panics that were recovered, whether in a reconciliation or beside one.",
	}, []string{"controller"})

	durationSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "duration_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "How long a reconciliation takes, in seconds.",
		Buckets: metrics.ExponentialBuckets(0.001, 2, 16),
	}, []string{"controller"})
)

// registerMetrics is called when a controller is announced or created, once the feature gates of metrics are set.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(errorsTotal, terminalErrorsTotal, panicsTotal, durationSeconds)
})

// Announce has the counters of a controller there before there is something to count, also on a replica that does not lead yet: what is counted
// between the begin of its term and the next scrape would be no increase otherwise.
func Announce(controller string) {
	registerMetrics()
	for _, counter := range []*metrics.CounterVec{errorsTotal, terminalErrorsTotal, panicsTotal} {
		counter.WithLabelValues(controller)
	}
}

type controllerKey struct{}

// countedAs has panics counted as those of a controller.
func countedAs(ctx context.Context, controller string) context.Context {
	return context.WithValue(ctx, controllerKey{}, controller)
}

// controllerOf returns the name of the controller that works in a context, empty for none.
func controllerOf(ctx context.Context) string {
	name, _ := ctx.Value(controllerKey{}).(string)
	return name
}

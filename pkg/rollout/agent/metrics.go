// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"io"
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

const (
	metricsNamespace = "stagegate"
	metricsSubsystem = "agent"
)

// The metrics of the agent in this process. How often it fails is counted with the controllers: stagegate_reconcile_errors_total.
var (
	leading = metrics.NewGauge(&metrics.GaugeOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "leading", StabilityLevel: metrics.ALPHA,
		Help: "1 while this replica works, 0 while another one does.",
	})

	lastHeartbeat = metrics.NewGauge(&metrics.GaugeOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "last_heartbeat_timestamp_seconds", StabilityLevel: metrics.ALPHA,
		Help: "When the hub last took a heartbeat of this replica, in seconds since 1970 by the clock of the member. 0 is never.",
	})

	hubWatches = metrics.NewGauge(&metrics.GaugeOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "hub_watches", StabilityLevel: metrics.ALPHA,
		Help: "Watches of the hub that are open: 2 while the agent applies, 1 while it only waits to be told to, 0 while the hub is away.",
	})

	tokenExpiration = metrics.NewGauge(&metrics.GaugeOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "token_expiration_timestamp_seconds", StabilityLevel: metrics.ALPHA,
		Help: "Until when the token for the hub is valid, in seconds since 1970 by the clock of the hub. 0 is a token that does not say.",
	})

	works = metrics.NewGaugeVec(&metrics.GaugeOpts{
		Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "works", StabilityLevel: metrics.ALPHA,
		Help: "Works of the member, by whether they are applied in the version that they have now.",
	}, []string{"applied"})
)

// registerMetrics is called when the command runs, once the feature gates of metrics are set.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(leading, lastHeartbeat, hubWatches, tokenExpiration, works)
})

// countTokenLife has the metric tell until when a token is valid.
func countTokenLife(token string) {
	_, until, ok := lifeOf(token)
	if !ok {
		tokenExpiration.Set(0)
		return
	}
	tokenExpiration.Set(float64(until.Unix()))
}

// countWatch counts a watch until its body is closed, as client-go does with each, however it ends.
func countWatch(body io.ReadCloser) io.ReadCloser {
	hubWatches.Inc()
	return &countedBody{ReadCloser: body, end: sync.OnceFunc(hubWatches.Dec)}
}

type countedBody struct {
	io.ReadCloser
	end func()
}

// Close ends the watch.
func (b *countedBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracingapi "k8s.io/component-base/tracing/api/v1"
	"k8s.io/utils/ptr"
)

const (
	// exportEvery is how long spans are gathered: a server that is killed loses those of this time.
	exportEvery = time.Second
	// exportTimeout is how long spans are offered to a collector that is away: it may be started again meanwhile.
	exportTimeout = time.Minute
	// maxWaiting is how many spans wait for a collector that is slow or away. A run over 10,000 clusters ends thousands of them in one write.
	// More are dropped.
	maxWaiting = 1 << 14

	perMillion = 1_000_000
)

// ServiceName is the service that the spans are of.
const ServiceName = "stagegate"

// Export returns a recorder that exports to the collector of a configuration as the server's own spans go there, but through a provider of its own:
// spans of runs have given ids, and must not be crowded out by those of requests. It returns nil where the configuration samples nothing. Instance
// tells replicas apart, and may be empty.
func Export(ctx context.Context, config *tracingapi.TracingConfiguration, instance string, options ...otlptracegrpc.Option) (*Recorder, error) {
	if ptr.Deref(config.SamplingRatePerMillion, 0) <= 0 {
		return nil, nil
	}
	options = append(options, otlptracegrpc.WithInsecure(), otlptracegrpc.WithTimeout(exportTimeout), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
		Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: exportTimeout,
	}))
	if config.Endpoint != nil {
		options = append(options, otlptracegrpc.WithEndpoint(*config.Endpoint))
	}
	exporter, err := otlptracegrpc.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	service, err := resource.New(ctx, resource.WithAttributes(attrServiceName.String(ServiceName), attrServiceInstance.String(instance)))
	if err != nil {
		return nil, fmt.Errorf("service of traces: %w", err)
	}
	return New(float64(*config.SamplingRatePerMillion)/perMillion,
		sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(exportEvery), sdktrace.WithExportTimeout(exportTimeout), sdktrace.WithMaxQueueSize(maxWaiting)),
		sdktrace.WithResource(service)), nil
}

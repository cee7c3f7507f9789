// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"google.golang.org/grpc"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/egressselector"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/rollout/traces"
)

// tracesOfRuns returns what records runs as --tracing-config-file has it, which the generic server has validated and records requests by; nil
// where runs are not recorded.
func tracesOfRuns(options *genericoptions.TracingOptions, config *genericapiserver.Config) (*traces.Recorder, error) {
	if options == nil || options.ConfigFile == "" {
		return nil, nil
	}
	tracing, err := genericoptions.ReadTracingConfiguration(options.ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("--tracing-config-file: %w", err)
	}
	// By itself the library writes beside the log, in no format.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		klog.Background().Error(err, "Spans are lost: the collector of --tracing-config-file does not take them")
	}))
	var way []otlptracegrpc.Option
	if config.EgressSelector != nil {
		dial, err := config.EgressSelector.Lookup(egressselector.ControlPlane.AsNetworkContext())
		if err != nil {
			return nil, fmt.Errorf("way to the collector of traces: %w", err)
		}
		if dial != nil {
			way = append(way, otlptracegrpc.WithDialOption(grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return dial(ctx, "tcp", address)
			})))
		}
	}
	return traces.Export(context.Background(), tracing, config.APIServerID, way...)
}

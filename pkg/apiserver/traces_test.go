// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// spanCounter is a collector that counts.
type spanCounter struct {
	collector.UnimplementedTraceServiceServer

	names   chan string
	service atomic.Value
}

func (c *spanCounter) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range r.GetResourceSpans() {
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.service.Store(a.GetValue().GetStringValue())
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.names <- span.GetName()
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// tracingOptions are those of a file.
func tracingOptions(t *testing.T, config string) *genericoptions.TracingOptions {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tracing.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	return &genericoptions.TracingOptions{ConfigFile: file}
}

func TestRunsAreTracedAsTheFileHasIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counter, server := &spanCounter{names: make(chan string, 10)}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, counter)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	recorder, err := tracesOfRuns(tracingOptions(t, fmt.Sprintf("endpoint: %s\nsamplingRatePerMillion: 1000000\n", listener.Addr())), &genericapiserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	run := &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{UID: "uid"}, Spec: v1beta1.UpdateRunSpec{StagedUpdateStrategyName: "slowly"}}
	ended := &v1beta1.UpdateRunStatus{Outcome: v1beta1.OutcomeNotInitialized}
	recorder.Moved(run, ended, time.Now())
	// It is exported without anybody asking for it.
	if name := <-counter.names; name != "RUN slowly" {
		t.Errorf("the collector has got %q", name)
	}
	if service := counter.service.Load(); service != "stagegate" {
		t.Errorf("the service is %v", service)
	}
	recorder.Moved(run, ended, time.Now())
	if err := recorder.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-counter.names:
	default:
		t.Error("what was recorded last is lost by an orderly shutdown")
	}
}

func TestRunsAreNotTracedUnasked(t *testing.T) {
	for name, options := range map[string]*genericoptions.TracingOptions{
		"no options": nil, "no file": {}, "no share": tracingOptions(t, ""), "none": tracingOptions(t, "samplingRatePerMillion: 0\n"),
	} {
		if recorder, err := tracesOfRuns(options, &genericapiserver.Config{}); recorder != nil || err != nil {
			t.Errorf("%s: %v, %v", name, recorder, err)
		}
	}
	if _, err := tracesOfRuns(&genericoptions.TracingOptions{ConfigFile: "missing"}, &genericapiserver.Config{}); err == nil {
		t.Error("a file that is not there is taken")
	}
}

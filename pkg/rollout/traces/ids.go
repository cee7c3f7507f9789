// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"context"
	"crypto/sha256"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"

	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// rootOf returns the trace of a run and the span of the run as a whole, as anybody can derive them who knows its uid: the first 16 bytes of the
// SHA-256 of the uid, and the next 8.
func rootOf(run types.UID) trace.SpanContext {
	sum := sha256.Sum256([]byte(run))
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), TraceFlags: trace.FlagsSampled, Remote: true,
	})
}

// spanOf returns the span of a part of a run. A cluster may be tried again and a timer may start again in a stage, which is told by their start.
func spanOf(run types.UID, e *runrules.Ending) trace.SpanContext {
	root := rootOf(run)
	switch e.Part {
	case runrules.PartRun:
		return root
	case runrules.PartStage:
		return stageOf(run, e.Stage.StageName)
	case runrules.PartTurn, runrules.PartCluster, runrules.PartApproval, runrules.PartTimer:
	}
	what := []string{string(run), string(e.Part), strconv.FormatInt(e.Start.UnixNano(), 10), e.TaskType}
	if e.Stage != nil {
		what = append(what, e.Stage.StageName)
	}
	if e.Cluster != nil {
		what = append(what, e.Cluster.ClusterName)
	}
	return root.WithSpanID(derived(what...))
}

func stageOf(run types.UID, stage string) trace.SpanContext {
	return rootOf(run).WithSpanID(derived(string(run), string(runrules.PartStage), stage))
}

func derived(what ...string) trace.SpanID {
	sum := sha256.Sum256([]byte(strings.Join(what, "\x00")))
	return trace.SpanID(sum[:8])
}

// given is the IDGenerator of spans whose ids are known beforehand: a context has them.
type given struct{}

var _ sdktrace.IDGenerator = given{}

type givenKey struct{}

// withSpan returns a context in which the next span is the given one.
func withSpan(ctx context.Context, span trace.SpanContext) context.Context {
	return context.WithValue(ctx, givenKey{}, span)
}

func (given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	span, _ := ctx.Value(givenKey{}).(trace.SpanContext)
	return span.TraceID(), span.SpanID()
}

func (g given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	_, id := g.NewIDs(ctx)
	return id
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

const (
	scope = "github.com/stagegate/stagegate/pkg/rollout/traces"
	// maxDescription is how much a span has of why something failed, in bytes.
	maxDescription = 512
)

// Recorder records what has happened to runs. A nil Recorder records nothing.
type Recorder struct {
	sampler  sdktrace.Sampler
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// New returns a recorder of a share of all runs, 1 for every run, which exports as the options have it. A run is recorded as a whole or not at all.
func New(share float64, options ...sdktrace.TracerProviderOption) *Recorder {
	// Who is sampled is decided by the id of the trace, before there is a span.
	provider := sdktrace.NewTracerProvider(append(slices.Clone(options), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithIDGenerator(given{}))...)
	return &Recorder{sampler: sdktrace.TraceIDRatioBased(share), provider: provider, tracer: provider.Tracer(scope)}
}

// Shutdown exports what is not exported yet, until the context ends. Nothing is recorded from then on.
func (r *Recorder) Shutdown(ctx context.Context) error {
	if r == nil {
		return nil
	}
	return r.provider.Shutdown(ctx)
}

// Moved records what has ended between the status of a run as stored before and the one that was written over it at a time. It never waits for an
// export.
func (r *Recorder) Moved(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, now time.Time) {
	if !r.records(run) {
		return
	}
	r.record(run, after, runrules.Ended(run, after), now)
}

// Deleted records what has ended with a run that was deleted at a time.
func (r *Recorder) Deleted(run v1beta1.UpdateRunObject, now time.Time) {
	if !r.records(run) {
		return
	}
	r.record(run, run.RunStatus(), runrules.Abandoned(run), now)
}

func (r *Recorder) records(run v1beta1.UpdateRunObject) bool {
	if r == nil {
		return false
	}
	parameters := sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: rootOf(run.GetUID()).TraceID()}
	return r.sampler.ShouldSample(parameters).Decision == sdktrace.RecordAndSample
}

func (r *Recorder) record(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, endings []runrules.Ending, now time.Time) {
	for i := range endings {
		e := &endings[i]
		ctx := withSpan(context.Background(), spanOf(run.GetUID(), e))
		switch {
		case e.Part == runrules.PartRun:
		case e.Part == runrules.PartStage || e.Stage == nil:
			ctx = trace.ContextWithSpanContext(ctx, rootOf(run.GetUID()))
		default:
			ctx = trace.ContextWithSpanContext(ctx, stageOf(run.GetUID(), e.Stage.StageName))
		}
		options := []trace.SpanStartOption{trace.WithTimestamp(e.Start), trace.WithAttributes(attributes(run, after, e)...)}
		if e.Part == runrules.PartRun && after.RollbackOfUID != "" {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: rootOf(after.RollbackOfUID)}))
		}
		_, span := r.tracer.Start(ctx, nameOf(run, e), options...)
		switch result := resultOf(after, e); result {
		case resultFailure, resultError, resultTimeout:
			span.SetStatus(codes.Error, wording.OneLine(whyOf(after, e), maxDescription))
		}
		// Clocks of leaders differ.
		end := now
		if end.Before(e.Start) {
			end = e.Start
		}
		span.End(trace.WithTimestamp(end))
	}
}

// nameOf returns the name of a span: a person finds a stage, or a cluster, in the picture of a trace by it.
func nameOf(run v1beta1.UpdateRunObject, e *runrules.Ending) string {
	switch e.Part {
	case runrules.PartRun:
		return actionRun + " " + run.RunSpec().StagedUpdateStrategyName
	case runrules.PartStage:
		return "stage " + e.Stage.StageName
	case runrules.PartCluster:
		return "cluster " + e.Cluster.ClusterName
	case runrules.PartApproval:
		if e.TaskType == wellknown.BeforeStageTask {
			return "approval before " + e.Stage.StageName
		}
		return "approval after " + e.Stage.StageName
	case runrules.PartTimer:
		return "wait after " + e.Stage.StageName
	case runrules.PartTurn:
		return "wait for turn"
	}
	return string(e.Part)
}

func attributes(run v1beta1.UpdateRunObject, after *v1beta1.UpdateRunStatus, e *runrules.Ending) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attrRunID.String(string(run.GetUID())),
		attrRun.String(run.GetName()),
		attrPlacement.String(run.RunSpec().PlacementName),
	}
	if run.GetNamespace() != "" {
		all = append(all, attrNamespace.String(run.GetNamespace()))
	}
	result := resultOf(after, e)
	if e.Stage != nil {
		all = append(all, attrTask.String(e.Stage.StageName), attrTaskResult.String(result))
	}
	snapshot := after.ResourceSnapshotIndexUsed
	switch {
	case e.Part == runrules.PartRun:
		all = append(all, attrPipeline.String(run.RunSpec().StagedUpdateStrategyName), attrAction.String(actionRun), attrResult.String(result))
		if after.Outcome != "" {
			all = append(all, attrOutcome.String(string(after.Outcome)))
		}
	case e.Cluster != nil:
		all = append(all, attrCluster.String(e.Cluster.ClusterName))
		if own := e.Cluster.ResourceSnapshotIndex; own != "" {
			snapshot = own
		}
		if e.Stage == after.DeletionStageStatus {
			// It gets none.
			snapshot = ""
		}
	case e.Part == runrules.PartApproval:
		all = append(all, attrRequest.String(e.Task.ApprovalRequestName))
	}
	// A run that rolls another one back may have another snapshot for each cluster.
	if snapshot != "" && (e.Part == runrules.PartRun || e.Cluster != nil) {
		all = append(all, attrSnapshot.String(snapshot))
	}
	return all
}

// resultOf returns what became of a part of a run.
func resultOf(after *v1beta1.UpdateRunStatus, e *runrules.Ending) string {
	switch e.Part {
	case runrules.PartRun:
		return runResult(after)
	case runrules.PartStage:
		switch succeeded := meta.FindStatusCondition(e.Stage.Conditions, v1beta1.StageSucceeded); {
		case succeeded == nil || succeeded.Status == metav1.ConditionFalse:
			return runResult(after)
		case len(e.Stage.Clusters) == 0:
			return resultSkip
		}
		return resultSuccess
	case runrules.PartCluster:
		switch {
		case runrules.HasSucceeded(e.Cluster):
			return resultSuccess
		case runrules.IsSkipped(e.Cluster):
			return resultSkip
		case runrules.HasFailed(e.Cluster):
			return resultFailure
		}
		return resultCancellation
	case runrules.PartApproval, runrules.PartTimer:
		elapsed := meta.FindStatusCondition(e.Task.Conditions, v1beta1.TaskWaitTimeElapsed)
		switch {
		case elapsed != nil && elapsed.Reason == wellknown.ReasonWaitSkipped:
			return resultSkip
		case runrules.IsTaskDone(e.Task):
			return resultSuccess
		case e.Part == runrules.PartApproval && (after.Outcome == v1beta1.OutcomeRejected || after.Outcome == v1beta1.OutcomeExpired):
			return runResult(after)
		}
		return resultCancellation
	case runrules.PartTurn:
	}
	return resultSuccess
}

// runResult returns what became of a run. A run that is deleted has no outcome.
func runResult(after *v1beta1.UpdateRunStatus) string {
	switch after.Outcome {
	case v1beta1.OutcomeSucceeded, v1beta1.OutcomeSucceededWithFailures:
		return resultSuccess
	case v1beta1.OutcomeFailed:
		return resultFailure
	case v1beta1.OutcomeExpired:
		return resultTimeout
	case v1beta1.OutcomeNotInitialized:
		return resultError
	case v1beta1.OutcomeRejected, v1beta1.OutcomeRolledBack:
	}
	return resultCancellation
}

// whyOf returns why a part of a run has failed, as its status has it.
func whyOf(after *v1beta1.UpdateRunStatus, e *runrules.Ending) string {
	var ended *metav1.Condition
	switch {
	case e.Cluster != nil:
		ended = meta.FindStatusCondition(e.Cluster.Conditions, v1beta1.ClusterSucceeded)
	case e.Part == runrules.PartStage:
		ended = meta.FindStatusCondition(e.Stage.Conditions, v1beta1.StageSucceeded)
	default:
		ended = runrules.End(after)
	}
	if ended == nil {
		return ""
	}
	return ended.Message
}

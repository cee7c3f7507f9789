// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// underWay is a run whose only stage updates two clusters, removes the resources from a third, and waits for an approval after it.
func underWay(uid types.UID) *v1beta1.StagedUpdateRun {
	run := &v1beta1.StagedUpdateRun{}
	run.UID, run.Namespace, run.Name, run.CreationTimestamp = uid, "team", "shop-2", metav1.NewTime(noon)
	run.Spec = v1beta1.UpdateRunSpec{PlacementName: "shop", StagedUpdateStrategyName: "slowly", State: v1beta1.StateRun}
	started := []metav1.Condition{{Type: v1beta1.ClusterStarted, Status: metav1.ConditionTrue, Reason: "x", LastTransitionTime: metav1.NewTime(noon.Add(2 * time.Minute))}}
	run.Status = v1beta1.UpdateRunStatus{
		ResourceSnapshotIndexUsed: "7",
		RollbackOfUID:             "earlier",
		Conditions:                []metav1.Condition{{Type: v1beta1.RunInitialized, Status: metav1.ConditionTrue}},
		StagesStatus: []v1beta1.StageUpdatingStatus{{
			StageName: "canary", StartTime: &metav1.Time{Time: noon.Add(time.Minute)},
			Clusters: []v1beta1.ClusterUpdatingStatus{
				{ClusterName: "one", Conditions: started}, {ClusterName: "two", Conditions: started, ResourceSnapshotIndex: "6"},
			},
			AfterStageTaskStatus: []v1beta1.StageTaskStatus{{
				Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "shop-2-after-canary",
				Conditions: []metav1.Condition{{Type: v1beta1.TaskApprovalRequestCreated, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon.Add(3 * time.Minute))}},
			}},
		}},
		DeletionStageStatus: &v1beta1.StageUpdatingStatus{
			StageName: wellknown.DeleteStageName, StartTime: &metav1.Time{Time: noon.Add(time.Minute)},
			Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "three", Conditions: started}},
		},
	}
	return run
}

// rejected is that run once one cluster has succeeded, the other has failed, and somebody has rejected the request.
func rejected(uid types.UID) *v1beta1.UpdateRunStatus {
	s := &underWay(uid).Status
	end := func(conditions []metav1.Condition, conditionType string, status metav1.ConditionStatus, reason, message string) []metav1.Condition {
		return append([]metav1.Condition{{Type: conditionType, Status: status, Reason: reason, Message: message}}, conditions...)
	}
	stage := &s.StagesStatus[0]
	stage.Clusters[0].Conditions = end(stage.Clusters[0].Conditions, v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSucceeded, "")
	stage.Clusters[1].Conditions = end(stage.Clusters[1].Conditions, v1beta1.ClusterSucceeded, metav1.ConditionFalse, wellknown.ReasonClusterFailed, "Deployment web is not\navailable")
	stage.Conditions = end(nil, v1beta1.StageSucceeded, metav1.ConditionFalse, "x", "rejected by ann")
	s.Conditions = end(s.Conditions, v1beta1.RunSucceeded, metav1.ConditionFalse, "x", "rejected by ann")
	s.Outcome = v1beta1.OutcomeRejected
	return s
}

// told is what a span tells beyond its place in the trace.
type told struct {
	Start, End, Why string
	Attributes      map[string]string
}

func tell(spans tracetest.SpanStubs) map[string]told {
	all := map[string]told{}
	for _, s := range spans {
		it := told{Start: s.StartTime.Sub(noon).String(), End: s.EndTime.Sub(noon).String(), Attributes: map[string]string{}}
		for _, a := range s.Attributes {
			it.Attributes[string(a.Key)] = a.Value.AsString()
		}
		if s.Status.Code == codes.Error {
			it.Why = s.Status.Description
		}
		all[s.Name] = it
	}
	return all
}

func TestSpansTellWhatHasHappened(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	r := New(1, sdktrace.WithSyncer(exporter))
	r.Moved(underWay("uid"), rejected("uid"), noon.Add(time.Hour))

	with := func(more ...string) map[string]string {
		all := map[string]string{"cicd.pipeline.run.id": "uid", "stagegate.run": "shop-2", "stagegate.placement": "shop", "k8s.namespace.name": "team"}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	task, result := "cicd.pipeline.task.name", "cicd.pipeline.task.run.result"
	want := map[string]told{
		"RUN slowly": {Start: "0s", End: "1h0m0s", Attributes: with("cicd.pipeline.name", "slowly", "cicd.pipeline.action.name", "RUN",
			"cicd.pipeline.result", "cancellation", "stagegate.outcome", "Rejected", "stagegate.snapshot", "7")},
		"stage canary": {Start: "1m0s", End: "1h0m0s", Attributes: with(task, "canary", result, "cancellation")},
		"cluster one": {Start: "2m0s", End: "1h0m0s", Attributes: with(task, "canary", result, "success",
			"k8s.cluster.name", "one", "stagegate.snapshot", "7")},
		"cluster two": {Start: "2m0s", End: "1h0m0s", Why: "Deployment web is not available", Attributes: with(task, "canary", result, "failure",
			"k8s.cluster.name", "two", "stagegate.snapshot", "6")},
		"approval after canary": {Start: "3m0s", End: "1h0m0s", Attributes: with(task, "canary", result, "cancellation",
			"stagegate.approval_request", "shop-2-after-canary")},
		// Both were under way when the run was rejected. Nothing is placed there by it.
		"stage " + wellknown.DeleteStageName: {Start: "1m0s", End: "1h0m0s", Attributes: with(task, wellknown.DeleteStageName, result, "cancellation")},
		"cluster three":                      {Start: "2m0s", End: "1h0m0s", Attributes: with(task, wellknown.DeleteStageName, result, "cancellation", "k8s.cluster.name", "three")},
	}
	if diff := cmp.Diff(want, tell(exporter.GetSpans())); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// Whoever knows the uid of a run finds its trace, and with it that of the run that it rolls back.
func TestTheTraceOfARunIsKnownByItsUID(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	New(1, sdktrace.WithSyncer(exporter)).Moved(underWay("uid"), rejected("uid"), noon.Add(time.Hour))
	ids := func(uid string) string {
		sum := sha256.Sum256([]byte(uid))
		return hex.EncodeToString(sum[:16]) + " " + hex.EncodeToString(sum[16:24])
	}
	for _, s := range exporter.GetSpans() {
		if s.Name != "RUN slowly" {
			continue
		}
		if got := s.SpanContext.TraceID().String() + " " + s.SpanContext.SpanID().String(); got != ids("uid") {
			t.Errorf("ids of the run are %s, want %s", got, ids("uid"))
		}
		if s.Parent.IsValid() {
			t.Errorf("the run has a parent")
		}
		if len(s.Links) != 1 || s.Links[0].SpanContext.TraceID().String()+" "+s.Links[0].SpanContext.SpanID().String() != ids("earlier") {
			t.Errorf("links are %v", s.Links)
		}
		return
	}
	t.Error("the run itself is not recorded")
}

func TestARunIsRecordedAsAWholeOrNotAtAll(t *testing.T) {
	const runs = 1000
	exporter := tracetest.NewInMemoryExporter()
	// Two replicas of the same configuration agree.
	r, other := New(0.25, sdktrace.WithSyncer(exporter)), New(0.25, sdktrace.WithSyncer(exporter))
	for i := range runs {
		uid := types.UID(fmt.Sprintf("uid-%d", i))
		before, after := underWay(uid), rejected(uid)
		clusterDone := underWay(uid)
		clusterDone.Status.StagesStatus[0].Clusters[0] = after.StagesStatus[0].Clusters[0]
		r.Moved(before, &clusterDone.Status, noon.Add(time.Minute))
		other.Moved(clusterDone, after, noon.Add(time.Hour))
	}
	perRun := map[string]int{}
	for _, s := range exporter.GetSpans() {
		perRun[s.SpanContext.TraceID().String()]++
	}
	for id, n := range perRun {
		if n != 7 {
			t.Errorf("%d of the 7 spans of trace %s are recorded", n, id)
		}
	}
	if n := len(perRun); n < runs/5 || n > runs*3/10 {
		t.Errorf("%d of %d runs are recorded, want about a quarter", n, runs)
	}
}

func TestWithoutARecorderNothingIsRecorded(t *testing.T) {
	var r *Recorder
	r.Moved(underWay("uid"), rejected("uid"), noon)
	r.Deleted(underWay("uid"), noon)
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

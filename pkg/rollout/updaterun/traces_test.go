// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/traces"
)

// tree is a line for each span, with the names of those above it, in order. It fails where a span is there twice or has no parent.
func (f *fixture) tree(spans tracetest.SpanStubs) []string {
	f.Helper()
	byID := map[trace.SpanID]tracetest.SpanStub{}
	for _, s := range spans {
		if other, twice := byID[s.SpanContext.SpanID()]; twice {
			f.Errorf("%s and %s are the same span", s.Name, other.Name)
		}
		if s.SpanContext.TraceID() != spans[0].SpanContext.TraceID() {
			f.Errorf("%s is of another trace", s.Name)
		}
		if s.EndTime.Before(s.StartTime) {
			f.Errorf("%s ends before it starts", s.Name)
		}
		byID[s.SpanContext.SpanID()] = s
	}
	var lines []string
	for _, s := range spans {
		path := []string{s.Name}
		for parent := s.Parent; parent.IsValid(); parent = byID[parent.SpanID()].Parent {
			above, ok := byID[parent.SpanID()]
			if !ok {
				f.Errorf("the parent of %s is missing", s.Name)
				break
			}
			path = append(path, above.Name)
		}
		slices.Reverse(path)
		lines = append(lines, strings.Join(path, " / "))
	}
	slices.Sort(lines)
	return lines
}

// A run is one trace, whoever leads while it is carried out, and however its leaders end.
func TestARunIsOneTraceAcrossLeaders(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		exporter := tracetest.NewInMemoryExporter()
		f.tutorial()
		f.membersApply()
		// Each leader has a recorder of its own. Spans are exported at once, so that nothing is lost by its end.
		lead := func() (stop func()) {
			f.traces = traces.New(1, sdktrace.WithSyncer(exporter))
			return f.start()
		}
		kill := lead()
		f.newRun("traced", v1beta1.StateRun)
		f.eventually("the approval is asked for", func() bool { _, err := f.fleet.Approvals.Get(f.key("traced-before-canary")); return err == nil })
		kill()
		if n := len(exporter.GetSpans()); n != 3 {
			f.Errorf("the first leader has recorded %d spans, want cluster, timer and stage", n)
		}
		lead()()
		stop := lead()
		f.decide("traced-before-canary", v1beta1.DecisionApproved)
		f.untilCondition("traced", v1beta1.RunSucceeded, "True UpdateRunSucceeded")
		stop()
		want := []string{
			"RUN example-strategy",
			"RUN example-strategy / stage canary",
			"RUN example-strategy / stage canary / approval before canary",
			"RUN example-strategy / stage canary / cluster member1",
			"RUN example-strategy / stage canary / cluster member3",
			"RUN example-strategy / stage staging",
			"RUN example-strategy / stage staging / cluster member2",
			"RUN example-strategy / stage staging / wait after staging",
		}
		if diff := cmp.Diff(want, f.tree(exporter.GetSpans())); diff != "" {
			f.Errorf("spans (-want +got):\n%s", diff)
		}
		lead()()
		if n := len(exporter.GetSpans()); n != len(want) {
			f.Errorf("a leader that finds the run over has recorded %d spans more", n-len(want))
		}
	})
}

// A span is recorded for what is stored. A leader that cannot store an end has seen none, and another one records it.
func TestNoSpanIsRecordedOfAStatusThatIsNotStored(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		exporter := tracetest.NewInMemoryExporter()
		f.traces = traces.New(1, sdktrace.WithSyncer(exporter))
		f.tutorial()
		f.membersApply()
		stop := f.start()
		f.newRun("stale", v1beta1.StateRun)
		f.eventually("the approval is asked for", func() bool { _, err := f.fleet.Approvals.Get(f.key("stale-before-canary")); return err == nil })
		stop()
		c, before, seen := f.controller(), len(exporter.GetSpans()), f.run("stale")
		f.decide("stale-before-canary", v1beta1.DecisionRejected)
		f.eventually("the rejection is in the cache", func() bool {
			request, err := f.fleet.Approvals.Get(f.key("stale-before-canary"))
			return err == nil && len(request.RequestStatus().Decisions) > 0
		})
		// Somebody else writes the run, and the cache does not know it yet.
		update(f, f.fleet.Runs, "stale", false, func(r v1beta1.UpdateRunObject) { r.SetLabels(map[string]string{"touched": "yes"}) })
		if _, err := c.step(f.ctx, seen); err == nil {
			f.Fatal("a stale run was written")
		}
		if n := len(exporter.GetSpans()); n != before {
			f.Errorf("%d spans are recorded of a status that is not stored", n-before)
		}
		stop = f.start()
		f.untilCondition("stale", v1beta1.RunSucceeded, "False UpdateRunRejected")
		stop()
		want := []string{
			"RUN example-strategy", "RUN example-strategy / stage canary", "RUN example-strategy / stage canary / approval before canary",
			"RUN example-strategy / stage staging", "RUN example-strategy / stage staging / cluster member2", "RUN example-strategy / stage staging / wait after staging",
		}
		if diff := cmp.Diff(want, f.tree(exporter.GetSpans())); diff != "" {
			f.Errorf("spans (-want +got):\n%s", diff)
		}
	})
}

func TestADeletedRunEndsItsTrace(t *testing.T) {
	forBothScopes(t, func(f *fixture) {
		exporter := tracetest.NewInMemoryExporter()
		f.traces = traces.New(1, sdktrace.WithSyncer(exporter))
		f.tutorial()
		f.membersApply()
		stop := f.start()
		f.newRun("deleted", v1beta1.StateRun)
		f.eventually("the approval is asked for", func() bool { _, err := f.fleet.Approvals.Get(f.key("deleted-before-canary")); return err == nil })
		// The fake API knows no deletion that waits.
		update(f, f.fleet.Runs, "deleted", false, func(r v1beta1.UpdateRunObject) { r.SetDeletionTimestamp(new(metav1.Now())) })
		f.eventually("the run is released", func() bool { return !reconcile.HasFinalizer(f.run("deleted"), wellknown.UpdateRunFinalizer) })
		stop()
		spans := exporter.GetSpans()
		want := []string{
			"RUN example-strategy", "RUN example-strategy / stage canary", "RUN example-strategy / stage canary / approval before canary",
			"RUN example-strategy / stage staging", "RUN example-strategy / stage staging / cluster member2", "RUN example-strategy / stage staging / wait after staging",
		}
		if diff := cmp.Diff(want, f.tree(spans)); diff != "" {
			f.Errorf("spans (-want +got):\n%s", diff)
		}
	})
}

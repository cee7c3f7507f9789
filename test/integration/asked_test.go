// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestKubectlShowsWhatWasAskedOfARun reads each subresource as a table and in full.
func TestKubectlShowsWhatWasAskedOfARun(t *testing.T) {
	s := testserver.Start(t)
	alice := newKubectl(t, s.As(testserver.Alice))
	for _, in := range runScopes {
		t.Run(in.resource, func(t *testing.T) {
			alice.createRun(in, "run")
			for subresource, spec := range map[string]string{
				"stop": `{"reason":"INC-7"}`,
				"skip": `{"reason":"oslo is down","clusters":["oslo"]}`,
			} {
				if out, err := alice.ask(in, "run", subresource, spec); err != nil {
					t.Fatalf("%s: %v\n%s", subresource, err, out)
				}
			}
			headers := []string{"NAME", "NUMBER", "USER", "TIME", "DONE", "REASON"}
			for subresource, want := range map[string][]string{
				"stop":     {"run", "NUMBER", "alice", "TIME", "false", "INC-7"},
				"skip":     {"run", "NUMBER", "alice", "TIME", "false", "oslo is down"},
				"rollback": {"run", "<none>", "<none>", "<none>", "<none>", "<none>"},
			} {
				got := table(alice.run("get", in.resource, "run", "--subresource="+subresource))
				if want[1] == "NUMBER" && len(got) == 2 && len(got[1]) == len(headers) {
					want[1], want[3] = got[1][1], got[1][3]
				}
				if diff := cmp.Diff([][]string{headers, want}, got); diff != "" {
					t.Errorf("get --subresource=%s (-want +got):\n%s", subresource, diff)
				}
			}
			if got := alice.run("get", in.resource, "run", "--subresource=skip", "-o", "jsonpath={.spec.reason} {.spec.clusters} {.status.done}"); got != `oslo is down ["oslo"] ` {
				t.Errorf("the last skip reads as %q", got)
			}
		})
		t.Run(in.resource+"/rollback", func(t *testing.T) {
			alice.createRun(in, "back")
			uid := alice.run("get", in.resource, "back", "-o", "jsonpath={.metadata.uid}")
			out, err := alice.ask(in, "back", "rollback", `{"reason":"INC-7"}`)
			want := "Warning: run " + wellknown.RollbackName("back", uid, "") + " will bring the clusters back: status.rolledBackBy of run back names it once it is created"
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("a rollback is answered %v, want %q:\n%s", err, want, out)
			}
		})
		t.Run(in.resource+"/over", func(t *testing.T) {
			alice.createRun(in, "over")
			alice.run("patch", in.resource, "over", "--subresource=status", "--type=merge", "-p",
				`{"status":{"conditions":[{"type":"Initialized","status":"True","reason":"UpdateRunInitializedSuccessfully","message":"","lastTransitionTime":"2026-03-01T12:00:00Z"},`+
					`{"type":"Succeeded","status":"False","reason":"UpdateRunFailed","message":"","lastTransitionTime":"2026-03-01T12:00:00Z"}]}}`)
			out := alice.run("patch", in.resource, "over", "--type=merge", "-p", `{"spec":{"state":"Stop"}}`)
			if want := "Warning: spec.state: Stop has no effect, since the run has ended (UpdateRunFailed): create a new run"; !strings.Contains(out, want) {
				t.Errorf("to stop a run that is over is answered, want %q:\n%s", want, out)
			}
		})
	}
}

func TestKubectlShowsADecision(t *testing.T) {
	s := testserver.Start(t)
	alice := newKubectl(t, s.As(testserver.Alice))
	for resource, kind := range map[string]string{"clusterapprovalrequests": "ClusterApprovalRequest", "approvalrequests": "ApprovalRequest"} {
		t.Run(resource, func(t *testing.T) {
			manifest := `{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"` + kind + `","metadata":{"name":"request"},
				"spec":{"parentStageRollout":"run","targetStage":"canary"}}`
			if out, err := alice.try(manifest, "create", "-f", "-"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			headers := []string{"NAME", "DECISION", "USER", "TIME", "COMMENT"}
			want := [][]string{headers, {"request", "<none>", "<none>", "<none>", "<none>"}}
			if diff := cmp.Diff(want, table(alice.run("get", resource, "request", "--subresource=approve"))); diff != "" {
				t.Errorf("before (-want +got):\n%s", diff)
			}
			alice.run("patch", resource, "request", "--subresource=approve", "--type=merge", "-p", `{"spec":{"comment":"smoke ok"}}`)
			when := alice.run("get", resource, "request", "--subresource=approve", "-o", "jsonpath={.status.decidedAt}")
			want[1] = []string{"request", "Approved", "alice", when, "smoke ok"}
			if diff := cmp.Diff(want, table(alice.run("get", resource, "request", "--subresource=approve"))); diff != "" {
				t.Errorf("after (-want +got):\n%s", diff)
			}
		})
	}
}

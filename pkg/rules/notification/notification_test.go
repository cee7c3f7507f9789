// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// TestEveryReasonHasAType reads the reasons from where they are declared, so that a new one is not forgotten.
func TestEveryReasonHasAType(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../apis/wellknown/wellknown.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "History") {
			return true
		}
		found++
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if typeOf[reason] == "" {
			t.Errorf("%s has no type", spec.Names[0].Name)
		}
		return true
	})
	if found != len(typeOf) {
		t.Errorf("%d reasons are declared, and %d have a type", found, len(typeOf))
	}
}

func TestTypes(t *testing.T) {
	for _, tc := range []struct {
		entry v1beta1.UpdateRunHistoryEntry
		want  string
	}{
		{v1beta1.UpdateRunHistoryEntry{Reason: "StageSucceeded"}, "stage.succeeded"},
		{v1beta1.UpdateRunHistoryEntry{Reason: "StopRequested", Operation: v1beta1.OperationStop}, "operation.stop"},
		{v1beta1.UpdateRunHistoryEntry{Reason: "OfANewerServer"}, "run.changed"},
	} {
		if got := Type(&tc.entry); got != tc.want {
			t.Errorf("%v is %s, want %s", tc.entry, got, tc.want)
		}
	}
}

func TestWhichTypesAreWanted(t *testing.T) {
	for _, tc := range []struct {
		types []string
		of    string
		want  bool
	}{
		{nil, "run.started", true},
		{nil, "approval.requested", true},
		{nil, "cluster.failed", false},
		{[]string{"*"}, "cluster.failed", true},
		{[]string{"cluster.*"}, "cluster.failed", true},
		{[]string{"run.*"}, "stage.started", false},
		{[]string{"run.*"}, "run.stuck", true},
		{[]string{"run.*"}, "approval.rejected", true},
		{[]string{"run.*"}, "approval.requested", false},
		{[]string{"run.failed"}, "policy.changed", true},
		{[]string{"approval.*"}, "approval.rejected", true},
		{[]string{"stage.succeeded"}, "stage.succeeded", true},
		{[]string{"stage.succeeded"}, "stage.started", false},
	} {
		if got := IsWanted(tc.types, tc.of); got != tc.want {
			t.Errorf("%v of %s: %t, want %t", tc.types, tc.of, got, tc.want)
		}
	}
}

func TestPatternsThatMeanSomething(t *testing.T) {
	for pattern, want := range map[string]bool{
		"*": true, "run.*": true, "run.rejected": true, "approval.requested": true, "operation.skip": true,
		"": false, "runs.*": false, "run": false, "run.": false, ".*": false, "*.failed": false, "run.exploded": false,
	} {
		if got := Exists(pattern); got != want {
			t.Errorf("%q: %t, want %t", pattern, got, want)
		}
	}
}

var at = time.Date(2026, 7, 22, 21, 28, 8, 0, time.UTC)

// waiting is a run that waits for an approval before its stage prod.
func waiting(namespace string) (v1beta1.UpdateRunObject, *v1beta1.UpdateRunHistoryEntry, []v1beta1.ApprovalRequestObject) {
	done := []metav1.Condition{{Type: v1beta1.ClusterSucceeded, Status: metav1.ConditionTrue, Reason: wellknown.ReasonClusterSucceeded}, {Type: v1beta1.ClusterStarted, Status: metav1.ConditionTrue}}
	started := metav1.NewTime(at)
	var run v1beta1.UpdateRunObject = &v1beta1.ClusterStagedUpdateRun{}
	var request v1beta1.ApprovalRequestObject = &v1beta1.ClusterApprovalRequest{}
	if namespace != "" {
		run, request = &v1beta1.StagedUpdateRun{}, &v1beta1.ApprovalRequest{}
	}
	run.SetNamespace(namespace)
	run.SetName("checkout-12")
	run.SetUID("run-uid")
	*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "checkout", StagedUpdateStrategyName: "careful", State: v1beta1.StateRun}
	*run.RunStatus() = v1beta1.UpdateRunStatus{
		CreatedBy: &v1beta1.DecisionUser{Username: "alice"}, ResourceSnapshotIndexUsed: "7",
		StagesStatus: []v1beta1.StageUpdatingStatus{
			{StageName: "canary", StartTime: &started, EndTime: &started, Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "one", Conditions: done}},
				Conditions: []metav1.Condition{{Type: v1beta1.StageSucceeded, Status: metav1.ConditionTrue}}},
			{StageName: "prod", Clusters: []v1beta1.ClusterUpdatingStatus{{ClusterName: "two"}, {ClusterName: "three"}},
				Conditions:            []metav1.Condition{{Type: v1beta1.StageProgressing, Status: metav1.ConditionFalse, Reason: "StageUpdatingWaiting"}},
				BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "checkout-12-before-prod"}}},
		},
		DeletionStageStatus: &v1beta1.StageUpdatingStatus{StageName: "kubernetes-fleet.io/deleteStage"},
		Conditions:          []metav1.Condition{{Type: v1beta1.RunInitialized, Status: metav1.ConditionTrue}},
	}
	request.SetName("checkout-12-before-prod")
	request.SetUID("request-uid")
	request.RequestSpec().Policy = &v1beta1.ApprovalPolicy{Groups: []string{"sre"}}
	entry := &v1beta1.UpdateRunHistoryEntry{Number: 5, Time: metav1.NewTime(at), Reason: "WaitingForApproval", Stage: "prod", Message: "Stage prod waits for approval"}
	return run, entry, []v1beta1.ApprovalRequestObject{request}
}

func TestCloudEvent(t *testing.T) {
	run, entry, requests := waiting("team")
	body, err := New(run, entry, requests, "hub-uid", at).CloudEvent()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"specversion": "1.0", "id": "run-uid-5", "type": "dev.stagegate.approval.requested.v1", "subject": "prod", "time": "2026-07-22T21:28:08Z",
		"source": "/apis/placement.kubernetes-fleet.io/v1/namespaces/team/stagedupdateruns/checkout-12", "datacontenttype": "application/json",
		"data": map[string]any{
			"hub": "hub-uid",
			"run": map[string]any{"kind": "StagedUpdateRun", "namespace": "team", "name": "checkout-12", "uid": "run-uid", "placement": "checkout",
				"strategy": "careful", "resourceSnapshotIndex": "7", "createdBy": "alice"},
			"entry":      map[string]any{"number": 5.0, "time": "2026-07-22T21:28:08Z", "reason": "WaitingForApproval", "stage": "prod", "message": "Stage prod waits for approval"},
			"progress":   map[string]any{"stage": "prod", "clusters": 3.0, "done": 1.0, "failed": 0.0},
			"waitingFor": "approval: checkout-12-before-prod",
			"approvals": []any{map[string]any{
				"kind": "ApprovalRequest", "name": "checkout-12-before-prod", "uid": "request-uid", "groups": []any{"sre"},
				"approve": `kubectl patch approvalrequest/checkout-12-before-prod -n team --subresource=approve --type=merge -p '{"metadata":{"uid":"request-uid"},"spec":{"comment":""}}'`,
				"reject":  `kubectl patch approvalrequest/checkout-12-before-prod -n team --subresource=reject --type=merge -p '{"metadata":{"uid":"request-uid"},"spec":{"comment":""}}'`,
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnApprovalWhoseRequestDoesNotExistYet has no commands: without the uid they would approve another one of that name.
func TestAnApprovalWhoseRequestDoesNotExistYet(t *testing.T) {
	run, entry, requests := waiting("team")
	early := New(run, entry, nil, "", at)
	if a := early.Data.Approvals; len(a) != 1 || a[0].Approve != "" || a[0].Reject != "" || !early.LacksRequest() {
		t.Errorf("%+v, lacks a request: %t", a, early.LacksRequest())
	}
	if text := early.text(); strings.Contains(text, "`") {
		t.Errorf("a command is in %q", text)
	}
	if New(run, entry, requests, "", at).LacksRequest() {
		t.Error("the request is there")
	}
	entry.Reason = wellknown.HistoryStuck
	if New(run, entry, nil, "", at).LacksRequest() {
		t.Error("it is not about an approval that is asked for")
	}
}

func TestSlack(t *testing.T) {
	run, entry, requests := waiting("")
	body, err := New(run, entry, requests, "", at).Slack()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"text": `*approval.requested* checkout-12: Stage prod waits for approval
placement checkout, 1 of 3 clusters done
waiting for approval: checkout-12-before-prod
a member of sre must approve
` + "`kubectl patch clusterapprovalrequest/checkout-12-before-prod --subresource=approve --type=merge -p '" +
		`{"metadata":{"uid":"request-uid"},"spec":{"comment":""}}` + "'`"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatUsersWriteSaysNoMoreThanItSeemsTo(t *testing.T) {
	run, entry, _ := waiting("")
	entry.Reason, entry.Operation, entry.User = "StopRequested", v1beta1.OperationStop, "<@U123>"
	entry.Message = "<!channel> <https://evil|fine> & @here [fine](https://evil) `x`\nalice@example.com [one]\x01(https://evil) [two]\u202e(https://evil) \u2066x"
	text := New(run, entry, nil, "", at).text()
	for _, bad := range []string{"<", ">", "@here", "](", "& ", "`x`", "\nalice", "\x01", "\u202e", "\u2066"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in %q", bad, text)
		}
	}
	for _, good := range []string{"&lt;!channel&gt; &lt;https://evil|fine&gt; &amp; @\u200bhere", "alice@example.com", "Stop was requested: ", "by &lt;@\u200bU123&gt;"} {
		if !strings.Contains(text, good) {
			t.Errorf("%q is not in %q", good, text)
		}
	}
}

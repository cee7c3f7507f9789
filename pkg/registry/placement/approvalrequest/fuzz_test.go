// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// permitted may decide everything, mallory nothing, and controllers is the user of the server's own.
var writers = []string{"alice", "bob", "mallory", controllers}

// situations are what a request may have come to when somebody writes it: alice was there before.
var situations = []struct {
	name, spec string
	decisions  []string
	accepted   bool
	deleted    bool
}{
	{name: "undecided"},
	{name: "approved", decisions: []string{"approve"}},
	{name: "accepted", decisions: []string{"approve"}, accepted: true},
	{name: "rejected", decisions: []string{"reject"}},
	{name: "one of two", spec: `, "policy": {"required": 2}`, decisions: []string{"approve"}},
	{name: "being deleted", deleted: true},
}

// write is one of the ways to write a request, and who does when.
type write struct {
	in                  scope
	version, path, user string
	method, contentType string
	situation           int
	dryRun              bool
}

// writeOf makes a write of any two numbers.
func writeOf(way, when uint8) write {
	w, n := write{}, int(way)
	choose := func(choices int) int { chosen := n % choices; n /= choices; return chosen }
	w.path = []string{"status", "approve", "reject"}[choose(3)]
	w.contentType = []string{mergePatch, jsonPatch, strategicPatch, string(types.ApplyYAMLPatchType), runtime.ContentTypeJSON, runtime.ContentTypeYAML}[choose(6)]
	w.in = scopes[choose(len(scopes))]
	w.version = []string{"v1beta1", "v1"}[choose(2)]
	w.method = http.MethodPatch
	if w.contentType == runtime.ContentTypeJSON || w.contentType == runtime.ContentTypeYAML {
		w.method = []string{http.MethodPut, http.MethodPost}[choose(2)]
	}
	n = int(when)
	w.situation = choose(len(situations))
	w.user = writers[choose(len(writers))]
	w.dryRun = choose(4) == 3
	return w
}

// FuzzDecisions writes whatever bytes to a request and holds that nobody decides without the permission, that nothing is decided
// twice, that what is protected is neither removed nor forged, that what is refused changes nothing, and that the server copes. NAME
// and RV in a body stand for what the request has.
func FuzzDecisions(f *testing.F) {
	s := newServer(quiet{f})
	for _, in := range scopes {
		s.denied["mallory update "+in.resource+"/approve"] = true
		s.denied["mallory update "+in.resource+"/reject"] = true
	}
	for way := range uint8(144) {
		w := writeOf(way, 0)
		for i, body := range seedBodies(w) {
			f.Add(way, way+7*uint8(i), []byte(body))
		}
	}
	n := 0
	f.Fuzz(func(t *testing.T, way, when uint8, body []byte) {
		s.forget()
		n++
		w := writeOf(way, when)
		name := fmt.Sprintf("request-%d", n)
		s.bring(t, w, name)

		before := s.get(t, w.in, name)
		code, answer := s.serve(t, w.call(name, replace(string(body), "NAME", name, "RV", before.ResourceVersion)))
		after := s.get(t, w.in, name)
		if code >= http.StatusInternalServerError {
			t.Errorf("%+v: code %d: %s", w, code, answer)
		}
		if code >= http.StatusMultipleChoices || w.dryRun {
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("%+v: code %d, and yet, -before +after:\n%s", w, code, diff)
			}
		}
		w.check(t, before, after)
	})
}

// quiet drops what etcd logs: it goes on logging inside the fuzz target, where only the target's own log may be written.
type quiet struct{ testing.TB }

func (quiet) Log(...any)          {}
func (quiet) Logf(string, ...any) {}

// serve answers as net/http does, which ends the request of a handler that panics. One panic of the library is known: of a JSON patch
// with an operation on the whole object and no value. Nothing is written then, and the server goes on.
func (s *server) serve(t *testing.T, c call) (code int, answer string) {
	defer func() {
		if reason := recover(); reason != nil {
			if !strings.Contains(fmt.Sprint(reason), "json-patch") {
				panic(reason)
			}
			code, answer = http.StatusUnprocessableEntity, "panic in the library of JSON patches"
		}
	}()
	return s.do(t, c)
}

// seedBodies are bodies that do something where they are written.
func seedBodies(w write) []string {
	if w.path != "status" {
		switch w.contentType {
		case jsonPatch:
			return []string{`[]`, `[{"op": "add", "path": "/spec", "value": {"comment": "ok"}}]`, `[{"op": "remove", "path": "/metadata"}]`}
		default:
			return []string{`{}`, `{"apiVersion": "placement.kubernetes-fleet.io/v1", "kind": "Approval", "metadata": {"name": "NAME", "resourceVersion": "RV"}, "spec": {"comment": "ok"}}`,
				`{"status": {"decision": "Approved", "decidedBy": {"username": "forged"}}}`,
				`{"apiVersion": "placement.kubernetes-fleet.io/` + w.version + `", "kind": "Approval", "metadata": {"labels": "a"}}`}
		}
	}
	approved := approvedCondition("True", "Fine", "lgtm")
	switch w.contentType {
	case jsonPatch:
		return []string{
			`[{"op": "add", "path": "/status", "value": {"conditions": [` + approved + `]}}]`,
			`[{"op": "remove", "path": "/status/conditions/0"}]`,
			`[{"op": "replace", "path": ""}]`,
			`[{"op": "copy", "from": "/status/decisions/0", "path": "/status/decisions/-"}]`,
			`[{"op": "test", "path": "/metadata/name", "value": "NAME"}, {"op": "replace", "path": "/spec/targetStage", "value": "other"}]`,
		}
	case mergePatch, strategicPatch:
		return []string{
			conditionsPatch(approved), conditionsPatch(approvedCondition("False", "No", "")), conditionsPatch(approved + "," + approved),
			conditionsPatch(acceptedCondition), conditionsPatch("null, {}"), `{"status": null}`, `{"status": {"decisions": null}, "metadata": {"ownerReferences": [], "labels": {"a": "b"}}}`,
		}
	default:
		return []string{`{"apiVersion": "placement.kubernetes-fleet.io/` + w.version + `", "kind": "` + w.in.kind + `", "metadata": {"name": "NAME", "resourceVersion": "RV"},
			"status": {"decisions": [{"decision": "Approved", "user": {"username": "forged"}, "time": "2020-01-01T00:00:00Z", "requestUID": "x"}], "conditions": [` + approved + `]}}`}
	}
}

// bring makes a request and has it come to the situation.
func (s *server) bring(t *testing.T, w write, name string) {
	t.Helper()
	situation := situations[w.situation]
	s.mustDo(t, call{user: controllers, method: http.MethodPost, path: w.in.path("v1beta1"), body: `{
		"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "` + w.in.kind + `",
		"metadata": {"name": "` + name + `", "finalizers": ["example.com/stay"], "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": "run", "uid": "run"}]},
		"spec": {"parentStageRollout": "run", "targetStage": "canary"` + situation.spec + `}}`})
	for _, decision := range situation.decisions {
		s.mustDo(t, call{user: "alice", method: http.MethodPost, path: w.in.path("v1", name, decision), body: `{"spec": {"comment": "mine"}}`})
	}
	if situation.accepted {
		s.mustDo(t, statusPatch(w.in, controllers, name, conditionsPatch(acceptedCondition)))
	}
	if situation.deleted {
		s.mustDo(t, call{user: controllers, method: http.MethodDelete, path: w.in.path("v1", name)})
	}
}

// forget what was audited and asked: a fuzzer asks a lot.
func (s *server) forget() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.asked, s.events = nil, nil
}

func (w write) call(name, body string) call {
	c := call{user: w.user, method: w.method, path: w.in.path(w.version, name, w.path), contentType: w.contentType, body: body}
	query := "?"
	if w.contentType == string(types.ApplyYAMLPatchType) {
		query += "fieldManager=test&"
	}
	if w.dryRun {
		query += "dryRun=All"
	}
	c.path += query
	return c
}

// check holds what no write may do.
func (w write) check(t *testing.T, before, after v1beta1.ApprovalRequest) {
	t.Helper()
	if diff := cmp.Diff(before, after, cmpopts.IgnoreFields(v1beta1.ApprovalRequest{}, "Status"),
		cmpopts.IgnoreFields(metav1.ObjectMeta{}, "ResourceVersion", "ManagedFields")); diff != "" {
		t.Errorf("%+v: more than the status has changed, -before +after:\n%s", w, diff)
	}
	seen := map[string]bool{}
	for _, c := range after.Status.Conditions {
		if seen[c.Type] {
			t.Errorf("%+v: there are two conditions %s", w, c.Type)
		}
		seen[c.Type] = true
	}
	accepted, wasAccepted := byType(after)[v1beta1.RequestApprovalAccepted], byType(before)[v1beta1.RequestApprovalAccepted]
	if (w.user != controllers || accepted.Type == "" && wasAccepted.Type != "") && accepted != wasAccepted {
		t.Errorf("%+v: ApprovalAccepted has changed from %v to %v", w, wasAccepted, accepted)
	}

	was, is := before.Status.Decisions, after.Status.Decisions
	if len(is) < len(was) || len(is) > len(was)+1 || !cmp.Equal(was, is[:len(was)], cmpopts.EquateEmpty()) {
		t.Fatalf("%+v: decisions %v became %v", w, was, is)
	}
	approved, wasApproved := byType(after)[v1beta1.RequestApproved], byType(before)[v1beta1.RequestApproved]
	if len(is) == len(was) {
		if approved != wasApproved {
			t.Errorf("%+v: without a decision Approved has changed from %v to %v", w, wasApproved, approved)
		}
		return
	}
	w.checkDecision(t, before, is[len(was)])
	if want := outcome(is, before.Spec.Policy); approved.Status != want {
		t.Errorf("%+v: Approved is %q after %v, want %q", w, approved.Status, is, want)
	}
}

// checkDecision holds that a decision is the writer's, and theirs to take.
func (w write) checkDecision(t *testing.T, before v1beta1.ApprovalRequest, d v1beta1.ApprovalDecision) {
	t.Helper()
	closed := meta.IsStatusConditionTrue(before.Status.Conditions, v1beta1.RequestApproved) || meta.IsStatusConditionFalse(before.Status.Conditions, v1beta1.RequestApproved)
	repeats := len(before.Status.Decisions) > 0 && w.user == "alice" && d.Decision == before.Status.Decisions[0].Decision
	switch {
	case w.user == "mallory":
		t.Errorf("%+v: decided without the permission", w)
	case closed || repeats || before.DeletionTimestamp != nil:
		t.Errorf("%+v: decided what cannot be decided any more", w)
	case w.path == "approve" && d.Decision != v1beta1.DecisionApproved, w.path == "reject" && d.Decision != v1beta1.DecisionRejected:
		t.Errorf("%+v: decided %s", w, d.Decision)
	case d.User.Username != w.user || d.User.UID != uidOf(w.user) || d.RequestUID != before.UID || !d.Time.Time.Equal(now):
		t.Errorf("%+v: recorded %+v", w, d)
	}
}

// outcome is what decisions come to.
func outcome(decisions []v1beta1.ApprovalDecision, policy *v1beta1.ApprovalPolicy) metav1.ConditionStatus {
	required := 1
	if policy != nil {
		required = int(policy.Required)
	}
	for _, d := range decisions {
		if d.Decision == v1beta1.DecisionRejected {
			return metav1.ConditionFalse
		}
	}
	if len(decisions) < required {
		return metav1.ConditionUnknown
	}
	return metav1.ConditionTrue
}

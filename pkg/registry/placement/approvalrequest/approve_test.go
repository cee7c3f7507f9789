// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const (
	mergePatch     = string(types.MergePatchType)
	strategicPatch = string(types.StrategicMergePatchType)
	jsonPatch      = string(types.JSONPatchType)
)

// recorded is what stands in the status once alice has decided with the comment "smoke ok".
func recorded(decision v1beta1.DecisionType, status metav1.ConditionStatus, uid types.UID) v1beta1.ApprovalRequestStatus {
	return v1beta1.ApprovalRequestStatus{
		Decisions: []v1beta1.ApprovalDecision{{
			Decision:   decision,
			User:       v1beta1.DecisionUser{Username: "alice", UID: "uid-of-alice", Groups: []string{"people", "system:authenticated"}},
			Time:       metav1.NewTime(now),
			Comment:    "smoke ok",
			RequestUID: uid,
			AuditID:    "audit-1",
		}},
		Conditions: []metav1.Condition{{
			Type: "Approved", Status: status, ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(now),
			Reason: string(decision), Message: "smoke ok",
		}},
	}
}

// decisions are the subresources and what they make of a request.
var decisions = []struct {
	subresource string
	decision    v1beta1.DecisionType
	status      metav1.ConditionStatus
}{
	{"approve", v1beta1.DecisionApproved, metav1.ConditionTrue},
	{"reject", v1beta1.DecisionRejected, metav1.ConditionFalse},
}

func TestEveryWayToDecideLeavesTheSameRecord(t *testing.T) {
	s := newServer(t)
	const full = `{"apiVersion": "placement.kubernetes-fleet.io/VERSION", "kind": "Approval", "metadata": {"name": "NAME"}, "spec": {"comment": "smoke ok"}}`
	for _, way := range []struct {
		name, method, contentType, body string
		code                            int
	}{
		{"post", http.MethodPost, "", full, http.StatusCreated},
		{"post-comment-only", http.MethodPost, "", `{"spec": {"comment": "smoke ok"}}`, http.StatusCreated},
		{"post-forged-status", http.MethodPost, "", `{"spec": {"comment": "smoke ok"}, "status": {"decidedBy": {"username": "bob"}}}`, http.StatusCreated},
		{"put", http.MethodPut, "", full, http.StatusOK},
		{"merge-patch", http.MethodPatch, mergePatch, `{"spec": {"comment": "smoke ok"}}`, http.StatusOK},
		{"strategic-patch", http.MethodPatch, strategicPatch, `{"spec": {"comment": "smoke ok"}}`, http.StatusOK},
		{"json-patch", http.MethodPatch, jsonPatch, `[{"op": "add", "path": "/spec", "value": {"comment": "smoke ok"}}]`, http.StatusOK},
	} {
		for _, in := range scopes {
			for _, version := range []string{"v1", "v1beta1"} {
				for _, d := range decisions {
					name := strings.Join([]string{way.name, d.subresource, version}, "-")
					t.Run(in.name+"/"+name, func(t *testing.T) {
						uid := s.create(t, in, name)
						code, body := s.do(t, call{
							user: "alice", method: way.method, path: in.path(version, name, d.subresource), contentType: way.contentType,
							body:   strings.NewReplacer("VERSION", version, "NAME", name).Replace(way.body),
							header: map[string]string{"Audit-ID": "audit-1"},
						})
						if code != way.code {
							t.Fatalf("code %d, want %d: %s", code, way.code, body)
						}
						if diff := cmp.Diff("alice", s.lastAudit(t).Annotations[decidedByAnnotation]); diff != "" {
							t.Errorf("audit annotation, -want +got:\n%s", diff)
						}
						want := recorded(d.decision, d.status, uid)
						request := s.get(t, in, name)
						if diff := cmp.Diff(want, request.Status); diff != "" {
							t.Errorf("status, -want +got:\n%s", diff)
						}

						answer := decode[v1beta1.Approval](t, body)
						wantAnswer := v1beta1.Approval{
							TypeMeta:   metav1.TypeMeta{APIVersion: "placement.kubernetes-fleet.io/" + version, Kind: "Approval"},
							ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: in.namespace, UID: uid, ResourceVersion: request.ResourceVersion},
							Spec:       v1beta1.ApprovalSpec{Comment: "smoke ok"},
							Status: v1beta1.ApprovalStatus{
								Decision: d.decision, DecidedBy: &want.Decisions[0].User, DecidedAt: &want.Decisions[0].Time,
								AuditID: "audit-1", ObservedGeneration: 1,
							},
						}
						if diff := cmp.Diff(wantAnswer, answer); diff != "" {
							t.Errorf("answer, -want +got:\n%s", diff)
						}
					})
				}
			}
		}
	}
}

func TestADecisionNeedsNoComment(t *testing.T) {
	s := newServer(t)
	for name, c := range map[string]call{
		"post":            {method: http.MethodPost, body: `{}`},
		"merge-patch":     {method: http.MethodPatch, contentType: mergePatch, body: `{}`},
		"strategic-patch": {method: http.MethodPatch, contentType: strategicPatch, body: `{}`},
		"json-patch":      {method: http.MethodPatch, contentType: jsonPatch, body: `[]`},
	} {
		for _, in := range scopes {
			t.Run(in.name+"/"+name, func(t *testing.T) {
				s.create(t, in, name)
				c.user, c.path = "alice", in.path("v1beta1", name, "reject")
				s.mustDo(t, c)
				got := s.get(t, in, name).Status.Conditions[0]
				want := metav1.Condition{
					Type: "Approved", Status: metav1.ConditionFalse, ObservedGeneration: 1, LastTransitionTime: metav1.NewTime(now),
					Reason: "Rejected", Message: "Rejected by alice",
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("condition, -want +got:\n%s", diff)
				}
			})
		}
	}
}

func TestAnUndecidedRequestReadsAsAnEmptyApproval(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		t.Run(in.name, func(t *testing.T) {
			uid := s.create(t, in, "undecided")
			for _, d := range decisions {
				body := s.mustDo(t, call{user: "alice", method: http.MethodGet, path: in.path("v1beta1", "undecided", d.subresource)})
				want := v1beta1.Approval{
					TypeMeta:   metav1.TypeMeta{APIVersion: "placement.kubernetes-fleet.io/v1beta1", Kind: "Approval"},
					ObjectMeta: metav1.ObjectMeta{Name: "undecided", Namespace: in.namespace, UID: uid, ResourceVersion: s.get(t, in, "undecided").ResourceVersion},
				}
				if diff := cmp.Diff(want, decode[v1beta1.Approval](t, body)); diff != "" {
					t.Errorf("%s, -want +got:\n%s", d.subresource, diff)
				}
			}
		})
	}
}

func TestADecisionStays(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for _, first := range decisions {
			for _, again := range decisions {
				for _, who := range []string{"alice", "bob"} {
					for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
						name := strings.ToLower(strings.Join([]string{first.subresource, who, again.subresource, method}, "-"))
						t.Run(in.name+"/"+name, func(t *testing.T) {
							s.create(t, in, name)
							s.mustDo(t, call{user: "alice", method: http.MethodPost, path: in.path("v1", name, first.subresource), body: `{"spec": {"comment": "first"}}`})
							before := s.get(t, in, name)

							c := call{user: who, method: method, path: in.path("v1", name, again.subresource), body: `{"metadata": {"name": "` + name + `"}, "spec": {"comment": "second"}}`}
							if method == http.MethodPatch {
								c.contentType = mergePatch
							}
							code, body := s.do(t, c)
							if by := s.lastAudit(t).Annotations[decidedByAnnotation]; by != "" {
								t.Errorf("audited as a decision by %s", by)
							}
							if who != "alice" || again != first {
								expectRefusal(t, code, body, http.StatusConflict, fmt.Sprintf("Operation cannot be fulfilled on %s.placement.kubernetes-fleet.io %q: already %s by alice at 2026-03-01T12:00:00Z",
									in.resource, name, strings.ToLower(string(first.decision))))
							} else if comment := decode[v1beta1.Approval](t, body).Spec.Comment; comment != "first" {
								t.Errorf("answer has the comment %q, want the stored one: %s", comment, body)
							}
							if diff := cmp.Diff(before, s.get(t, in, name)); diff != "" {
								t.Errorf("request changed, -before +after:\n%s", diff)
							}
						})
					}
				}
			}
		}
	}
}

func TestACommentThatIsNotRecordedIsWarnedOf(t *testing.T) {
	s := newServer(t)
	in := scopes[0]
	s.create(t, in, "again")
	for _, tc := range []struct{ comment, want string }{
		{"first", ""},
		{"first", ""},
		{"", ""},
		{"second", `299 - "the comment is not recorded: you approved this at 2026-03-01T12:00:00Z already, and a decision keeps its first comment"`},
	} {
		response := s.answer(call{user: "alice", method: http.MethodPost, path: in.path("v1", "again", "approve"), body: `{"spec": {"comment": "` + tc.comment + `"}}`})
		if got := response.Header().Get("Warning"); got != tc.want || response.Code >= http.StatusMultipleChoices {
			t.Errorf("comment %q: code %d, warning %s, want %s", tc.comment, response.Code, got, tc.want)
		}
	}
}

func TestAnUnusableDecisionIsRefused(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		qualified := in.resource + ".placement.kubernetes-fleet.io"
		for _, tc := range []struct {
			name, body string
			code       int
			message    string
		}{
			{"uid", `{"metadata": {"uid": "other"}}`, http.StatusConflict,
				`Operation cannot be fulfilled on ` + qualified + ` "uid": the uid in the precondition (other) does not match the uid in record (UID)`},
			{"resourceversion", `{"metadata": {"resourceVersion": "1"}}`, http.StatusConflict,
				`Operation cannot be fulfilled on ` + qualified + ` "resourceversion": the resourceVersion in the precondition (1) does not match the resourceVersion in record (RV)`},
			{"name", `{"metadata": {"name": "other"}}`, http.StatusBadRequest,
				`the name of the object (other) does not match the name on the URL (name)`},
			{"comment", `{"spec": {"comment": "` + strings.Repeat("x", 1025) + `"}}`, http.StatusUnprocessableEntity,
				`Approval.placement.kubernetes-fleet.io "comment" is invalid: spec.comment: Too long: may not be more than 1024 characters`},
			{"admission", `{"spec": {"comment": "foul"}}`, http.StatusForbidden,
				qualified + ` "admission" is forbidden: mind your language`},
			{"denied", `{"spec": {"comment": "x"}}`, http.StatusForbidden,
				qualified + ` "denied" is forbidden: user "mallory" needs the permission to update ` + qualified + `/approve: no rule allows it`},
			{"undecidable", `{"spec": {"comment": "x"}}`, http.StatusInternalServerError,
				`Internal error occurred: asking whether "unlucky" may update ` + qualified + `/approve: unexpected EOF`},
		} {
			t.Run(in.name+"/"+tc.name, func(t *testing.T) {
				uid := s.create(t, in, tc.name)
				before := s.get(t, in, tc.name)
				who := map[string]string{"denied": "mallory", "undecidable": "unlucky"}[tc.name]
				if who == "" {
					who = "alice"
				}
				s.denied["mallory update "+in.resource+"/approve"] = true
				s.failing["unlucky update "+in.resource+"/approve"] = true
				message := strings.NewReplacer("UID", string(uid), "RV", before.ResourceVersion).Replace(tc.message)
				for _, c := range []call{
					{method: http.MethodPost},
					{method: http.MethodPatch, contentType: mergePatch},
				} {
					c.user, c.path, c.body = who, in.path("v1beta1", tc.name, "approve"), tc.body
					code, body := s.do(t, c)
					if tc.name == "name" && c.method == http.MethodPatch {
						// The handler of patches refuses a new name before the storage is asked.
						if code < http.StatusBadRequest {
							t.Errorf("code %d: %s", code, body)
						}
						continue
					}
					expectRefusal(t, code, body, tc.code, message)
				}
				if diff := cmp.Diff(before, s.get(t, in, tc.name)); diff != "" {
					t.Errorf("request changed, -before +after:\n%s", diff)
				}
			})
		}
	}
}

func TestOnlyWhatIsThereIsDecided(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		qualified := in.resource + ".placement.kubernetes-fleet.io"
		calls := map[string]call{
			"get":   {method: http.MethodGet},
			"post":  {method: http.MethodPost, body: `{}`},
			"put":   {method: http.MethodPut, body: `{"metadata": {"name": "gone"}}`},
			"patch": {method: http.MethodPatch, contentType: mergePatch, body: `{}`},
			"apply": {method: http.MethodPatch},
		}
		for name, c := range calls {
			t.Run(in.name+"/missing/"+name, func(t *testing.T) {
				c.user, c.path = "alice", in.path("v1", "gone", "approve")
				if name == "apply" {
					c.contentType, c.path = string(types.ApplyYAMLPatchType), c.path+"?fieldManager=test"
					c.body = `{"apiVersion": "placement.kubernetes-fleet.io/v1", "kind": "Approval", "metadata": {"name": "gone"}}`
				}
				code, body := s.do(t, c)
				expectRefusal(t, code, body, http.StatusNotFound, qualified+` "gone" not found`)
			})
		}
		t.Run(in.name+"/deleted", func(t *testing.T) {
			s.create(t, in, "deleted")
			path := in.path("v1", "deleted")
			s.mustDo(t, call{user: controllers, method: http.MethodPatch, contentType: mergePatch, path: path, body: `{"metadata": {"finalizers": ["example.com/wait"]}}`})
			s.mustDo(t, call{user: controllers, method: http.MethodDelete, path: path})
			code, body := s.do(t, call{user: "alice", method: http.MethodPost, path: path + "/approve", body: `{}`})
			expectRefusal(t, code, body, http.StatusConflict,
				`Operation cannot be fulfilled on `+qualified+` "deleted": the approval request is being deleted`)
		})
	}
}

func TestDryRunDecidesNothing(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for name, c := range map[string]call{
			"post":   {method: http.MethodPost, body: `{}`, path: "approve"},
			"put":    {method: http.MethodPut, body: `{"metadata": {"name": "put"}}`, path: "approve"},
			"patch":  {method: http.MethodPatch, contentType: mergePatch, body: `{}`, path: "approve"},
			"status": {method: http.MethodPatch, contentType: mergePatch, body: seedPatch, path: "status"},
		} {
			t.Run(in.name+"/"+name, func(t *testing.T) {
				s.create(t, in, name)
				before := s.get(t, in, name)
				c.user, c.path = "alice", in.path("v1", name, c.path)+"?dryRun=All"
				if body := s.mustDo(t, c); !strings.Contains(body, "uid-of-alice") {
					t.Errorf("the answer does not say who would have decided: %s", body)
				}
				if diff := cmp.Diff(before, s.get(t, in, name)); diff != "" {
					t.Errorf("request changed, -before +after:\n%s", diff)
				}
			})
		}
	}
}

func TestTheServerAsksForUpdateOnTheSubresource(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for name, c := range map[string]call{
			"post":   {method: http.MethodPost, body: `{}`, path: "approve"},
			"put":    {method: http.MethodPut, body: `{"metadata": {"name": "put"}}`, path: "approve"},
			"patch":  {method: http.MethodPatch, contentType: mergePatch, body: `{}`, path: "approve"},
			"status": {method: http.MethodPatch, contentType: mergePatch, body: seedPatch, path: "status"},
		} {
			t.Run(in.name+"/"+name, func(t *testing.T) {
				s.create(t, in, name)
				c.user, c.path = "alice", in.path("v1", name, c.path)
				s.mustDo(t, c)
				asked := s.lastAsked(t)
				got := []string{asked.User.GetName(), asked.Verb, asked.APIGroup, asked.APIVersion, asked.Resource, asked.Subresource, asked.Namespace, asked.Name}
				want := []string{"alice", "update", "placement.kubernetes-fleet.io", "v1", in.resource, "approve", in.namespace, name}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("attributes, -want +got:\n%s", diff)
				}
			})
		}
	}
}

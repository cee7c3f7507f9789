// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/approval"
)

// seedPatch is the patch of the tutorial.
const seedPatch = `{"status": {"conditions": [{
	"lastTransitionTime": "2020-01-01T00:00:00Z", "message": "lgtm", "observedGeneration": 7, "reason": "testPassed", "status": "True", "type": "Approved"
}]}}`

const acceptedCondition = `{
	"lastTransitionTime": "2026-03-01T12:00:01Z", "message": "accepted", "observedGeneration": 1, "reason": "ApprovalRequestApprovalAccepted", "status": "True", "type": "ApprovalAccepted"
}`

func approvedCondition(status, reason, message string) string {
	return `{"lastTransitionTime": "2020-01-01T00:00:00Z", "type": "Approved", "status": "` + status + `", "reason": "` + reason + `", "message": "` + message + `"}`
}

func conditionsPatch(conditions string) string {
	return `{"status": {"conditions": [` + conditions + `]}}`
}

func statusPatch(in scope, user, name, body string) call {
	return call{user: user, method: http.MethodPatch, contentType: mergePatch, path: in.path("v1beta1", name, "status"), body: body,
		header: map[string]string{"Audit-ID": "audit-1"}}
}

func TestAStatusWriteThatApprovesIsADecision(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for _, tc := range []struct {
			name, status string
			decision     v1beta1.DecisionType
		}{
			{"approves", "True", v1beta1.DecisionApproved},
			{"rejects", "False", v1beta1.DecisionRejected},
		} {
			full := `{"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "` + in.kind + `", "metadata": {"name": "NAME", "resourceVersion": "RV"},
				"status": {"decisions": [{"decision": "Approved", "user": {"username": "forged"}, "time": "2020-01-01T00:00:00Z", "requestUID": "x"}],
				"conditions": [` + approvedCondition(tc.status, "testPassed", "lgtm") + `]}}`
			for name, c := range map[string]call{
				"merge":     {method: http.MethodPatch, contentType: mergePatch, body: conditionsPatch(approvedCondition(tc.status, "testPassed", "lgtm"))},
				"strategic": {method: http.MethodPatch, contentType: strategicPatch, body: conditionsPatch(approvedCondition(tc.status, "testPassed", "lgtm"))},
				"json":      {method: http.MethodPatch, contentType: jsonPatch, body: `[{"op": "add", "path": "/status", "value": {"conditions": [` + approvedCondition(tc.status, "testPassed", "lgtm") + `]}}]`},
				"put":       {method: http.MethodPut, body: full},
				"apply":     {method: http.MethodPatch, contentType: string(types.ApplyYAMLPatchType), body: full},
			} {
				t.Run(in.name+"/"+tc.name+"/"+name, func(t *testing.T) {
					object := name + "-" + tc.name
					uid := s.create(t, in, object)
					c.user, c.path = "alice", in.path("v1beta1", object, "status")
					c.header = map[string]string{"Audit-ID": "audit-1"}
					if name == "apply" {
						c.path += "?fieldManager=test"
					}
					c.body = replace(c.body, "NAME", object, "RV", s.get(t, in, object).ResourceVersion)
					s.mustDo(t, c)
					if diff := cmp.Diff("alice", s.lastAudit(t).Annotations[decidedByAnnotation]); diff != "" {
						t.Errorf("audit annotation, -want +got:\n%s", diff)
					}

					want := recorded(tc.decision, metav1.ConditionStatus(tc.status), uid)
					want.Decisions[0].Comment = "lgtm"
					want.Conditions[0].Reason, want.Conditions[0].Message = "testPassed", "lgtm"
					if diff := cmp.Diff(want, s.get(t, in, object).Status); diff != "" {
						t.Errorf("status, -want +got:\n%s", diff)
					}
				})
			}
		}
	}
}

// TestAnUpdateOfTheStatusDoesNothingButDecide reads a request, changes all that there is, and puts it to the status. KubeFleet's kubectl
// fleet approve does that with the condition Approved alone.
func TestAnUpdateOfTheStatusDoesNothingButDecide(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for _, approves := range []bool{true, false} {
			name := map[bool]string{true: "approves", false: "forges"}[approves]
			t.Run(in.name+"/"+name, func(t *testing.T) {
				s.createWithPolicy(t, in, name, `{"required": 2}`)
				s.mustDo(t, statusPatch(in, "bob", name, seedPatch))
				before := s.get(t, in, name)

				sent := before.DeepCopy()
				sent.Labels = map[string]string{"a": "b"}
				sent.Annotations = map[string]string{"a": "b"}
				sent.Finalizers = []string{"example.com/forever"}
				sent.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: "x", UID: "x"}}
				sent.Spec = v1beta1.ApprovalRequestSpec{TargetUpdateRun: "another", TargetStage: "prod", Rollout: &v1beta1.StageRollout{PlacementName: "x"}}
				sent.Status.Decisions = []v1beta1.ApprovalDecision{{
					Decision: v1beta1.DecisionApproved, User: v1beta1.DecisionUser{Username: "mallory"}, RequestUID: before.UID, Time: metav1.NewTime(now),
				}}
				sent.Status.Conditions = nil
				if approves {
					sent.Status.Conditions = []metav1.Condition{{
						Type: v1beta1.RequestApproved, Status: metav1.ConditionTrue, Reason: "ClusterApprovalRequestApproved", Message: "approved", LastTransitionTime: metav1.NewTime(now),
					}}
				}
				sent.APIVersion, sent.Kind = v1beta1.SchemeGroupVersion.String(), in.kind
				s.mustDo(t, call{user: "alice", method: http.MethodPut, path: in.path("v1beta1", name, "status"), body: encode(t, sent)})

				after := s.get(t, in, name)
				want := before.DeepCopy()
				want.ResourceVersion, want.ManagedFields = after.ResourceVersion, after.ManagedFields
				users := []string{"bob"}
				if approves {
					users = append(users, "alice")
					want.Status = after.Status
				}
				if diff := cmp.Diff(*want, after); diff != "" {
					t.Errorf("request (-want +got):\n%s", diff)
				}
				var decided []string
				for _, d := range after.Status.Decisions {
					decided = append(decided, d.User.Username)
				}
				if diff := cmp.Diff(users, decided); diff != "" {
					t.Errorf("who has decided (-want +got):\n%s", diff)
				}
				if got := byType(after)[v1beta1.RequestApproved].Status == metav1.ConditionTrue; got != approves {
					t.Errorf("approved: %v, want %v", got, approves)
				}
			})
		}
	}
}

func TestAStatusWriteNeedsThePermissionToDecide(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		s.denied["mallory update "+in.resource+"/approve"] = true
		s.denied["mallory update "+in.resource+"/reject"] = true
		for name, tc := range map[string]struct{ status, subresource string }{
			"approve": {"True", "approve"},
			"reject":  {"False", "reject"},
		} {
			t.Run(in.name+"/"+name, func(t *testing.T) {
				s.create(t, in, name)
				before := s.get(t, in, name)
				code, body := s.do(t, statusPatch(in, "mallory", name, conditionsPatch(approvedCondition(tc.status, "testPassed", "lgtm"))))
				qualified := in.resource + ".placement.kubernetes-fleet.io"
				expectRefusal(t, code, body, http.StatusForbidden, qualified+` "`+name+`" is forbidden: user "mallory" needs the permission to update `+
					qualified+`/`+tc.subresource+`: no rule allows it`)
				if diff := cmp.Diff(before, s.get(t, in, name)); diff != "" {
					t.Errorf("request changed, -before +after:\n%s", diff)
				}
			})
		}
		t.Run(in.name+"/other conditions are free", func(t *testing.T) {
			s.create(t, in, "free")
			s.mustDo(t, statusPatch(in, "mallory", "free", conditionsPatch(`{"lastTransitionTime": "2020-01-01T00:00:00Z", "type": "Seen", "status": "True", "reason": "Seen", "message": ""}`)))
			if types := conditionTypes(s.get(t, in, "free")); types != "Seen" {
				t.Errorf("conditions %s", types)
			}
		})
	}
}

func TestADecisionIsNotUndoneThroughStatus(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		conflict := `Operation cannot be fulfilled on ` + in.resource + `.placement.kubernetes-fleet.io "NAME": already approved by alice at 2026-03-01T12:00:00Z`
		for _, tc := range []struct {
			name, user, body string
			code             int
			message          string
		}{
			{"leaves-out-all", "bob", conditionsPatch(``), 0, ""},
			{"nulls-the-list", "bob", `{"status": {"conditions": null, "decisions": null}}`, 0, ""},
			{"nulls-the-status", "bob", `{"status": null}`, 0, ""},
			{"says-the-same", "bob", conditionsPatch(approvedCondition("True", "testPassed", "lgtm")), 0, ""},
			{"forges-decisions", "bob", `{"status": {"decisions": []}}`, 0, ""},
			{"decider-repeats", "alice", conditionsPatch(approvedCondition("True", "Again", "still good")), 0, ""},
			{"decider-changes", "alice", conditionsPatch(approvedCondition("False", "Oops", "no")), http.StatusConflict, conflict},
			{"other-rejects", "bob", conditionsPatch(approvedCondition("False", "Oops", "no")), http.StatusConflict, conflict},
			{"other-rewords", "bob", conditionsPatch(approvedCondition("True", "Better", "mine")), http.StatusConflict, conflict},
			{"unknown", "bob", conditionsPatch(approvedCondition("Unknown", "Hm", "")), http.StatusUnprocessableEntity,
				in.resource + `.placement.kubernetes-fleet.io "NAME" is invalid: status.conditions[Approved].status: Unsupported value: "Unknown": supported values: "False", "True"`},
		} {
			t.Run(in.name+"/"+tc.name, func(t *testing.T) {
				s.create(t, in, tc.name)
				s.mustDo(t, statusPatch(in, "alice", tc.name, seedPatch))
				s.mustDo(t, statusPatch(in, controllers, tc.name, conditionsPatch(acceptedCondition)))
				before := s.get(t, in, tc.name)
				if types := conditionTypes(before); types != "ApprovalAccepted Approved" {
					t.Fatalf("conditions %s: the controllers' write lost some", types)
				}

				code, body := s.do(t, statusPatch(in, tc.user, tc.name, tc.body))
				switch {
				case tc.code != 0:
					expectRefusal(t, code, body, tc.code, replace(tc.message, "NAME", tc.name))
				case code != http.StatusOK:
					t.Fatalf("code %d: %s", code, body)
				}
				after := s.get(t, in, tc.name)
				if diff := cmp.Diff(byType(before), byType(after)); diff != "" {
					t.Errorf("conditions changed, -before +after:\n%s", diff)
				}
				if diff := cmp.Diff(before.Status.Decisions, after.Status.Decisions); diff != "" {
					t.Errorf("decisions changed, -before +after:\n%s", diff)
				}
			})
		}
	}
}

func TestApprovalAcceptedIsTheLoops(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		refusal := in.resource + `.placement.kubernetes-fleet.io "NAME" is forbidden: the condition ApprovalAccepted is set by the server, once the run has acted on the approval`
		t.Run(in.name+"/set", func(t *testing.T) {
			s.create(t, in, "set")
			code, body := s.do(t, statusPatch(in, "alice", "set", conditionsPatch(acceptedCondition)))
			expectRefusal(t, code, body, http.StatusForbidden, replace(refusal, "NAME", "set"))
		})
		for _, who := range []string{administrator, impostor} {
			t.Run(in.name+"/set by an "+who, func(t *testing.T) {
				name := "set-by-" + who
				s.create(t, in, name)
				code, body := s.do(t, statusPatch(in, who, name, conditionsPatch(acceptedCondition)))
				expectRefusal(t, code, body, http.StatusForbidden, replace(refusal, "NAME", name))
			})
		}
		t.Run(in.name+"/changed", func(t *testing.T) {
			s.create(t, in, "changed")
			s.mustDo(t, statusPatch(in, controllers, "changed", conditionsPatch(acceptedCondition)))
			code, body := s.do(t, statusPatch(in, "alice", "changed", conditionsPatch(replace(acceptedCondition, `"True"`, `"False"`))))
			expectRefusal(t, code, body, http.StatusForbidden, replace(refusal, "NAME", "changed"))
		})
	}
}

func TestAConditionIsComplete(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		t.Run(in.name, func(t *testing.T) {
			s.create(t, in, "incomplete")
			code, body := s.do(t, statusPatch(in, "alice", "incomplete", conditionsPatch(`{"type": "Seen", "status": "Maybe"}`)))
			expectRefusal(t, code, body, http.StatusUnprocessableEntity, in.kind+`.placement.kubernetes-fleet.io "incomplete" is invalid: `+
				`[status.conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown", `+
				`status.conditions[0].lastTransitionTime: Required value, status.conditions[0].reason: Required value]`)
		})
	}
}

func TestAStatedDecisionSaysNoMoreThanAnyOther(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for _, status := range []string{"True", "False"} {
			name := "long-" + strings.ToLower(status)
			t.Run(in.name+"/"+name, func(t *testing.T) {
				s.create(t, in, name)
				before := s.get(t, in, name)
				code, body := s.do(t, statusPatch(in, "alice", name, conditionsPatch(approvedCondition(status, "read", strings.Repeat("ä", 1025)))))
				expectRefusal(t, code, body, http.StatusUnprocessableEntity, in.resource+`.placement.kubernetes-fleet.io "`+name+`" is invalid: `+
					`status.conditions[Approved].message: Too long: may not be more than 1024 characters`)
				if diff := cmp.Diff(before, s.get(t, in, name)); diff != "" {
					t.Errorf("request changed, -before +after:\n%s", diff)
				}
				s.mustDo(t, statusPatch(in, "alice", name, conditionsPatch(approvedCondition(status, "read", strings.Repeat("ä", 1024)))))
			})
		}
	}
}

func TestNobodyMakesARequestThatPassesForARunsOwn(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		t.Run(in.name, func(t *testing.T) {
			body := func(name string) string {
				return `{"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "` + in.kind + `", "metadata": {"name": "` + name + `",
					"ownerReferences": [{"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "StagedUpdateRun", "name": "example-run", "uid": "run"}]},
					"spec": {"parentStageRollout": "example-run", "targetStage": "canary"}}`
			}
			for _, who := range []string{"alice", administrator, impostor} {
				code, answer := s.do(t, call{user: who, method: http.MethodPost, path: in.path("v1beta1"), body: body("advance")})
				expectRefusal(t, code, answer, http.StatusUnprocessableEntity, in.kind+`.placement.kubernetes-fleet.io "advance" is invalid: `+
					`metadata.ownerReferences: Forbidden: an approval request that belongs to a run is made by the server, when the run asks for it`)
			}
			s.mustDo(t, call{user: controllers, method: http.MethodPost, path: in.path("v1beta1"), body: body("asked")})
		})
	}
}

func TestNobodyElseTellsAnApproverWhatARunDoes(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for _, version := range []string{"v1beta1", "v1"} {
			t.Run(in.name+"/"+version, func(t *testing.T) {
				body := func(name string) string {
					return `{"apiVersion": "placement.kubernetes-fleet.io/` + version + `", "kind": "` + in.kind + `", "metadata": {"name": "` + name + `"},
						"spec": {"parentStageRollout": "example-run", "targetStage": "canary", "rollout": {"placementName": "harmless",
						"resourceSnapshotIndex": "7", "clusters": ["oslo"], "clusterCount": 1, "runClustersDone": 0, "runClusterCount": 1}}}`
				}
				for _, who := range []string{"alice", administrator, impostor} {
					code, answer := s.do(t, call{user: who, method: http.MethodPost, path: in.path(version), body: body("forged")})
					expectRefusal(t, code, answer, http.StatusUnprocessableEntity, in.kind+`.placement.kubernetes-fleet.io "forged" is invalid: `+
						`spec.rollout: Forbidden: what a run does is told by the server, when the run asks for the approval; leave it out`)
				}
				name := "own-" + version
				s.mustDo(t, call{user: controllers, method: http.MethodPost, path: in.path(version), body: body(name)})
				want := &v1beta1.StageRollout{
					PlacementName: "harmless", ResourceSnapshotIndex: "7", Clusters: []string{"oslo"}, ClusterCount: 1, RunClusterCount: 1,
				}
				if diff := cmp.Diff(want, s.get(t, in, name).Spec.Rollout); diff != "" {
					t.Errorf("the controllers' request (-want +got):\n%s", diff)
				}
				for _, who := range []string{"alice", controllers} {
					code, answer := s.do(t, call{user: who, method: http.MethodPatch, contentType: mergePatch, path: in.path(version, name), body: `{"spec": {"rollout": {"clusters": ["rome"]}}}`})
					if code != http.StatusUnprocessableEntity || !strings.Contains(answer, "immutable") {
						t.Errorf("%s changes what the request tells: %d %s", who, code, answer)
					}
				}
			})
		}
	}
}

func TestADecisionOnAnotherRequestOpensNothing(t *testing.T) {
	request := &v1beta1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{UID: "this"},
		Status:     v1beta1.ApprovalRequestStatus{Decisions: []v1beta1.ApprovalDecision{{RequestUID: "another"}}},
	}
	if decision := approval.Of(request).Closing(); decision != nil {
		t.Errorf("took the decision on another request: %v", decision)
	}
}

func replace(text string, oldnew ...string) string {
	return strings.NewReplacer(oldnew...).Replace(text)
}

func conditionTypes(request v1beta1.ApprovalRequest) string {
	var types []string
	for _, condition := range request.Status.Conditions {
		types = append(types, condition.Type)
	}
	slices.Sort(types)
	return strings.Join(types, " ")
}

func byType(request v1beta1.ApprovalRequest) map[string]metav1.Condition {
	conditions := map[string]metav1.Condition{}
	for _, condition := range request.Status.Conditions {
		conditions[condition.Type] = condition
	}
	return conditions
}

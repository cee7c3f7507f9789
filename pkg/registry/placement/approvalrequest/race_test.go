// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// waysToDecide are calls that approve or reject, but for the user.
var waysToDecide = map[string]func(in scope, name, subresource string) call{
	"post": func(in scope, name, subresource string) call {
		return call{method: http.MethodPost, path: in.path("v1", name, subresource), body: `{}`}
	},
	"put": func(in scope, name, subresource string) call {
		return call{method: http.MethodPut, path: in.path("v1", name, subresource), body: `{"metadata": {"name": "` + name + `"}}`}
	},
	"patch": func(in scope, name, subresource string) call {
		return call{method: http.MethodPatch, contentType: mergePatch, path: in.path("v1", name, subresource), body: `{}`}
	},
	"status": func(in scope, name, subresource string) call {
		status := map[string]string{"approve": "True", "reject": "False"}[subresource]
		return statusPatch(in, "", name, conditionsPatch(approvedCondition(status, "testPassed", "lgtm")))
	},
}

// by is a call by a user, in words of their own: a status write that says what is said already decides nothing.
func by(user string, c call) call {
	c.user, c.body = user, replace(c.body, "lgtm", "lgtm, "+user)
	return c
}

// summary is how a request stands, as "Approved by alice, Rejected by bob: False".
func summary(request v1beta1.ApprovalRequest) string {
	var texts []string
	for _, d := range request.Status.Decisions {
		texts = append(texts, fmt.Sprintf("%s by %s", d.Decision, d.User.Username))
	}
	return strings.Join(texts, ", ") + ": " + string(byType(request)["Approved"].Status)
}

func TestOfTwoDecisionsAtOnceTheFirstStandsAndTheOtherLearnsOfIt(t *testing.T) {
	s := newServer(t)
	const (
		lost     = `Operation cannot be fulfilled on RESOURCE "NAME": already approved by bob at 2026-03-01T12:00:00Z`
		rejected = `Operation cannot be fulfilled on RESOURCE "NAME": already rejected by bob at 2026-03-01T12:00:00Z`
	)
	for name, tt := range map[string]struct {
		policy string
		// alice is what she does, and others what another does while she does it.
		alice, other, others string
		// refused is what alice is told, empty where her decision counts or is there already.
		refused, want string
	}{
		"approve-approve":            {alice: "approve", other: "bob", others: "approve", refused: lost, want: "Approved by bob: True"},
		"approve-reject":             {alice: "approve", other: "bob", others: "reject", refused: rejected, want: "Rejected by bob: False"},
		"reject-approve":             {alice: "reject", other: "bob", others: "approve", refused: lost, want: "Approved by bob: True"},
		"reject-reject":              {alice: "reject", other: "bob", others: "reject", refused: rejected, want: "Rejected by bob: False"},
		"approve-approve-oneself":    {alice: "approve", other: "alice", others: "approve", want: "Approved by alice: True"},
		"reject-reject-oneself":      {alice: "reject", other: "alice", others: "reject", want: "Rejected by alice: False"},
		"two-of-two":                 {policy: `{"required": 2}`, alice: "approve", other: "bob", others: "approve", want: "Approved by bob, Approved by alice: True"},
		"one-of-two-oneself":         {policy: `{"required": 2}`, alice: "approve", other: "alice", others: "approve", want: "Approved by alice: Unknown"},
		"one-of-two-reject":          {policy: `{"required": 2}`, alice: "approve", other: "bob", others: "reject", refused: rejected, want: "Rejected by bob: False"},
		"reject-one-of-two":          {policy: `{"required": 2}`, alice: "reject", other: "bob", others: "approve", want: "Approved by bob, Rejected by alice: False"},
		"the-place-of-the-group":     {policy: `{"required": 2, "groups": ["sre"]}`, alice: "approve", other: "bob", others: "approve", refused: `RESOURCE "NAME" is forbidden: the approval that is missing must be by a member of group sre, and user "alice" is not one`, want: "Approved by bob: Unknown"},
		"one-of-the-group-and-other": {policy: `{"required": 2, "groups": ["people"]}`, alice: "approve", other: "bob", others: "approve", want: "Approved by bob, Approved by alice: True"},
	} {
		for _, in := range scopes {
			for way, decide := range waysToDecide {
				t.Run(strings.Join([]string{in.name, way, name}, "/"), func(t *testing.T) {
					object := way + "-" + name
					if tt.policy == "" {
						tt.policy = "null"
					}
					s.createWithPolicy(t, in, object, tt.policy)
					s.meanwhile = func() { s.mustDo(t, by(tt.other, decide(in, object, tt.others))) }
					code, body := s.do(t, by("alice", decide(in, object, tt.alice)))
					switch {
					case tt.refused != "":
						want := replace(tt.refused, "RESOURCE", in.resource+".placement.kubernetes-fleet.io", "NAME", object)
						expected := http.StatusConflict
						if strings.Contains(want, "forbidden") {
							expected = http.StatusForbidden
						}
						expectRefusal(t, code, body, expected, want)
					case code >= http.StatusBadRequest:
						t.Errorf("alice is refused: %d %s", code, body)
					}
					if got := summary(s.get(t, in, object)); got != tt.want {
						t.Errorf("decided %q, want %q", got, tt.want)
					}
				})
			}
		}
	}
}

// TestWhoeverIsManyAtOnceNoApprovalIsOneTooMany lets users approve at once for real.
func TestWhoeverIsManyAtOnceNoApprovalIsOneTooMany(t *testing.T) {
	s := newServer(t)
	const users = 8
	for _, in := range scopes {
		for required := 1; required <= 3; required++ {
			for way, decide := range waysToDecide {
				name := fmt.Sprintf("%s-%d", way, required)
				t.Run(in.name+"/"+name, func(t *testing.T) {
					s.createWithPolicy(t, in, name, fmt.Sprintf(`{"required": %d}`, required))
					var codes [users]int
					var answers [users]string
					var deciding sync.WaitGroup
					for i := range users {
						deciding.Go(func() {
							codes[i], answers[i] = s.do(t, by(fmt.Sprintf("user-%d", i), decide(in, name, "approve")))
						})
					}
					deciding.Wait()
					request := s.get(t, in, name)
					if got := len(request.Status.Decisions); got != required {
						t.Fatalf("%d decisions, want %d: %s", got, required, summary(request))
					}
					counted := map[string]bool{}
					for _, d := range request.Status.Decisions {
						counted[d.User.Username] = true
					}
					last := request.Status.Decisions[required-1].User.Username
					for i, code := range codes {
						if counted[fmt.Sprintf("user-%d", i)] {
							if code >= http.StatusBadRequest {
								t.Errorf("user-%d counts and is refused: %d %s", i, code, answers[i])
							}
							continue
						}
						expectRefusal(t, code, answers[i], http.StatusConflict, fmt.Sprintf(
							"Operation cannot be fulfilled on %s.placement.kubernetes-fleet.io %q: already approved by %s at 2026-03-01T12:00:00Z", in.resource, name, last))
					}
				})
			}
		}
	}
}

func TestADecisionIsForTheRequestThatWasThere(t *testing.T) {
	s := newServer(t)
	for name, tt := range map[string]struct {
		meanwhile func(t *testing.T, in scope, name string)
		code      int
		message   string
		// want is how the request stands afterwards, empty where there is none.
		want string
	}{
		"deleted": {
			meanwhile: s.remove,
			code:      http.StatusNotFound, message: `RESOURCE "NAME" not found`,
		},
		"being-deleted": {
			meanwhile: func(t *testing.T, in scope, name string) {
				s.mustDo(t, call{user: controllers, method: http.MethodPatch, contentType: mergePatch, path: in.path("v1", name), body: `{"metadata": {"finalizers": ["example.com/wait"]}}`})
				s.remove(t, in, name)
			},
			code: http.StatusConflict, message: `Operation cannot be fulfilled on RESOURCE "NAME": the approval request is being deleted`,
			want: ": ",
		},
		"recreated": {
			meanwhile: func(t *testing.T, in scope, name string) {
				s.remove(t, in, name)
				s.create(t, in, name)
			},
			code: http.StatusConflict, message: `Operation cannot be fulfilled on RESOURCE "NAME": the approval request was deleted and recreated meanwhile`,
			want: ": ",
		},
		"something-else-changed": {
			meanwhile: func(t *testing.T, in scope, name string) {
				s.mustDo(t, call{user: controllers, method: http.MethodPatch, contentType: mergePatch, path: in.path("v1", name), body: `{"metadata": {"labels": {"a": "b"}}}`})
			},
			want: "Approved by alice: True",
		},
	} {
		for _, in := range scopes {
			for way, decide := range waysToDecide {
				t.Run(strings.Join([]string{in.name, way, name}, "/"), func(t *testing.T) {
					object := way + "-" + name
					s.create(t, in, object)
					s.meanwhile = func() { tt.meanwhile(t, in, object) }
					code, body := s.do(t, by("alice", decide(in, object, "approve")))
					if tt.message != "" {
						expectRefusal(t, code, body, tt.code, replace(tt.message, "RESOURCE", in.resource+".placement.kubernetes-fleet.io", "NAME", object))
					} else if code >= http.StatusBadRequest {
						t.Errorf("alice is refused: %d %s", code, body)
					}
					if tt.want == "" {
						return
					}
					if got := summary(s.get(t, in, object)); got != tt.want {
						t.Errorf("decided %q, want %q", got, tt.want)
					}
				})
			}
		}
	}
}

func TestTheApprovalsOfARequestAreNotThoseOfTheNextOfItsName(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for way, decide := range waysToDecide {
			t.Run(in.name+"/"+way, func(t *testing.T) {
				old := s.createWithPolicy(t, in, way, `{"required": 2}`)
				approve := decide(in, way, "approve")
				s.mustDo(t, by("alice", approve))
				stale := s.get(t, in, way)
				s.remove(t, in, way)
				s.createWithPolicy(t, in, way, `{"required": 2}`)

				// What was read of the first is a precondition that the second does not meet.
				for field, value := range map[string]string{"uid": string(old), "resourceVersion": stale.ResourceVersion} {
					c := by("bob", approve)
					body := decode[map[string]any](t, c.body)
					body["metadata"] = map[string]string{"name": way, field: value}
					c.body = encode(t, body)
					wantCode := http.StatusConflict
					if way == "status" && field == "uid" {
						wantCode = http.StatusUnprocessableEntity
					}
					if code, answer := s.do(t, c); code != wantCode {
						t.Errorf("%s of the first: code %d, want %d: %s", field, code, wantCode, answer)
					}
				}
				if got := summary(s.get(t, in, way)); got != ": " {
					t.Errorf("decided %q before anybody has", got)
				}
				s.mustDo(t, by("bob", approve))
				if got, want := summary(s.get(t, in, way)), "Approved by bob: Unknown"; got != want {
					t.Errorf("decided %q, want %q", got, want)
				}
			})
		}
	}
}

func TestAStatusReadBeforeADecisionIsNotWrittenAfterIt(t *testing.T) {
	s := newServer(t)
	for _, in := range scopes {
		for status, outcome := range map[string]string{"True": "approves", "False": "rejects"} {
			t.Run(in.name+"/"+outcome, func(t *testing.T) {
				s.create(t, in, outcome)
				stale := s.get(t, in, outcome)
				s.mustDo(t, call{user: "alice", method: http.MethodPost, path: in.path("v1", outcome, "approve"), body: `{}`})
				before := s.get(t, in, outcome)
				code, body := s.do(t, call{user: "bob", method: http.MethodPut, path: in.path("v1beta1", outcome, "status"), body: `{
					"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "` + in.kind + `",
					"metadata": {"name": "` + outcome + `", "resourceVersion": "` + stale.ResourceVersion + `"},
					"status": {"conditions": [` + approvedCondition(status, "testPassed", "lgtm") + `]}}`})
				if code != http.StatusConflict {
					t.Errorf("code %d, want %d: %s", code, http.StatusConflict, body)
				}
				if diff := cmp.Diff(before, s.get(t, in, outcome)); diff != "" {
					t.Errorf("request changed, -before +after:\n%s", diff)
				}
			})
		}
	}
}

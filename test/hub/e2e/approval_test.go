// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sixGates has a gate before and after each of three stages.
const sixGates = `
  - name: one
    labelSelector: {matchLabels: {environment: staging}}
    beforeStageTasks: [{type: Approval}]
    afterStageTasks: [{type: Approval}]
  - name: two
    labelSelector: {matchLabels: {environment: canary, order: "1"}}
    beforeStageTasks: [{type: Approval}]
    afterStageTasks: [{type: Approval}]
  - name: three
    labelSelector: {matchLabels: {environment: canary, order: "2"}}
    beforeStageTasks: [{type: Approval}]
    afterStageTasks: [{type: Approval}]
`

const (
	approvalsPath = "/apis/placement.kubernetes-fleet.io/v1beta1/clusterapprovalrequests/"

	// seedPatch is the tutorial's way to approve.
	seedPatch = `{"status":{"conditions":[{"lastTransitionTime":"2025-07-22T21:31:13Z","message":"lgtm",` +
		`"observedGeneration":1,"reason":"testPassed","status":"True","type":"Approved"}]}}`
)

// waysToApprove are scripts that approve a request.
var waysToApprove = []struct{ name, comment, script string }{
	{"patch of approve", "by patch", `kubectl patch careq %s --subresource=approve --type=merge -p '{"spec":{"comment":"by patch"}}'`},
	{"post to approve", "by post", `echo '{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"Approval","spec":{"comment":"by post"}}' |
		kubectl create --raw ` + approvalsPath + `%s/approve -f -`},
	{"put to approve", "by put", `echo '{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"Approval","metadata":{"name":"%[1]s"},"spec":{"comment":"by put"}}' |
		kubectl replace --raw ` + approvalsPath + `%[1]s/approve -f -`},
	{"patch of the status", "lgtm", `kubectl patch careq %s --subresource=status --type=merge -p '` + seedPatch + `'`},
}

// testApproval approves in every way as a user who may, after users who may not have tried in every way, and before another
// user tries the same.
func testApproval(t *testing.T, s *suite) {
	r := s.newRollout(t, "approval", sixGates)
	s.grant(t, "alice", "stagegate-approver")
	s.grant(t, "bob", "stagegate-approver")
	s.grant(t, "viewer", "stagegate-view")
	// One who may use all paths and not decide.
	s.hub().mustCreate(t, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-almost-approver}
rules:
- apiGroups: [placement.kubernetes-fleet.io]
  resources: [clusterapprovalrequests, clusterapprovalrequests/approve, clusterapprovalrequests/status]
  verbs: [get, create, patch]
- apiGroups: [placement.kubernetes-fleet.io]
  resources: [clusterapprovalrequests/status]
  verbs: [update]
`)
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete clusterrole e2e-almost-approver") })
	s.grant(t, "eve", "e2e-almost-approver")

	r.start(t, "approval", 0, "Run")
	gates := []string{
		"approval-before-one", "approval-after-one", "approval-before-two",
		"approval-after-two", "approval-before-three", "approval-after-three",
	}
	for i, gate := range gates {
		s.mustRun(t, fmt.Sprintf("kubectl wait careq/%s --for=create --timeout=%s", gate, patience))
		if i == 0 {
			for _, user := range []string{"viewer", "eve"} {
				for _, way := range waysToApprove {
					s.refused(t, user, fmt.Sprintf(way.script, gate), "(Forbidden)")
				}
			}
			s.forge(t, gate)
			s.undecided(t, gate)
		}
		way := waysToApprove[i%len(waysToApprove)]
		if _, err := s.run(t.Context(), "alice", fmt.Sprintf(way.script, gate)); err != nil {
			t.Fatalf("alice approves %s by %s: %v", gate, way.name, err)
		}
		s.decided(t, gate, decision{Decision: "Approved", Username: "alice", Comment: way.comment})
		for _, other := range waysToApprove {
			s.refused(t, "bob", differently(fmt.Sprintf(other.script, gate)), "already approved by alice at ")
		}
		s.decided(t, gate, decision{Decision: "Approved", Username: "alice", Comment: way.comment})
		// The same user repeating it is told so, not refused.
		if _, err := s.run(t.Context(), "alice", fmt.Sprintf(way.script, gate)); err != nil {
			t.Errorf("alice approves %s again by %s: %v", gate, way.name, err)
		}
	}
	r.succeeds(t, "approval", "value1")
	for _, gate := range gates {
		obj, err := s.hub().get(t.Context(), kindApproval, "", gate)
		if err != nil {
			t.Fatal(err)
		}
		if err := condition(obj, "ApprovalAccepted", "True", ""); err != nil {
			t.Error(err)
		}
	}
}

// differently approves in other words: a write that leaves the condition as it is decides nothing and is not refused.
func differently(script string) string { return strings.ReplaceAll(script, "lgtm", "fine by me") }

// forge writes what only the server may.
func (s *suite) forge(t *testing.T, gate string) {
	t.Helper()
	patch := func(status string) string {
		return fmt.Sprintf(`kubectl patch careq %s --subresource=status --type=merge -p '{"status":%s}'`, gate, status)
	}
	for _, user := range []string{"alice", "eve"} {
		s.refused(t, user, patch(`{"conditions":[{"lastTransitionTime":"2025-07-22T21:31:13Z","message":"","reason":"Forged",`+
			`"status":"True","type":"ApprovalAccepted"}]}`), "the condition ApprovalAccepted is set by the server")
		// What is forged here is left out, not refused: clients that do not know of decisions may send none.
		if _, err := s.run(t.Context(), user, patch(`{"decisions":[{"decision":"Approved","user":{"username":"alice"},`+
			`"time":"2025-07-22T21:31:13Z","requestUID":"x"}]}`)); err != nil {
			t.Errorf("%s patches decisions: %v", user, err)
		}
	}
	s.undecided(t, gate)
}

// testRejection rejects a stage, which ends the run.
func testRejection(t *testing.T, s *suite) {
	r := s.newRollout(t, "rejection", sixGates)
	s.grant(t, "alice", "stagegate-approver")
	s.grant(t, "bob", "stagegate-approver")
	r.start(t, "rejection", 0, "Run")
	const gate = "rejection-before-one"
	s.mustRun(t, fmt.Sprintf("kubectl wait careq/%s --for=create --timeout=%s", gate, patience))
	if _, err := s.run(t.Context(), "alice", `kubectl patch careq `+gate+` --subresource=reject --type=merge -p '{"spec":{"comment":"no"}}'`); err != nil {
		t.Fatal(err)
	}
	s.decided(t, gate, decision{Decision: "Rejected", Username: "alice", Comment: "no"})
	for _, way := range waysToApprove {
		s.refused(t, "bob", differently(fmt.Sprintf(way.script, gate)), "already rejected by alice at ")
	}
	r.awaitRun(t, "rejection", all(
		has("Progressing", "False", "UpdateRunRejected"),
		has("Succeeded", "False", "UpdateRunRejected"),
		func(run runStatus) error {
			failed, err := findCondition(run.object, "Succeeded")
			if err == nil && (!strings.Contains(failed.Message, "alice") || !strings.Contains(failed.Message, "no")) {
				err = fmt.Errorf("the message does not say who rejected and why: %s", failed.Message)
			}
			return err
		},
	))
	if err := s.values(t.Context(), r.name, "settings", onAll("")); err != nil {
		t.Error(err)
	}
	// Who waits for any end is not left waiting by this one.
	s.mustRun(t, fmt.Sprintf("kubectl wait csur/rejection --for=jsonpath='{.status.outcome}' --timeout=%s", patience))
	if outcome := s.mustRun(t, "kubectl get csur rejection -o jsonpath='{.status.outcome}'"); outcome != "Rejected" {
		t.Errorf("the outcome is %q", outcome)
	}
}

// twoEyes has a gate that takes two, one of them of the group sre, and none of them who has created the run.
const twoEyes = `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
    beforeStageTasks:
    - {type: Approval, approval: {required: 2, groups: [sre], allowRequester: false, expiresAfter: 24h}}
`

// testApprovalPolicy goes through the hub, whose names and groups of users are what the policy is held against.
func testApprovalPolicy(t *testing.T, s *suite) {
	r := s.newRollout(t, "quorum", twoEyes)
	for _, user := range []string{"alice", "bob", "carol", "sue"} {
		s.grant(t, user, "stagegate-approver")
	}
	s.mustRun(t, "kubectl create clusterrolebinding e2e-alice-edits --clusterrole=stagegate-edit --user=alice")
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete clusterrolebinding e2e-alice-edits") })
	s.awaitPermission(t, "alice", "", "create", "clusterstagedupdateruns")
	if _, err := s.run(t.Context(), "alice", "kubectl create -f - <<'EOF'\n"+r.runManifest("quorum", 0, "Run")+"EOF"); err != nil {
		t.Fatal(err)
	}
	const gate = "quorum-before-all"
	s.mustRun(t, fmt.Sprintf("kubectl wait careq/%s --for=create --timeout=%s", gate, patience))
	approve := func(comment string) string {
		return fmt.Sprintf(`kubectl patch careq %s --subresource=approve --type=merge -p '{"spec":{"comment":"%s"}}'`, gate, comment)
	}
	s.refused(t, "alice", approve("mine"), `user "alice" has created the run, and the approval must be by others`)
	if _, err := s.run(t.Context(), "bob", approve("first")); err != nil {
		t.Fatal(err)
	}
	s.refused(t, "carol", approve("second"), `the approval that is missing must be by a member of group sre, and user "carol" is not one`)
	const missing = "1 of 2 approvals, one of them must be by a member of group sre"
	r.awaitRun(t, "quorum", all(has("Progressing", "False", "UpdateRunWaiting"), func(run runStatus) error {
		waiting, err := findCondition(run.object, "Progressing")
		if err == nil && !strings.HasSuffix(waiting.Message, gate+" has "+missing) {
			err = fmt.Errorf("the run does not say what is missing: %s", waiting.Message)
		}
		return err
	}))
	for _, command := range []string{"kubectl get csur quorum -o wide", "kubectl get careq -o wide"} {
		if out := s.mustRun(t, command); !strings.Contains(out, missing) {
			t.Errorf("%s does not say what is missing:\n%s", command, out)
		}
	}
	// Who is of a group is for the hub to say: here it lets an administrator speak for a member.
	s.mustRun(t, approve("second")+" --as=sue --as-group=sre --as-group=system:authenticated")
	s.decided(t, gate, decision{"Approved", "bob", "first"}, decision{"Approved", "sue", "second"})
	r.succeeds(t, "quorum", "value1")
}

// grant makes a user of the hub and binds the role in all namespaces, until the test ends.
func (s *suite) grant(t *testing.T, user, role string) {
	t.Helper()
	s.grantWith(t, user, role, "clusterapprovalrequests")
}

// grantWith is grant for a role that lets users read a resource.
func (s *suite) grantWith(t *testing.T, user, role, resource string) {
	t.Helper()
	if _, err := s.environment.User(user); err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, fmt.Sprintf("kubectl create clusterrolebinding e2e-%[1]s --clusterrole=%[2]s --user=%[1]s", user, role))
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete clusterrolebinding e2e-"+user) })
	s.awaitPermission(t, user, "", "get", resource)
}

// refused holds that a script fails for a user with an error that contains why.
func (s *suite) refused(t *testing.T, user, script, why string) {
	t.Helper()
	out, err := s.run(t.Context(), user, script)
	if err == nil {
		t.Errorf("%s: %s\nwas not refused:\n%s", user, script, out)
	} else if !strings.Contains(err.Error(), why) {
		t.Errorf("%s: %s\nwas refused with\n%v\nwant %q", user, script, err, why)
	}
}

// decision is what the server records of a decision and the tests know beforehand.
type decision struct{ Decision, Username, Comment string }

func (s *suite) decided(t *testing.T, request string, want ...decision) {
	t.Helper()
	obj, err := s.hub().get(t.Context(), kindApproval, "", request)
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		Decisions []struct {
			Decision   string `json:"decision"`
			Comment    string `json:"comment"`
			Time       string `json:"time"`
			RequestUID string `json:"requestUID"`
			User       struct {
				Username string   `json:"username"`
				Groups   []string `json:"groups"`
			} `json:"user"`
		} `json:"decisions"`
	}
	if err := decode(obj.Object["status"], &status); err != nil {
		t.Fatal(err)
	}
	var got []decision
	for _, d := range status.Decisions {
		got = append(got, decision{d.Decision, d.User.Username, d.Comment})
		if d.RequestUID != string(obj.GetUID()) || d.Time < obj.GetCreationTimestamp().UTC().Format("2006-01-02T15:04:05Z") ||
			!slices.Contains(d.User.Groups, "system:authenticated") {
			t.Errorf("decision on %s, created %s with uid %s, is not stamped by the server: %+v",
				request, obj.GetCreationTimestamp(), obj.GetUID(), d)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decisions on %s (-want +got):\n%s", request, diff)
	}
}

func (s *suite) undecided(t *testing.T, request string) {
	t.Helper()
	s.decided(t, request)
	obj, err := s.hub().get(t.Context(), kindApproval, "", request)
	if err != nil {
		t.Fatal(err)
	}
	for _, conditionType := range []string{"Approved", "ApprovalAccepted"} {
		if found, err := findCondition(obj, conditionType); err == nil {
			t.Errorf("%s has condition %s %s", request, conditionType, found.Status)
		}
	}
}

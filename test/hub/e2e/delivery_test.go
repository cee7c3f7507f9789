// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Who works on a member, by the names that it records.
const (
	serverOnMember = "system:serviceaccount:fleet-system:stagegate"
	agentOnMember  = "system:serviceaccount:stagegate-system:stagegate-member-agent"
)

// testDeliveryDuringRun has a member change from push to pull and back, each time while a run is between clusters of one stage and this member
// is to come. The run ends, each side writes to the member in its time only and what has changed only, and the server does not ask a member
// that is pulled for anything, though it has the way there.
func testDeliveryDuringRun(t *testing.T, s *suite) {
	const name = "delivery"
	a := newAgents(t, s)
	r := s.newRollout(t, name, "\n  - {name: all, labelSelector: {}, maxConcurrency: 1}\n", gate)
	a.name = name
	r.start(t, name+"-0", 0, "Run")
	for _, member := range s.environment.Members() {
		r.release(t, member)
	}
	r.succeeds(t, name+"-0", "value1")
	objects := append(a.objects(), object{kindService, name, "gate"})
	before := s.awaitUIDs(t, []string{pullMember}, objects)

	var pulled time.Time
	a.moveDuringRun(t, r, 1, agentOnMember, func() {
		s.mustRun(t, pullAlone)
		a.awaitRights(t)
		pulled = time.Now()
		a.install(t, "", s.firstToken(t))
		a.start(t)
		a.start(t)
		a.tells(t, "/metrics", http.StatusOK, "\nstagegate_agent_hub_watches 2\n")
	})
	s.sameUIDs(t, before, []string{pullMember}, objects)
	a.visited(t, pulled, time.Now())

	// The agents stay.
	a.moveDuringRun(t, r, 2, serverOnMember, func() { s.mustRun(t, a.push) })
	s.sameUIDs(t, before, []string{pullMember}, objects)
	a.kill()
}

// moveDuringRun has the run of an index reach the second of three members, then has the member of the agents change hands, and the run go on
// to it. by is who works on it from then on.
func (a *agents) moveDuringRun(t *testing.T, r rollout, index int, by string, move func()) {
	t.Helper()
	run, value := fmt.Sprintf("%s-%d", r.name, index), fmt.Sprintf("value%d", index+1)
	for _, member := range a.environment.Members() {
		a.clusters[member].mustPatch(t, kindService, r.name, "gate", `{"status":{"loadBalancer":{"ingress":null}}}`, "status")
	}
	r.change(t, value, index)
	r.start(t, run, index, "Run")
	r.release(t, "member1")
	r.awaitRun(t, run, all(clusterIs("member1", "Succeeded"), clusterIs("member2", "Started"), clusterIs(pullMember, "")))

	versions := a.versions(t)
	since := time.Now()
	move()
	a.awaitVisit(t, by, since, "/api/v1/namespaces/"+r.name+"/configmaps/settings")
	if now := a.versions(t); now != versions {
		t.Errorf("what is on the member was written to as it changed hands: versions were %s and are %s", versions, now)
	}
	r.awaitRun(t, run, all(clusterIs("member2", "Started"), clusterIs(pullMember, "")))
	r.release(t, "member2")
	a.has(t, value)
	r.release(t, pullMember)
	r.succeeds(t, run, value)
	a.is(t, "Healthy", "True", "MemberClusterHealthy", "")

	wrote := map[string][]string{}
	a.eachEvent(t, since, time.Now(), func(e auditEvent) {
		user := e.User.Username
		if (user == serverOnMember || user == agentOnMember) && e.ObjectRef != nil && !slices.Contains([]string{"get", "list", "watch"}, e.Verb) &&
			(e.ObjectRef.Namespace == r.name || e.ObjectRef.Resource == "namespaces" || e.Verb == "delete") {
			wrote[user] = append(wrote[user], e.Verb+" "+e.RequestURI)
		}
	})
	for user, writes := range wrote {
		if user != by {
			t.Errorf("%s has written to the member of %s: %v", user, by, writes)
		}
		for _, write := range writes {
			if !strings.Contains(write, "/configmaps/settings") {
				t.Errorf("%s: %s, and nothing has changed but the ConfigMap", user, write)
			}
		}
	}
	if len(wrote[by]) != 1 {
		t.Errorf("%s has written %v, want one write", by, wrote[by])
	}
}

// versions of what is placed on the member.
func (a *agents) versions(t *testing.T) string {
	t.Helper()
	return a.mustRunOn(t, fmt.Sprintf("kubectl get ns/%[1]s -o jsonpath='{.metadata.resourceVersion} ' && kubectl -n %[1]s get cm/settings svc/gate "+
		"-o jsonpath='{.items[*].metadata.resourceVersion}'", a.name))
}

// eachEvent calls a function for each request that the member has recorded at a time.
func (a *agents) eachEvent(t *testing.T, from, until time.Time, do func(auditEvent)) {
	t.Helper()
	// Beside the log there may be the one before it, with a time in its name.
	logs, err := filepath.Glob(strings.TrimSuffix(a.environment.AuditLog(a.member), ".log") + "*.log")
	if err != nil || len(logs) == 0 {
		t.Fatalf("%s has no audit log: %v", a.member, err)
	}
	for _, path := range logs {
		if err := eachLine(path, func(line string) error {
			var event auditEvent
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				return err
			}
			if at := event.StageTimestamp.Time; at.After(from) && at.Before(until) {
				do(event)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitVisit waits until a user has read something on the member. A log has no events to wait for.
func (a *agents) awaitVisit(t *testing.T, user string, since time.Time, path string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		found := false
		a.eachEvent(t, since, time.Now(), func(e auditEvent) {
			found = found || e.User.Username == user && e.Verb == "get" && e.RequestURI == path
		})
		return found, nil
	})
	if err != nil {
		t.Fatalf("%s has not read %s on %s: %v", user, path, a.member, err)
	}
}

// visited holds that the member has heard of its agent in a time, and of nobody else but itself and these tests.
func (a *agents) visited(t *testing.T, from, until time.Time) {
	t.Helper()
	requests := map[string]int{}
	a.eachEvent(t, from, until, func(e auditEvent) {
		user := e.User.Username
		requests[user]++
		isOwn := strings.HasPrefix(user, "system:serviceaccount:kube-system:") || slices.Contains([]string{
			"system:apiserver", "system:kube-controller-manager",
			// Who asks whether the process is up.
			"system:anonymous",
		}, user)
		isTest := user == "admin" && !strings.HasPrefix(e.UserAgent, serverProcess)
		if user != agentOnMember && !isOwn && !isTest {
			t.Errorf("%s, %s, has asked a member that is pulled for %s %s at %s", user, e.UserAgent, e.Verb, e.RequestURI, e.StageTimestamp)
		}
	})
	if requests[agentOnMember] == 0 {
		t.Errorf("the member has not heard of its agent: %v", requests)
	}
	t.Logf("requests to %s in %s while it was pulled: %v", a.member, until.Sub(from).Round(time.Second), requests)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"
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

// unusedRights are those of the least role that a test does not see used, with the reason why the agent needs them all the same.
var unusedRights = map[string]string{
	"update placement.kubernetes-fleet.io/appliedworks/finalizers": "An admission plugin asks for it that no cluster has here.",
	"list apiextensions.k8s.io/customresourcedefinitions":          "Older API servers do not send in a watch what there is.",
}

// testAgentHasTheRightsItNeeds has an agent serve a cluster that has never been a member from its beginning to its end, with the least role in
// place of cluster-admin. By what the cluster has recorded, nothing was forbidden to the agent, and it has used each right.
func testAgentHasTheRightsItNeeds(t *testing.T, s *suite) {
	const name = "least"
	a := newAgents(t, s)
	t.Cleanup(func() { s.up(t) })
	s.mustRun(t, "kubectl delete membercluster "+pullMember)
	s.eventuallyGone(t, t.Context(), kindNamespace, pullNamespace)
	a.mustRunOn(t, "kubectl delete crd appliedworks.placement.kubernetes-fleet.io")
	t.Cleanup(func() {
		a.cleanUpOn(t, "kubectl delete clusterrole,clusterrolebinding stagegate-member-agent-least placed --ignore-not-found; kubectl delete node "+name+
			" --ignore-not-found; kubectl delete ns "+name+" --ignore-not-found --wait=false")
	})

	// Without nodes nobody asks for Pods.
	a.mustRunOn(t, "echo '{apiVersion: v1, kind: Node, metadata: {name: "+name+"}}' | kubectl create -f -")

	since := time.Now()
	s.mustRun(t, fmt.Sprintf(`kubectl apply -f - << EOF
apiVersion: cluster.kubernetes-fleet.io/v1beta1
kind: MemberCluster
metadata:
  name: %s
  labels: {environment: canary, order: "1"}
  annotations: {kubernetes-fleet.io/delivery: Pull}
spec:
  heartbeatPeriodSeconds: 1
  identity: {kind: ServiceAccount, namespace: %s, name: agent}
EOF`, pullMember, pullNamespace))
	a.awaitRights(t)
	a.install(t, fmt.Sprintf(`kubectl delete clusterrolebinding stagegate-member-agent
kubectl apply -f %s
kubectl create clusterrole placed --resource=namespaces,configmaps --verb=get,list,watch,create,update,patch,delete
for role in stagegate-member-agent-least placed; do
  kubectl create clusterrolebinding $role --clusterrole=$role --serviceaccount=stagegate-system:stagegate-member-agent
done`, filepath.Join(s.options.Root, "artifacts", "member-agent", "least.yaml")), s.firstToken(t))
	a.start(t)
	a.is(t, "Joined", "True", "", "")
	a.is(t, "ClusterPropertyCollectionSucceeded", "True", "PropertiesCollected", "")
	a.is(t, "NamespaceCollectionSucceeded", "True", "Succeeded", "")
	a.placedOn = s.placeOn(t, name, pullMember)
	a.change(t, "value2")
	a.has(t, "value2")
	s.mustRun(t, "kubectl delete cm settings -n "+name)
	a.has(t, "")
	s.mustRun(t, "kubectl create cm settings -n "+name+" --from-literal=key=value3")
	a.has(t, "value3")
	before := s.awaitUIDs(t, []string{pullMember}, a.objects())
	s.mustRun(t, "kubectl delete membercluster "+pullMember)
	s.sameUIDs(t, before, []string{pullMember}, a.objects())
	// It comes back by push, and nothing of what it has is in the way.
	a.kill()
	s.up(t)
	a.change(t, "value4")
	a.has(t, "value4")

	used := map[string]bool{}
	a.eachEvent(t, since, time.Now(), func(e auditEvent) {
		if e.User.Username != agentOnMember {
			return
		}
		right := e.Verb + " " + e.RequestURI
		if ref := e.ObjectRef; ref != nil {
			right = e.Verb + " " + rightTo(ref.APIGroup, ref.Resource, ref.Subresource)
		}
		used[right] = true
		if e.ResponseStatus.Code == http.StatusForbidden && !strings.Contains(e.ResponseStatus.Message, "because it is being terminated") {
			t.Errorf("the member has forbidden the agent to %s %s: %s", e.Verb, e.RequestURI, e.ResponseStatus.Message)
		}
	})
	for _, right := range s.rightsOfAgents(t) {
		if reason := unusedRights[right]; used[right] == (reason != "") {
			t.Errorf("%s is used: %v, and would be unused because: %q", right, used[right], reason)
		}
	}
}

func rightTo(group, resource, subresource string) string {
	right := resource
	if group != "" {
		right = group + "/" + right
	}
	if subresource != "" {
		right += "/" + subresource
	}
	return right
}

// rightsOfAgents are those of the manifests for members, but for cluster-admin.
func (s *suite) rightsOfAgents(t *testing.T) []string {
	t.Helper()
	var rights []string
	for _, file := range []string{"least.yaml", "rbac.yaml"} {
		data, err := os.ReadFile(filepath.Join(s.options.Root, "artifacts", "member-agent", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range strings.Split(string(data), "\n---\n") {
			var role rbacv1.Role
			if err := yaml.Unmarshal([]byte(text), &role); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, rule := range role.Rules {
				for _, verb := range rule.Verbs {
					for _, path := range rule.NonResourceURLs {
						rights = append(rights, verb+" "+path)
					}
					for _, resource := range rule.Resources {
						resource, subresource, _ := strings.Cut(resource, "/")
						rights = append(rights, verb+" "+rightTo(rule.APIGroups[0], resource, subresource))
					}
				}
			}
		}
	}
	return rights
}

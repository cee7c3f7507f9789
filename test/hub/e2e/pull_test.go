// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/stagegate/stagegate/test/hub"
)

const (
	pullMember    = "member3"
	pullNamespace = "fleet-member-" + pullMember
	// pullIdentity makes an agent serve the member, pushIdentity the server.
	pullIdentity = `{"metadata":{"annotations":{"kubernetes-fleet.io/delivery":"Pull"}},"spec":{"heartbeatPeriodSeconds":1,` +
		`"identity":{"kind":"ServiceAccount","name":"agent","namespace":"` + pullNamespace + `"}}}`
	pushIdentity = `{"metadata":{"annotations":{"kubernetes-fleet.io/delivery":null}},"spec":{"heartbeatPeriodSeconds":60,` +
		`"identity":{"kind":"ServiceAccount","name":"` + pullMember + `-agent","namespace":"fleet-system"}}}`
	// pullAlone leaves the server its kubeconfig, with which it does nothing then.
	pullAlone = "kubectl patch membercluster " + pullMember + " --type=merge -p '" + pullIdentity + "'"
)

// agents are processes of the agent on the member, with no more rights there than its manifests give.
type agents struct {
	placedOn
	binary, kubeconfig, log string
	running                 []*exec.Cmd
	// health are the addresses at which they tell how they fare.
	health []string
	// hubAt is the address of the hub, and its authority in base64.
	hubAt []string
	// push has the server serve the member, and gives it the way there.
	push string
}

// start starts one more agent.
func (a *agents) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	address := freeAddress(t)
	cmd := exec.Command(a.binary, "--cluster="+pullMember, "--kubeconfig="+a.kubeconfig, "--health-bind-address="+address, "-v=2")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.running, a.health = append(a.running, cmd), append(a.health, address)
}

// freeAddress is one on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// tells waits until one of the agents answers a GET of a path with the status and the words. There is no event for it.
func (a *agents) tells(t *testing.T, path string, status int, words string) {
	t.Helper()
	var last []string
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = nil
		for _, address := range a.health {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
			if err != nil {
				return false, err
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				last = append(last, err.Error())
				continue
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err == nil && response.StatusCode == status && strings.Contains(string(body), words) {
				return true, nil
			}
			last = append(last, fmt.Sprintf("%d %.500s %v", response.StatusCode, body, err))
		}
		return false, nil
	})
	if err != nil {
		t.Fatalf("no agent answers GET %s with %d and %q: %v: %q", path, status, words, err, last)
	}
}

// says waits until the log of the agents has the words. A log has no events to wait for.
func (a *agents) says(t *testing.T, words string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		data, err := os.ReadFile(a.log)
		return strings.Contains(string(data), words), err
	})
	if err != nil {
		t.Fatalf("the agents do not say %q: %v", words, err)
	}
}

// kill ends all agents without a chance to do anything.
func (a *agents) kill() {
	for _, cmd := range a.running {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	a.running, a.health = nil, nil
}

// token is the one that the agents have now.
func (a *agents) token(t *testing.T) string {
	t.Helper()
	return a.mustRunOn(t, "kubectl -n stagegate-system get secret stagegate-hub -o jsonpath='{.data.token}' | base64 -d")
}

// testPullMember has an agent serve a member beside two that the server reaches: the server has no way to it. The tutorial plays, agents and the
// hub are killed, stolen tokens get nowhere, tokens end, and the member goes to push and back with all that is placed there. Nothing of that
// is ever recreated.
func testPullMember(t *testing.T, s *suite) {
	a := newAgents(t, s)
	// The server loses its way to the member, and the member gets one to the hub.
	pull := pullAlone + " && kubectl -n fleet-system delete secret member-" + pullMember
	s.mustRun(t, pull)
	a.awaitRights(t)
	first, pulled := s.firstToken(t), time.Now()
	a.install(t, "", first)
	a.is(t, "Healthy", "False", "MemberAgentHeartbeatLost", "was not heard of since")
	a.start(t)
	a.start(t)
	a.is(t, "Healthy", "True", "MemberClusterHealthy", "")
	s.eventually(t, func() error {
		if out := s.mustRun(t, "kubectl get membercluster "+pullMember+" -o wide"); !strings.Contains(out, "Pull") {
			return fmt.Errorf("shown as\n%s", out)
		}
		if a.token(t) == first {
			return errors.New("the first token is not replaced")
		}
		return nil
	})
	t.Run("TutorialClusterScoped", func(t *testing.T) { testTutorialClusterScoped(t, s) })
	t.Run("TutorialNamespaced", func(t *testing.T) { testTutorialNamespaced(t, s) })

	a.visited(t, pulled, time.Now())

	// To push, with agents that are there still and have no rights any more, and back.
	s.mustRun(t, a.push)
	a.is(t, "Healthy", "True", "MemberClusterHealthy", "")
	if out, err := s.run(t.Context(), hub.HubName, "kubectl -n "+pullNamespace+" get rolebinding stagegate-member-agent"); err == nil {
		t.Errorf("the agent has its rights still: %s", out)
	}
	a.placedOn = s.placeOn(t, "pull-member", pullMember)
	before := s.awaitUIDs(t, []string{pullMember}, a.objects())
	works := a.mustRunOn(t, "kubectl get appliedworks -o jsonpath='{.items[*].metadata.uid}'")
	s.mustRun(t, pull)
	a.change(t, "value2")
	a.has(t, "value2")
	if after := a.mustRunOn(t, "kubectl get appliedworks -o jsonpath='{.items[*].metadata.uid}'"); after != works {
		t.Errorf("AppliedWorks were %v and are %v", works, after)
	}
	t.Run("StolenToken", func(t *testing.T) { testStolenToken(t, a, a.token(t)) })

	// Somebody on the member deletes the AppliedWork. The agent notes that in the Work, and recreates it.
	const appliedWork = "pull-member-work"
	lost := a.mustRunOn(t, "kubectl get appliedwork "+appliedWork+" -o jsonpath='{.metadata.uid}'")
	a.mustRunOn(t, "kubectl delete appliedwork "+appliedWork+" --wait=false")
	s.eventually(t, func() error {
		owner, err := s.clusters[pullMember].get(t.Context(), kindAppliedWork, "", appliedWork)
		if err != nil {
			return err
		}
		for _, o := range a.objects() {
			live, err := s.clusters[pullMember].get(t.Context(), o.kind, o.namespace, o.name)
			if err != nil {
				return err
			}
			if refs := live.GetOwnerReferences(); string(owner.GetUID()) == lost || len(refs) != 1 || refs[0].UID != owner.GetUID() {
				return fmt.Errorf("%s %s is owned by %v", o.kind.Kind, o.name, refs)
			}
		}
		if note := s.mustRun(t, "kubectl -n "+pullNamespace+" get work "+appliedWork+` -o jsonpath='{.metadata.annotations.kubernetes-fleet\.io/lost-applied-work}'`); note != "" {
			return fmt.Errorf("the Work notes a loss still: %s", note)
		}
		return nil
	})
	s.sameUIDs(t, before, []string{pullMember}, a.objects())
	works = a.mustRunOn(t, "kubectl get appliedworks -o jsonpath='{.items[*].metadata.uid}'")

	// Killed while it works.
	for i := range 3 {
		value := fmt.Sprintf("killed%d", i)
		a.change(t, value)
		time.Sleep(time.Duration(i) * 100 * time.Millisecond)
		a.kill()
		a.start(t)
		a.has(t, value)
	}
	s.sameUIDs(t, before, []string{pullMember}, a.objects())

	// It takes the agent half a minute to say so.
	t.Run("AwayForLongerThanItsToken", func(t *testing.T) { a.outlivesItsToken(t, before) })

	// The hub is away for as long as a node of it takes to come back.
	s.kill(t, "hub-apiserver")
	time.Sleep(time.Minute)
	s.sameUIDs(t, before, []string{pullMember}, a.objects())
	s.up(t)
	a.change(t, "value4")
	a.has(t, "value4")
	a.is(t, "Healthy", "True", "MemberClusterHealthy", "")

	t.Run("Replayed", func(t *testing.T) { a.replay(t) })

	// Its access is ended, and the server takes over.
	stolen := a.hubAs(t, a.token(t))
	s.mustRun(t, "kubectl -n "+pullNamespace+" delete serviceaccount agent")
	s.eventually(t, func() error {
		if _, err := stolen("-n " + pullNamespace + " get works"); err == nil || !strings.Contains(err.Error(), "nauthorized") && !strings.Contains(err.Error(), "must be logged in") {
			return fmt.Errorf("a token outlives its ServiceAccount: %w", err)
		}
		return nil
	})
	a.says(t, "the hub does not accept the token")
	s.mustRun(t, a.push)
	a.change(t, "value5")
	a.has(t, "value5")
	a.is(t, "Healthy", "True", "MemberClusterHealthy", "")
	s.sameUIDs(t, before, []string{pullMember}, a.objects())
	if after := a.mustRunOn(t, "kubectl get appliedworks -o jsonpath='{.items[*].metadata.uid}'"); after != works {
		t.Errorf("AppliedWorks were %v and are %v", works, after)
	}
}

// newAgents returns agents that are not installed yet. When the test ends the server serves the member as before.
func newAgents(t *testing.T, s *suite) *agents {
	t.Helper()
	dir := t.TempDir()
	a := &agents{
		placedOn: placedOn{s, "", pullMember}, log: filepath.Join(dir, "agent.log"),
		binary: filepath.Join(dir, "stagegate-member-agent"), kubeconfig: filepath.Join(dir, "member.kubeconfig"),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agents say:\n%s", tail(a.log))
		}
	})
	build := exec.Command("go", "build", "-o", a.binary, "./cmd/memberagent")
	build.Dir = s.options.Root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.hubAt = strings.Fields(s.mustRun(t, "kubectl config view --raw --minify -o jsonpath='{.clusters[0].cluster.server} {.clusters[0].cluster.certificate-authority-data}'"))
	if len(a.hubAt) != 2 {
		t.Fatalf("the kubeconfig of the hub has %d of server and authority", len(a.hubAt))
	}
	encoded := s.mustRun(t, "kubectl -n fleet-system get secret member-"+pullMember+" -o jsonpath='{.data.kubeconfig}'")
	a.push = fmt.Sprintf("kubectl -n fleet-system create secret generic member-%[1]s --dry-run=client -o yaml | kubectl apply -f - >/dev/null && "+
		`kubectl -n fleet-system patch secret member-%[1]s --type=merge -p '{"data":{"kubeconfig":"%[2]s"}}' && kubectl patch membercluster %[1]s --type=merge -p '%[3]s'`,
		pullMember, encoded, pushIdentity)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, a.push+" && kubectl -n "+pullNamespace+" delete serviceaccount agent --ignore-not-found")
	})
	t.Cleanup(a.kill)
	return a
}

// awaitRights waits until the agent has its rights on the hub.
func (a *agents) awaitRights(t *testing.T) {
	t.Helper()
	a.suite.mustRun(t, fmt.Sprintf("kubectl -n %s wait rolebinding/stagegate-member-agent --for=create --timeout=%s", pullNamespace, patience))
}

// outlivesItsToken has the agent away for so long that its token has ended. It says what to do, and the hub since when it is silent; with
// another token it goes on.
func (a *agents) outlivesItsToken(t *testing.T, before map[string]types.UID) {
	a.kill()
	silent := time.Now().Truncate(time.Second)
	now := time.Now()
	expired, err := a.environment.Token(t.Context(), hub.HubName, pullNamespace, "agent", now.Add(-2*time.Hour), now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	valid, err := a.environment.Token(t.Context(), hub.HubName, pullNamespace, "agent", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.hubAs(t, valid)("-n " + pullNamespace + " get works"); err != nil {
		t.Fatalf("a token that the hub would give is not accepted: %v", err)
	}
	a.setToken(t, expired)
	a.start(t)
	a.change(t, "value3")
	a.is(t, "Healthy", "False", "MemberAgentHeartbeatLost", "was not heard of since")
	obj, err := a.hub().get(t.Context(), kindMemberCluster, "", pullMember)
	if err != nil {
		t.Fatal(err)
	}
	said, err := findCondition(obj, "Healthy")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(said.Message, "was not heard of since ")
	text, _, _ := strings.Cut(rest, ";")
	// Its heartbeats are a second apart.
	if since, err := time.Parse(time.RFC3339, text); err != nil || since.Before(silent.Add(-5*time.Second)) || since.After(silent.Add(5*time.Second)) {
		t.Errorf("the agent is silent since %s, and the message is %q (%v)", silent.UTC().Format(time.RFC3339), said.Message, err)
	}
	const todo = "the hub does not accept the token, which has ended or was revoked: make another one on the hub (kubectl -n " + pullNamespace +
		" create token agent --duration=1h), and put it in Secret stagegate-system/stagegate-hub of this cluster, key \"token\""
	a.says(t, strings.ReplaceAll(todo, `"`, `\"`))
	a.tells(t, "/readyz", http.StatusServiceUnavailable, todo)
	a.tells(t, "/healthz", http.StatusOK, "ok")
	a.sameUIDs(t, before, []string{pullMember}, a.objects())
	a.setToken(t, a.firstToken(t))
	a.has(t, "value3")
	a.tells(t, "/readyz", http.StatusOK, "ok")
	a.tells(t, "/metrics", http.StatusOK, "\nstagegate_agent_hub_watches 2\n")
}

// firstToken is what an administrator gives to an agent.
func (s *suite) firstToken(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(s.mustRun(t, "kubectl -n "+pullNamespace+" create token agent --duration=1h"))
}

// install applies the manifests for members, and makes the Secret and the credentials that the agent would have in a Pod. After that it runs
// a script on the member.
func (a *agents) install(t *testing.T, more, token string) {
	t.Helper()
	t.Cleanup(func() {
		a.cleanUpOn(t, "kubectl delete ns stagegate-system --ignore-not-found --wait=false; kubectl delete clusterrolebinding stagegate-member-agent --ignore-not-found")
	})
	a.mustRunOn(t, fmt.Sprintf(`kubectl apply -f %[1]s/namespace.yaml -f %[1]s/rbac.yaml -f %[1]s/deployment.yaml -f %[1]s/pdb.yaml
printf %%s '%[2]s' | base64 -d > %[4]s
kubectl -n stagegate-system create secret generic stagegate-hub --from-literal=server=%[3]s --from-file=ca.crt=%[4]s --from-literal=token=%[5]s
kubectl config view --raw --minify --flatten > %[6]s
T=$(kubectl -n stagegate-system create token stagegate-member-agent --duration=8h)
kubectl config --kubeconfig=%[6]s set-credentials agent --token="$T" && kubectl config --kubeconfig=%[6]s set-context --current --user=agent`,
		filepath.Join(a.options.Root, "artifacts", "member-agent"), a.hubAt[1], a.hubAt[0], filepath.Join(t.TempDir(), "ca.crt"), token, a.kubeconfig)+"\n"+more)
}

func (a *agents) setToken(t *testing.T, token string) {
	t.Helper()
	a.mustRunOn(t, fmt.Sprintf(`kubectl -n stagegate-system patch secret stagegate-hub --type=merge -p '{"stringData":{"token":%q}}'`, token))
}

// hubAs returns how to run kubectl on the hub with nothing but a token.
func (a *agents) hubAs(t *testing.T, token string) func(script string) (string, error) {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "u"}}},
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": a.hubAt[0], "certificate-authority-data": a.hubAt[1]}}},
		"users":    []any{map[string]any{"name": "u", "user": map[string]any{"token": token}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token.kubeconfig")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(script string) (string, error) {
		return a.run(t.Context(), hub.HubName, "kubectl --kubeconfig="+file+" "+script)
	}
}

// replay plays an agent of KubeFleet, as its specification has it, while none of ours runs: it reports in the status of the
// InternalMemberCluster, puts its finalizer on a Work, and writes the status of that.
func (a *agents) replay(t *testing.T) {
	a.kill()
	as := a.hubAs(t, a.token(t))
	must := func(script string) {
		t.Helper()
		if _, err := as("-n " + pullNamespace + " " + script); err != nil {
			t.Fatal(err)
		}
	}
	work := strings.TrimSpace(a.suite.mustRun(t, "kubectl -n "+pullNamespace+" get works -o name | grep "+a.name+" | head -1"))
	must("patch " + work + ` --type=merge -p '{"metadata":{"finalizers":[]}}'`)
	must("patch " + work + ` --type=merge -p '{"metadata":{"finalizers":["kubernetes-fleet.io/work-cleanup"]}}'`)
	must("patch " + work + ` --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"Applied","status":"False","reason":"WorkNotAllManifestsApplied",` +
		`"message":"replayed","observedGeneration":1,"lastTransitionTime":"2026-01-01T00:00:00Z"}]}}'`)
	a.is(t, "Healthy", "False", "MemberAgentHeartbeatLost", "")
	const condition = `{"type":%q,"status":%q,"reason":%q,"message":"","observedGeneration":%s,"lastTransitionTime":"2026-01-01T00:00:00Z"}`
	generation := strings.TrimSpace(a.suite.mustRun(t, "kubectl -n "+pullNamespace+" get internalmembercluster "+pullMember+" -o jsonpath={.metadata.generation}"))
	report := func(healthy, reason string) {
		t.Helper()
		must(fmt.Sprintf(`patch internalmembercluster %s --subresource=status --type=merge -p '{"status":{"conditions":null,"namespaces":null,`+
			`"properties":{"kubernetes-fleet.io/node-count":{"value":"7","observationTime":"2026-01-01T00:00:00Z"}},`+
			`"agentStatus":[{"type":"MemberAgent","lastReceivedHeartbeat":%q,"conditions":[%s,%s]}]}}'`,
			pullMember, time.Now().UTC().Format(time.RFC3339),
			fmt.Sprintf(condition, "Joined", "True", "InternalMemberClusterJoined", generation), fmt.Sprintf(condition, "Healthy", healthy, reason, generation)))
	}
	report("True", "InternalMemberClusterHealthy")
	a.is(t, "Healthy", "True", "MemberClusterHealthy", "")
	report("False", "InternalMemberClusterUnhealthy")
	a.is(t, "Healthy", "False", "InternalMemberClusterUnhealthy", "")
	if count := a.suite.mustRun(t, "kubectl get membercluster "+pullMember+" -o jsonpath='{.status.properties.kubernetes-fleet\\.io/node-count.value}'"); count != "7" {
		t.Errorf("it has %q nodes", count)
	}
	a.start(t)
	a.is(t, "Healthy", "True", "MemberClusterHealthy", "")
}

// testStolenToken holds that the token of an agent is worth nothing but what the agent does, with the roles and the policies of the manifests.
func testStolenToken(t *testing.T, a *agents, token string) {
	stolen := a.hubAs(t, token)
	work := strings.TrimSpace(a.suite.mustRun(t, "kubectl -n "+pullNamespace+" get works -o name | grep pull-member | head -1"))
	for _, script := range []string{"-n " + pullNamespace + " get works", "-n " + pullNamespace + " get internalmemberclusters"} {
		if _, err := stolen(script); err != nil {
			t.Errorf("%s: %v", script, err)
		}
	}
	for _, script := range []string{
		"-n fleet-member-member1 get works",
		"-n fleet-member-member1 get internalmemberclusters",
		"get works -A",
		"-n " + pullNamespace + " patch " + work + ` --type=merge -p '{"spec":{"workload":{"manifests":[]}}}'`,
		"-n " + pullNamespace + " annotate " + work + " kubernetes-fleet.io/prune=x",
		"-n " + pullNamespace + " annotate " + work + " kubernetes-fleet.io/lost-applied-work=x",
		"-n " + pullNamespace + " label " + work + " a=b",
		"-n " + pullNamespace + " delete " + work,
		"-n " + pullNamespace + ` patch internalmembercluster ` + pullMember + ` --type=merge -p '{"spec":{"state":"Leave"}}'`,
		"-n " + pullNamespace + " delete internalmembercluster " + pullMember,
		"get memberclusters",
		"get clusterresourceplacements",
		"get clusterresourcesnapshots",
		"get clusterresourcebindings",
		"get clusterstagedupdateruns",
		"get clusterapprovalrequests",
		"get secrets -A",
		"-n fleet-system get secrets",
		"-n " + pullNamespace + " get secrets",
		"-n " + pullNamespace + " create configmap stolen",
		"-n " + pullNamespace + " create token default",
		"-n " + pullNamespace + " create token agent --duration=169h",
		"-n " + pullNamespace + " create rolebinding stolen --clusterrole=cluster-admin --user=x",
		"create --raw /apis/placement.kubernetes-fleet.io/v1beta1/clusterapprovalrequests/x/approve -f /dev/null",
		"get namespaces",
		"get --raw /metrics",
	} {
		if out, err := stolen(script); err == nil || !strings.Contains(err.Error(), "orbidden") {
			t.Errorf("%s: answered %q, error %v", script, out, err)
		}
	}

	// What it may write is bounded.
	many := func(n int, entry string) string { return strings.TrimSuffix(strings.Repeat(entry+",", n), ",") }
	file := filepath.Join(t.TempDir(), "patch.json")
	for _, tc := range []struct{ object, status, want string }{
		{
			work, `"conditions":[{"type":"Applied","status":"True","reason":"R","lastTransitionTime":"2026-01-01T00:00:00Z","message":"` + strings.Repeat("x", 1100) + `"}]`,
			"at most 1024 bytes",
		},
		{work, `"manifestConditions":[` + many(100, `{"identifier":{"ordinal":0},"conditions":[]}`) + `]`, "entries, one for each manifest"},
		{"internalmembercluster/" + pullMember, `"namespaces":{"n":"` + strings.Repeat("w", 300<<10) + `"}`, "at most 262144 bytes"},
	} {
		if err := os.WriteFile(file, []byte(`{"status":{`+tc.status+`}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := stolen("-n " + pullNamespace + " patch --subresource=status " + tc.object + " --type=merge --patch-file=" + file)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.120s: answered %.200q, error %v, want %q", tc.status, out, err, tc.want)
		}
	}
	for _, flag := range []string{"--duration=168h", "--audience=vault"} {
		made, err := stolen("-n " + pullNamespace + " create token agent " + flag)
		if err != nil {
			t.Errorf("%s: %v", flag, err)
			continue
		}
		parts := strings.Split(strings.TrimSpace(made), ".")
		if claims, err := base64.RawURLEncoding.DecodeString(parts[len(parts)/2]); err != nil || strings.Contains(string(claims), "vault") || !strings.Contains(string(claims), `"aud":[`) {
			t.Errorf("%s makes a token that says %s, %v", flag, claims, err)
		}
	}
}

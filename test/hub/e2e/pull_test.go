// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
)

// agents are processes of the agent on the member, with no more rights there than its manifests give.
type agents struct {
	placedOn
	binary, kubeconfig, log string
	running                 []*exec.Cmd
}

// start starts one more agent.
func (a *agents) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(a.binary, "--cluster="+pullMember, "--kubeconfig="+a.kubeconfig, "-v=2")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.running = append(a.running, cmd)
}

// kill ends all agents without a chance to do anything.
func (a *agents) kill() {
	for _, cmd := range a.running {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	a.running = nil
}

// token is the one that the agents have now.
func (a *agents) token(t *testing.T) string {
	t.Helper()
	return a.mustRunOn(t, "kubectl -n stagegate-system get secret stagegate-hub -o jsonpath='{.data.token}' | base64 -d")
}

// testPullMember has an agent serve a member beside two that the server reaches: the server has no way to it. The tutorial plays, agents and the
// hub are killed, a stolen token gets nowhere, and the member goes back to push. Nothing that was placed is ever recreated.
func testPullMember(t *testing.T, s *suite) {
	p := s.placeOn(t, "pull-member", pullMember)
	before := s.awaitUIDs(t, []string{pullMember}, p.objects())
	works := s.appliedWorks(t, []string{pullMember})
	a := &agents{placedOn: p, log: filepath.Join(t.TempDir(), "agent.log"), binary: filepath.Join(t.TempDir(), "stagegate-member-agent")}
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

	// The server loses its way to the member, and the member gets one to the hub.
	encoded := s.mustRun(t, "kubectl -n fleet-system get secret member-"+pullMember+" -o jsonpath='{.data.kubeconfig}'")
	push := fmt.Sprintf("kubectl -n fleet-system create secret generic member-%[1]s --dry-run=client -o yaml | kubectl apply -f - >/dev/null && "+
		`kubectl -n fleet-system patch secret member-%[1]s --type=merge -p '{"data":{"kubeconfig":"%[2]s"}}' && kubectl patch membercluster %[1]s --type=merge -p '%[3]s'`,
		pullMember, encoded, pushIdentity)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, push+" && kubectl -n "+pullNamespace+" delete serviceaccount agent --ignore-not-found")
	})
	t.Cleanup(a.kill)
	s.mustRun(t, "kubectl patch membercluster "+pullMember+" --type=merge -p '"+pullIdentity+"' && kubectl -n fleet-system delete secret member-"+pullMember)
	s.mustRun(t, fmt.Sprintf("kubectl -n %s wait rolebinding/stagegate-member-agent --for=create --timeout=%s", pullNamespace, patience))
	first := s.mustRun(t, "kubectl -n "+pullNamespace+" create token agent --duration=1h")
	cluster := strings.Fields(s.mustRun(t, "kubectl config view --raw --minify -o jsonpath='{.clusters[0].cluster.server} {.clusters[0].cluster.certificate-authority-data}'"))
	if len(cluster) != 2 {
		t.Fatalf("the kubeconfig of the hub has %d of server and authority", len(cluster))
	}
	t.Cleanup(func() {
		p.cleanUpOn(t, "kubectl delete ns stagegate-system --ignore-not-found --wait=false; kubectl delete clusterrolebinding stagegate-member-agent --ignore-not-found")
	})
	manifests := filepath.Join(s.options.Root, "artifacts", "member-agent")
	p.mustRunOn(t, fmt.Sprintf(`kubectl apply -f %[1]s/namespace.yaml -f %[1]s/rbac.yaml -f %[1]s/deployment.yaml
printf %%s '%[2]s' | base64 -d > %[4]s
kubectl -n stagegate-system create secret generic stagegate-hub --from-literal=server=%[3]s --from-file=ca.crt=%[4]s --from-literal=token=%[5]s`,
		manifests, cluster[1], cluster[0], filepath.Join(t.TempDir(), "ca.crt"), strings.TrimSpace(first)))
	a.kubeconfig = filepath.Join(t.TempDir(), "member.kubeconfig")
	p.mustRunOn(t, fmt.Sprintf(`kubectl config view --raw --minify --flatten > %[1]s
T=$(kubectl -n stagegate-system create token stagegate-member-agent --duration=8h)
kubectl config --kubeconfig=%[1]s set-credentials agent --token="$T" && kubectl config --kubeconfig=%[1]s set-context --current --user=agent`, a.kubeconfig))

	// Without an agent the change waits, and it is said why.
	p.change(t, "value2")
	p.is(t, "Healthy", "False", "MemberAgentHeartbeatLost", "was not heard of since")
	s.sameUIDs(t, before, []string{pullMember}, p.objects())
	a.start(t)
	a.start(t)
	p.has(t, "value2")
	p.is(t, "Healthy", "True", "MemberClusterHealthy", "")
	s.sameUIDs(t, before, []string{pullMember}, p.objects())
	s.eventually(t, func() error {
		if out := s.mustRun(t, "kubectl get membercluster "+pullMember+" -o wide"); !strings.Contains(out, "Pull") {
			return fmt.Errorf("shown as\n%s", out)
		}
		return nil
	})
	// The first token is soon replaced.
	s.eventually(t, func() error {
		if a.token(t) == strings.TrimSpace(first) {
			return errors.New("the token was not renewed")
		}
		return nil
	})

	t.Run("StolenToken", func(t *testing.T) { testStolenToken(t, s, cluster, a.token(t)) })
	t.Run("TutorialClusterScoped", func(t *testing.T) { testTutorialClusterScoped(t, s) })
	t.Run("TutorialNamespaced", func(t *testing.T) { testTutorialNamespaced(t, s) })

	// Killed while it works.
	for i := range 3 {
		value := fmt.Sprintf("killed%d", i)
		p.change(t, value)
		time.Sleep(time.Duration(i) * 100 * time.Millisecond)
		a.kill()
		a.start(t)
		p.has(t, value)
	}
	s.sameUIDs(t, before, []string{pullMember}, p.objects())

	// The hub is away for a while.
	s.kill(t, "hub-apiserver")
	time.Sleep(5 * time.Second)
	s.sameUIDs(t, before, []string{pullMember}, p.objects())
	s.up(t)
	p.change(t, "value3")
	p.has(t, "value3")
	p.is(t, "Healthy", "True", "MemberClusterHealthy", "")

	// Back to push, while the agent is there still and has no rights any more.
	s.mustRun(t, push)
	p.change(t, "value4")
	p.has(t, "value4")
	p.is(t, "Healthy", "True", "MemberClusterHealthy", "")
	if out, err := s.run(t.Context(), hub.HubName, "kubectl -n "+pullNamespace+" get rolebinding stagegate-member-agent"); err == nil {
		t.Errorf("the agent has its rights still: %s", out)
	}
	s.sameUIDs(t, before, []string{pullMember}, p.objects())
	if after := s.appliedWorks(t, []string{pullMember}); fmt.Sprint(after) != fmt.Sprint(works) {
		t.Errorf("AppliedWorks were %v and are %v", works, after)
	}
}

// testStolenToken holds that the token of an agent is worth nothing but what the agent does, with the roles and the policies of the manifests.
func testStolenToken(t *testing.T, s *suite, cluster []string, token string) {
	config, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "u"}}},
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": cluster[0], "certificate-authority-data": cluster[1]}}},
		"users":    []any{map[string]any{"name": "u", "user": map[string]any{"token": token}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "stolen.kubeconfig")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	stolen := func(script string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return s.run(ctx, hub.HubName, "kubectl --kubeconfig="+file+" "+script)
	}
	work := strings.TrimSpace(s.mustRun(t, "kubectl -n "+pullNamespace+" get works -o name | grep pull-member | head -1"))
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
		"-n " + pullNamespace + " create rolebinding stolen --clusterrole=cluster-admin --user=x",
		"create --raw /apis/placement.kubernetes-fleet.io/v1beta1/clusterapprovalrequests/x/approve -f /dev/null",
		"get namespaces",
		"get --raw /metrics",
	} {
		if out, err := stolen(script); err == nil || !strings.Contains(err.Error(), "orbidden") {
			t.Errorf("%s: answered %q, error %v", script, out, err)
		}
	}
}

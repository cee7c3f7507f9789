// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

// programs is where the tests build programs.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if programs, err = os.MkdirTemp("", "stagegate-programs-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(programs) }()
		return m.Run()
	}())
}

// buildKubectl builds kubectl once for all tests.
var buildKubectl = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programs, "kubectl")
	build := exec.Command("go", "build", "-o", path, "./kubectl")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// kubectl runs as one user.
type kubectl struct {
	t          *testing.T
	path       string
	kubeconfig string
	dir        string
}

func newKubectl(t *testing.T, config *rest.Config) *kubectl {
	t.Helper()
	path, err := buildKubectl()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	k := &kubectl{t: t, path: path, dir: dir, kubeconfig: filepath.Join(dir, "kubeconfig")}
	if err := testserver.WriteKubeconfig(config, k.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kubectl) try(stdin string, args ...string) (string, error) {
	command := exec.CommandContext(k.t.Context(), k.path, args...)
	command.Dir = k.dir
	command.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig, "HOME="+k.dir)
	command.Stdin = strings.NewReader(stdin)
	out, err := command.CombinedOutput()
	return string(out), err
}

// run is a command that must succeed.
func (k *kubectl) run(args ...string) string {
	k.t.Helper()
	out, err := k.try("", args...)
	if err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (k *kubectl) write(name, content string) {
	k.t.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), []byte(content), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func example(t *testing.T, elem ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "..", "artifacts", "example"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	age    = regexp.MustCompile(`(?m)[ ]+(<unknown>|\d+m?s)$`)
	spaces = regexp.MustCompile(`   +`)
)

// table splits output at its columns, the age left out.
func table(out string) [][]string {
	var rows [][]string
	for _, line := range strings.Split(strings.TrimSpace(age.ReplaceAllString(out, "")), "\n") {
		rows = append(rows, spaces.Split(strings.TrimSpace(line), -1))
	}
	return rows
}

const seedApproval = `"status": {
    "conditions": [
        {
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "message": "lgtm",
            "observedGeneration": 1,
            "reason": "testPassed",
            "status": "True",
            "type": "Approved"
        }
    ]
}
`

func TestKubectl(t *testing.T) {
	s := testserver.Start(t)
	alice, bob := newKubectl(t, s.As(testserver.Alice)), newKubectl(t, s.As(testserver.Bob))

	t.Run("short names and columns", func(t *testing.T) {
		alice.run("create", "-f", example(t, "cluster-scoped", "3-strategy.yaml"))
		alice.run("apply", "-f", example(t, "cluster-scoped", "4-run.yaml"))
		alice.run("apply", "--server-side", "-f", example(t, "namespaced", "5-run.yaml"))
		want := [][]string{
			{"NAME", "PLACEMENT", "RESOURCE-SNAPSHOT-INDEX", "POLICY-SNAPSHOT-INDEX", "INITIALIZED", "SUCCEEDED", "AGE"},
			{"example-run", "example-placement", "1"},
		}
		for _, name := range []string{"csur", "sur"} {
			if diff := cmp.Diff(want, table(alice.run("get", name, "example-run"))); diff != "" {
				t.Errorf("get %s (-want +got):\n%s", name, diff)
			}
		}
	})
	t.Run("category", func(t *testing.T) {
		if out := alice.run("get", "fleet", "-o", "name"); !strings.Contains(out, "clusterstagedupdaterun.placement.kubernetes-fleet.io/example-run") {
			t.Errorf("kubectl get fleet shows\n%s", out)
		}
	})
	t.Run("merge patch and label", func(t *testing.T) {
		alice.run("patch", "csur", "example-run", "--type", "merge", "-p", `{"spec":{"state":"Run"}}`)
		alice.run("label", "csur", "example-run", "team=a")
		if out := alice.run("get", "csur", "-l", "team=a", "-o", "jsonpath={.items[0].spec.state} {.items[0].metadata.generation}"); out != "Run 2" {
			t.Errorf("state and generation are %q", out)
		}
	})
	t.Run("explain", func(t *testing.T) {
		if out := alice.run("explain", "csus.spec.stages.maxConcurrency"); !strings.Contains(out, "DESCRIPTION") || strings.Contains(out, "<empty>") {
			t.Errorf("kubectl explain shows\n%s", out)
		}
	})
	t.Run("a typo is refused", func(t *testing.T) {
		bad := strings.Replace(`{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"ClusterStagedUpdateRun","metadata":{"name":"x"},
			"spec":{"placementNme":"a","placementName":"a","stagedRolloutStrategyName":"b"}}`, "\n", "", -1)
		if out, err := alice.try(bad, "create", "-f", "-"); err == nil || !strings.Contains(out, "placementNme") {
			t.Errorf("got %v\n%s", err, out)
		}
	})
	for _, kind := range []struct{ name, kind string }{{"clusterapprovalrequests", "ClusterApprovalRequest"}, {"approvalrequests", "ApprovalRequest"}} {
		t.Run("approving "+kind.name, func(t *testing.T) { testApproving(t, alice, bob, kind.name, kind.kind) })
	}
	t.Run("delete", func(t *testing.T) {
		alice.run("delete", "csus", "example-strategy")
		if out, err := alice.try("", "get", "csus", "example-strategy"); err == nil || !strings.Contains(out, "NotFound") {
			t.Errorf("got %v\n%s", err, out)
		}
	})
}

// testApproving takes every way to approve that the documents name.
func testApproving(t *testing.T, alice, bob *kubectl, resource, kind string) {
	names := []string{"seed", "merge", "raw"}
	for _, name := range names {
		manifest := `{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"` + kind + `","metadata":{"name":"` + name + `"},
			"spec":{"parentStageRollout":"example-run","targetStage":"canary"}}`
		if out, err := alice.try(manifest, "create", "-f", "-"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	alice.write("approval.json", seedApproval)
	bob.write("approval.json", seedApproval)
	path := "/apis/placement.kubernetes-fleet.io/v1/"
	if resource == "approvalrequests" {
		path += "namespaces/test-namespace/"
	}

	seed := []string{"patch", resource, "seed", "--type=merge", "--subresource=status", "--patch-file", "approval.json"}
	if out, err := bob.try("", seed...); err == nil || !strings.Contains(out, "Forbidden") {
		t.Errorf("bob may approve through the status: %v\n%s", err, out)
	}
	alice.run(seed...)
	merge := []string{"patch", resource, "merge", "--subresource=approve", "--type=merge", "-p", `{"spec":{"comment":"smoke ok"}}`}
	if out, err := bob.try("", merge...); err == nil || !strings.Contains(out, "Forbidden") {
		t.Errorf("bob may approve: %v\n%s", err, out)
	}
	misspelled := append(slices.Clone(merge[:len(merge)-1]), `{"spec":{"commment":"smoke ok"}}`)
	if out, err := alice.try("", misspelled...); err == nil || !strings.Contains(out, `unknown field "spec.commment"`) {
		t.Errorf("an approval with a field that is misspelled: %v\n%s", err, out)
	}
	if out := alice.run("get", resource, "merge", "-o", "jsonpath={.status}"); out != "" {
		t.Errorf("a refused approval has left the status %s", out)
	}
	alice.run(merge...)
	if out, err := alice.try("{}", "create", "--raw", path+resource+"/raw/approve", "-f", "-"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range names {
		alice.run("wait", "--for=condition=Approved", "--timeout=10s", resource+"/"+name)
		if out := alice.run("get", resource, name, "-o", "jsonpath={.status.decisions[0].decision} {.status.decisions[0].user.username}"); out != "Approved alice" {
			t.Errorf("%s is recorded as %q", name, out)
		}
	}
	header := "UPDATE-RUN"
	if resource == "approvalrequests" {
		header = "STAGED-UPDATE-RUN"
	}
	want := [][]string{
		{"NAME", header, "STAGE", "APPROVED", "APPROVALACCEPTED", "AGE"},
		{"seed", "example-run", "canary", "True"},
	}
	if diff := cmp.Diff(want, table(alice.run("get", resource, "seed"))); diff != "" {
		t.Errorf("get %s (-want +got):\n%s", resource, diff)
	}
}

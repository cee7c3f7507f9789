// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

// operatedStatus is a run in whose second stage cluster paris has failed and oslo is being updated.
const operatedStatus = `{"status":{
	"resourceSnapshotIndexUsed":"2",
	"conditions":[{"type":"Initialized","status":"True","reason":"Tested","message":"","lastTransitionTime":"2026-03-01T12:00:00Z"}],
	"stagesStatus":[
		{"stageName":"staging","clusters":[{"clusterName":"rome","previousResourceSnapshotIndex":"1","conditions":[
			{"type":"Started","status":"True","reason":"Tested","message":"","lastTransitionTime":"2026-03-01T12:00:00Z"},
			{"type":"Succeeded","status":"True","reason":"Tested","message":"","lastTransitionTime":"2026-03-01T12:00:00Z"}]}],
		 "conditions":[{"type":"Succeeded","status":"True","reason":"Tested","message":"","lastTransitionTime":"2026-03-01T12:00:00Z"}]},
		{"stageName":"prod","clusters":[{"clusterName":"oslo"},{"clusterName":"paris","conditions":[
			{"type":"Succeeded","status":"False","reason":"ClusterUpdatingFailed","message":"","lastTransitionTime":"2026-03-01T12:00:00Z"}]}],
		 "afterStageTaskStatus":[{"type":"TimedWait"}]}]}}`

// scope is one of the two kinds of run.
type scope struct{ kind, resource, path string }

var runScopes = []scope{
	{"ClusterStagedUpdateRun", "clusterstagedupdateruns", "/apis/placement.kubernetes-fleet.io/v1beta1/clusterstagedupdateruns/"},
	{"StagedUpdateRun", "stagedupdateruns", "/apis/placement.kubernetes-fleet.io/v1/namespaces/test-namespace/stagedupdateruns/"},
}

// createRun makes a run that is under way.
func (k *kubectl) createRun(in scope, name string) {
	k.t.Helper()
	manifest := `{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"` + in.kind + `","metadata":{"name":"` + name + `"},
		"spec":{"placementName":"app","stagedRolloutStrategyName":"s","state":"Run"}}`
	if out, err := k.try(manifest, "create", "-f", "-"); err != nil {
		k.t.Fatalf("%v\n%s", err, out)
	}
	k.run("patch", in.resource, name, "--subresource=status", "--type=merge", "-p", operatedStatus)
}

// ask asks something of a run by a patch, as the documents have it.
func (k *kubectl) ask(in scope, name, subresource, spec string) (string, error) {
	return k.try("", "patch", in.resource, name, "--subresource="+subresource, "--type=merge", "-p", `{"spec":`+spec+`}`)
}

// askRaw asks it by a POST, as any kubectl can.
func (k *kubectl) askRaw(in scope, name, subresource, spec string) (string, error) {
	return k.try(`{"spec":`+spec+`}`, "create", "--raw", in.path+name+"/"+subresource, "-f", "-")
}

func (k *kubectl) history(in scope, name string) []string {
	out := k.run("get", in.resource, name, "-o", `jsonpath={range .status.history[*]}{.number} {.reason} {.user} {.stage} {.task} {.clusters} {.message}{"\n"}{end}`)
	return strings.Split(strings.TrimSpace(out), "\n")
}

func TestKubectlOperatesRuns(t *testing.T) {
	s := testserver.Start(t)
	alice, bob := newKubectl(t, s.As(testserver.Alice)), newKubectl(t, s.As(testserver.Bob))
	for _, in := range runScopes {
		t.Run(in.resource, func(t *testing.T) {
			alice.createRun(in, "run")
			for _, step := range []struct {
				ask               func(*kubectl, scope, string, string, string) (string, error)
				subresource, spec string
				wantState         string
			}{
				{(*kubectl).ask, "stop", `{"reason":"INC-7"}`, "Stop"},
				{(*kubectl).askRaw, "resume", `{"reason":"mended"}`, "Run"},
				{(*kubectl).askRaw, "stop", `{"reason":"INC-8"}`, "Stop"},
				{(*kubectl).ask, "resume", `{"reason":"mended too"}`, "Run"},
				{(*kubectl).ask, "skip", `{"reason":"oslo is down","clusters":["oslo"]}`, "Run"},
				{(*kubectl).askRaw, "skip", `{"reason":"urgent","stage":"prod","task":"TimedWait"}`, "Run"},
				{(*kubectl).ask, "retry", `{"reason":"quota raised"}`, "Run"},
				{(*kubectl).askRaw, "retry", `{"reason":"quota raised","clusters":["paris"]}`, "Run"},
				{(*kubectl).ask, "rollback", `{"reason":"INC-9"}`, "Run"},
			} {
				if out, err := step.ask(alice, in, "run", step.subresource, step.spec); err != nil {
					t.Errorf("%s %s: %v\n%s", step.subresource, step.spec, err, out)
				}
				if state := alice.run("get", in.resource, "run", "-o", "jsonpath={.spec.state}"); state != step.wantState {
					t.Errorf("after %s the state is %s, want %s", step.subresource, state, step.wantState)
				}
			}
			bob.run("patch", in.resource, "run", "--type=merge", "-p", `{"spec":{"state":"Stop"}}`)
			bob.run("patch", in.resource, "run", "--subresource=status", "--type=merge", "-p", `{"status":{"history":[],"observedOperation":99}}`)

			want := []string{
				"1 StopRequested alice    INC-7", "2 ResumeRequested alice    mended", "3 StopRequested alice    INC-8", "4 ResumeRequested alice    mended too",
				`5 SkipRequested alice   ["oslo"] oslo is down`, "6 SkipRequested alice prod TimedWait  urgent",
				"7 RetryRequested alice    quota raised", `8 RetryRequested alice   ["paris"] quota raised`,
				"9 RollbackRequested alice    INC-9", "10 StopRequested bob",
			}
			if diff := cmp.Diff(want, trimmed(alice.history(in, "run"))); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			if got := alice.run("get", in.resource, "run", "--subresource=stop", "-o", "jsonpath={.status.number} {.status.user}{.spec.reason}"); got != "10 bob" {
				t.Errorf("the last stop reads as %q", got)
			}
		})
		t.Run(in.resource+"/refusals", func(t *testing.T) {
			alice.createRun(in, "refused")
			if out, err := alice.ask(in, "refused", "stop", `{"reason":"INC-7"}`); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, step := range []struct{ subresource, spec, want string }{
				{"stop", `{"reason":"me too"}`, `Error from server (Conflict): Operation cannot be fulfilled on ` + in.resource + `.placement.kubernetes-fleet.io "refused": already stopped by alice at `},
				{"stop", `{}`, `The UpdateRunOperation "refused" is invalid: spec.reason: Required value`},
				{"skip", `{"reason":"x","clusters":["rome"]}`, `"refused": cluster rome is updated already`},
			} {
				for _, ask := range []func(*kubectl, scope, string, string, string) (string, error){(*kubectl).ask, (*kubectl).askRaw} {
					if out, err := ask(bob, in, "refused", step.subresource, step.spec); err == nil || !strings.Contains(out, step.want) {
						t.Errorf("%s %s: %v, want %q:\n%s", step.subresource, step.spec, err, step.want, out)
					}
				}
			}
		})
	}
	t.Run("explain", func(t *testing.T) {
		for _, field := range []string{"csur.status.history", "sur.status.rolledBackBy", "csur.spec.rollbackOf", "csus.spec.failurePolicy.onFailure"} {
			if out := alice.run("explain", field); !strings.Contains(out, "DESCRIPTION") || strings.Contains(out, "<empty>") {
				t.Errorf("kubectl explain %s shows\n%s", field, out)
			}
		}
	})
}

func trimmed(lines []string) []string {
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// TestStoppingIsAPermissionOfItsOwn has bob, who may update the subresource stop and read, and nobody, who may use its path in every
// way but that.
func TestStoppingIsAPermissionOfItsOwn(t *testing.T) {
	s := testserver.Start(t, testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
		switch name := a.GetUser().GetName(); {
		case name == testserver.Alice, a.IsReadOnly():
			return true
		case a.GetSubresource() != "stop":
			return false
		case name == testserver.Bob:
			return a.GetVerb() == "update"
		}
		return a.GetVerb() == "create" || a.GetVerb() == "patch"
	}))
	alice, bob, nobody := newKubectl(t, s.As(testserver.Alice)), newKubectl(t, s.As(testserver.Bob)), newKubectl(t, s.As(testserver.Nobody))
	for _, in := range runScopes {
		t.Run(in.resource, func(t *testing.T) {
			alice.createRun(in, "run")
			refusal := `user "nobody" needs the permission to update ` + in.resource + `.placement.kubernetes-fleet.io/stop: nobody may not`
			for _, ask := range []func(*kubectl, scope, string, string, string) (string, error){(*kubectl).ask, (*kubectl).askRaw} {
				if out, err := ask(nobody, in, "run", "stop", `{"reason":"INC-7"}`); err == nil || !strings.Contains(out, refusal) {
					t.Errorf("nobody stops: %v\n%s", err, out)
				}
			}
			replace := func(subresource string) (string, error) {
				return bob.try(`{"metadata":{"name":"run"},"spec":{"reason":"INC-7"}}`, "replace", "--raw", in.path+"run/"+subresource, "-f", "-")
			}
			for _, subresource := range []string{"resume", "skip", "retry", "rollback"} {
				if out, err := replace(subresource); err == nil || !strings.Contains(out, "Forbidden") {
					t.Errorf("bob may %s: %v\n%s", subresource, err, out)
				}
			}
			if out, err := bob.try("", "patch", in.resource, "run", "--type=merge", "-p", `{"spec":{"state":"Stop"}}`); err == nil || !strings.Contains(out, "Forbidden") {
				t.Errorf("bob may write the run: %v\n%s", err, out)
			}
			if out, err := replace("stop"); err != nil {
				t.Errorf("bob may not stop: %v\n%s", err, out)
			}
			if got := alice.run("get", in.resource, "run", "-o", "jsonpath={.spec.state} {.status.history[*].user}"); got != "Stop bob" {
				t.Errorf("state and who are %q", got)
			}
		})
	}
}

func TestOperationsInDiscovery(t *testing.T) {
	s := testserver.Start(t)
	found := 0
	for _, r := range discover(t, s.As(testserver.Alice)) {
		if !slices.ContainsFunc(runScopes, func(in scope) bool { return in.resource == r.Name }) {
			continue
		}
		for _, subresource := range r.subresources {
			if subresource.Name == r.Name+"/status" {
				continue
			}
			found++
			if diff := cmp.Diff(metav1.Verbs{"create", "get", "patch", "update"}, subresource.Verbs); diff != "" || subresource.Kind != "UpdateRunOperation" {
				t.Errorf("%s %s is of kind %s; verbs (-want +got):\n%s", r.gv, subresource.Name, subresource.Kind, diff)
			}
		}
	}
	if want := 5 * len(runScopes) * 2; found != want {
		t.Errorf("%d subresources, want %d", found, want)
	}
}

func TestTypedClientsOperateRuns(t *testing.T) {
	s := testserver.Start(t)
	client, err := versioned.NewForConfig(s.As(testserver.Alice))
	if err != nil {
		t.Fatal(err)
	}
	runs := client.PlacementV1beta1().ClusterStagedUpdateRuns()
	run := &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: "run"}, Spec: v1beta1.UpdateRunSpec{PlacementName: "app", StagedUpdateStrategyName: "s", State: v1beta1.StateRun}}
	if _, err := runs.Create(t.Context(), run, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	stopped, err := runs.Stop(t.Context(), "run", &v1beta1.UpdateRunOperation{Spec: v1beta1.UpdateRunOperationSpec{Reason: "INC-7"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if stopped.Status.Number != 1 || stopped.Status.User != "alice" || stopped.Status.Done {
		t.Errorf("the answer is %+v", stopped.Status)
	}
}

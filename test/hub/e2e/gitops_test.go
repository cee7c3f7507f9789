// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/test/hub"
)

var updateStates = flag.Bool("gitops.update", false, "have TestHub/GitOps write what it meets to test/gitops/testdata/states")

var (
	kindMember = schema.GroupVersionKind{Group: "cluster.kubernetes-fleet.io", Version: "v1beta1", Kind: "MemberCluster"}
	kindPolicy = schema.GroupVersionKind{Group: "rollout.stagegate.dev", Version: "v1alpha1", Kind: "ClusterRolloutPolicy"}
)

const (
	gitOpsStrategy = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: %s, labels: {test: gitops}}
spec:
  stages:%s`

	gitOpsRun = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: %s, labels: {test: gitops}}
spec: {placementName: %s, stagedRolloutStrategyName: %s, state: %s}
`

	gitOpsPlacement = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy: %[2]s
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 100%%, unavailablePeriodSeconds: 1}}
`

	gitOpsPolicy = `apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: gitops-%[1]s}
spec:
  match: {clusterScoped: false, namespaceSelector: {matchLabels: {test: gitops}}}
  rules: {approval: {groups: [%[1]s]}}
`

	// fixed is an object that a member does not let change its data.
	fixed = `apiVersion: v1
kind: ConfigMap
metadata: {name: fixed, namespace: %s}
data: {key: %s}
immutable: true
`

	inEnvelope = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourceEnvelope
metadata: {name: enveloped, namespace: %[1]s}
data:
  enveloped.yaml: {apiVersion: v1, kind: ConfigMap, metadata: {name: enveloped, namespace: %[1]s}}
`
)

// gitOps plays objects into the states that they can be in, and keeps one in each.
type gitOps struct {
	rollout
	dir  string
	kept sets.Set[string]
}

// testGitOps has Argo CD's and Flux's health checks look at what the server stores in each state that an object can be in: the test of
// test/gitops has their libraries. It takes a minute, which is how long a run waits for a placement that is not there.
func testGitOps(t *testing.T, s *suite) {
	const module = "test/gitops"
	g := &gitOps{dir: t.TempDir(), kept: sets.New[string]()}
	if *updateStates {
		g.dir = filepath.Join(s.options.Root, module, "testdata", "states")
		if err := errors.Join(os.RemoveAll(g.dir), os.MkdirAll(g.dir, 0o750)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, `kubectl delete csus -l test=gitops
kubectl delete membercluster,crpol gitops-absent gitops-sre gitops-security gitops-two --ignore-not-found
kubectl delete crp gitops-rolling gitops-nothing gitops-nowhere --ignore-not-found
kubectl delete ns gitops-rolling --ignore-not-found`)
	})
	g.rollout = s.newRollout(t, "gitops", stagingThenCanary)
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete csur -l test=gitops") })

	g.playsRunsThatAreNotPlanned(t)
	g.playsApprovals(t)
	g.playsFailures(t)
	g.playsRefusals(t)
	g.playsPlacements(t)
	g.playsMembersAndPolicies(t)
	g.keepRun(t, "run-given-up", "gitops-lost", hasOutcome("NotInitialized"))

	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", ".", "-states="+g.dir)
	cmd.Dir = filepath.Join(s.options.Root, module)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the health checks: %v\n%s", err, out)
	}
}

// keep stores an object as one in a state.
func (g *gitOps) keep(t *testing.T, state string, obj *unstructured.Unstructured) {
	t.Helper()
	if g.kept.Has(state) {
		t.Fatalf("there are two objects in state %s", state)
	}
	g.kept.Insert(state)
	obj = obj.DeepCopy()
	obj.SetManagedFields(nil)
	data, err := yaml.Marshal(obj.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, state+".yaml"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// keepOnce waits until an object is as check wants it, and stores it.
func (g *gitOps) keepOnce(t *testing.T, state string, kind schema.GroupVersionKind, name string, check func(*unstructured.Unstructured) error) {
	t.Helper()
	var obj *unstructured.Unstructured
	g.eventually(t, func() error {
		var err error
		if obj, err = g.hub().get(t.Context(), kind, "", name); err != nil {
			return err
		}
		return check(obj)
	})
	g.keep(t, state, obj)
}

func (g *gitOps) keepRun(t *testing.T, state, name string, check func(runStatus) error) {
	t.Helper()
	g.keep(t, state, g.awaitRun(t, name, check).object)
}

func (g *gitOps) keepPlacement(t *testing.T, state, name, conditionType, status string) {
	t.Helper()
	g.keepOnce(t, state, kindPlacement, name, func(obj *unstructured.Unstructured) error {
		c, err := findCondition(obj, "ClusterResourcePlacement"+conditionType)
		if err == nil && (string(c.Status) != status || c.ObservedGeneration != obj.GetGeneration()) {
			err = fmt.Errorf("%s of placement %s is %s: %s", conditionType, name, c.Status, c.Message)
		}
		return err
	})
}

// create creates one object, and returns it as the server answers.
func (g *gitOps) create(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		t.Fatal(err)
	}
	created, err := g.hub().of(obj.GroupVersionKind(), obj.GetNamespace()).Create(t.Context(), obj, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating\n%s\n%v", manifest, err)
	}
	return created
}

// starts creates a run of what the hub has, with a strategy of its own.
func (g *gitOps) starts(t *testing.T, name, stages string) {
	t.Helper()
	g.create(t, fmt.Sprintf(gitOpsStrategy, name, stages))
	g.create(t, fmt.Sprintf(gitOpsRun, name, g.name, name, "Run"))
}

func (g *gitOps) playsRunsThatAreNotPlanned(t *testing.T) {
	g.keep(t, "run-new", g.create(t, fmt.Sprintf(gitOpsRun, "gitops-lost", "gitops-lost", g.name, "Run")))
	g.keepRun(t, "run-initializing", "gitops-lost", has("Initialized", "False", ""))
	g.starts(t, "gitops-twice", `
  - {name: one, labelSelector: {}}
  - {name: two, labelSelector: {}}
`)
	g.keepRun(t, "run-not-initialized", "gitops-twice", hasOutcome("NotInitialized"))
	g.create(t, fmt.Sprintf(gitOpsRun, "gitops-planned", g.name, g.name, "Initialize"))
	g.keepRun(t, "run-planned", "gitops-planned", has("Initialized", "True", ""))
	g.keepPlacement(t, "placement-without-a-run", g.name, "RolloutStarted", "Unknown")
}

func (g *gitOps) playsApprovals(t *testing.T) {
	const gated = `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%%
    beforeStageTasks: [{type: Approval, approval: {%s}}]
`
	waits := has("Progressing", "False", "UpdateRunWaiting")
	decide := func(run, decision string) {
		g.mustRun(t, fmt.Sprintf(`kubectl patch careq %s-before-all --subresource=%s --type=merge -p '{"spec":{"comment":"as planned"}}'`, run, decision))
	}
	isDecided := func(status string) func(*unstructured.Unstructured) error {
		return func(obj *unstructured.Unstructured) error { return condition(obj, "Approved", status, "") }
	}
	g.starts(t, "gitops-rejected", fmt.Sprintf(gated, ""))
	g.awaitRun(t, "gitops-rejected", waits)
	decide("gitops-rejected", "reject")
	g.keepRun(t, "run-rejected", "gitops-rejected", hasOutcome("Rejected"))
	g.keepOnce(t, "request-rejected", kindApproval, "gitops-rejected-before-all", isDecided("False"))

	g.starts(t, "gitops-expired", fmt.Sprintf(gated, "expiresAfter: 1s"))
	g.keepRun(t, "run-expired", "gitops-expired", hasOutcome("Expired"))

	g.starts(t, "gitops-bound", fmt.Sprintf(gated, ""))
	g.awaitRun(t, "gitops-bound", waits)
	g.create(t, `apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: gitops-two}
spec:
  match: {clusterScoped: true, namespaceSelector: {matchLabels: {test: gitops}}}
  rules: {approval: {required: 2}}
`)
	g.keepRun(t, "run-whose-policy-changed", "gitops-bound", has("Succeeded", "False", "UpdateRunPolicyChanged"))
	g.mustRun(t, "kubectl delete crpol gitops-two")

	g.starts(t, "gitops-approved", fmt.Sprintf(gated, ""))
	g.keepOnce(t, "request-open", kindApproval, "gitops-approved-before-all", func(*unstructured.Unstructured) error { return nil })
	g.keepRun(t, "run-waiting-for-approval", "gitops-approved", waits)
	decide("gitops-approved", "approve")
	g.keepOnce(t, "request-approved", kindApproval, "gitops-approved-before-all", isDecided("True"))
	g.keepRun(t, "run-succeeded", "gitops-approved", hasOutcome("Succeeded"))
	g.keepPlacement(t, "placement-after-a-run", g.name, "Available", "True")
}

// playsFailures moves clusters to a version that waits on each of them for the gate.
func (g *gitOps) playsFailures(t *testing.T) {
	const oneByOne = `
  - name: all
    labelSelector: {}
    maxConcurrency: 1
    failurePolicy: {clusterTimeout: %s, onFailure: %s}
`
	operate := func(run, operation, more string) {
		g.operate(t, hub.HubName, run, operation, `{"reason":"INC-7"`+more+`}`)
	}
	g.create(t, fmt.Sprintf(gate, g.name))
	g.starts(t, "gitops-paused", fmt.Sprintf(oneByOne, "5s", "Pause"))
	g.keepRun(t, "run-progressing", "gitops-paused", all(has("Progressing", "True", ""), hasMessage("member1")))
	g.keepPlacement(t, "placement-under-a-run", g.name, "RolloutStarted", "Unknown")
	g.create(t, fmt.Sprintf(gitOpsRun, "gitops-next", g.name, g.name, "Run"))
	g.keepRun(t, "run-waiting-for-turn", "gitops-next", has("Progressing", "False", "UpdateRunWaiting"))
	g.mustRun(t, "kubectl delete csur gitops-next")
	g.keepRun(t, "run-paused", "gitops-paused", has("Progressing", "False", "UpdateRunPaused"))
	operate("gitops-paused", "skip", `,"clusters":["member1","member2","member3"]`)
	g.keepRun(t, "run-succeeded-with-failures", "gitops-paused", hasOutcome("SucceededWithFailures"))

	g.starts(t, "gitops-failed", fmt.Sprintf(oneByOne, "1s", "Fail"))
	g.keepRun(t, "run-failed", "gitops-failed", hasOutcome("Failed"))

	// The run before has moved the clusters, though it failed: this one has to bring something else to be rolled back.
	g.hub().mustPatch(t, kindConfigMap, g.name, "settings", `{"data":{"key":"value2"}}`)
	g.starts(t, "gitops-stopped", fmt.Sprintf(oneByOne, "1h", "Fail"))
	g.awaitRun(t, "gitops-stopped", clusterIs("member1", "Started"))
	operate("gitops-stopped", "stop", "")
	g.keepRun(t, "run-stopping", "gitops-stopped", has("Progressing", "Unknown", "UpdateRunStopping"))
	g.release(t, "member1")
	g.keepRun(t, "run-stopped", "gitops-stopped", has("Progressing", "False", "UpdateRunStopped"))
	operate("gitops-stopped", "rollback", "")
	g.keepRun(t, "run-rolled-back", "gitops-stopped", hasOutcome("RolledBack"))
	g.mustRun(t, "kubectl delete svc gate -n "+g.name)
}

// playsRefusals moves clusters to a version that they do not take, in a run that ends with its placement.
func (g *gitOps) playsRefusals(t *testing.T) {
	g.create(t, fmt.Sprintf(fixed, g.name, "value1"))
	g.starts(t, "gitops-waits", `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
    afterStageTasks: [{type: TimedWait, waitTime: 2s}]
`)
	g.keepRun(t, "run-waiting-for-time", "gitops-waits", has("Progressing", "False", "UpdateRunWaiting"))
	g.awaitRun(t, "gitops-waits", hasOutcome("Succeeded"))

	g.mustRun(t, "kubectl delete cm fixed -n "+g.name)
	g.create(t, fmt.Sprintf(fixed, g.name, "value2"))
	g.starts(t, "gitops-stuck", `
  - {name: all, labelSelector: {}, maxConcurrency: 100%}
`)
	g.keepRun(t, "run-stuck", "gitops-stuck", has("Progressing", "False", "UpdateRunStuck"))
	g.mustRun(t, "kubectl delete crp --wait=false "+g.name)
	g.keepRun(t, "run-of-a-deleted-placement", "gitops-stuck", hasOutcome("Failed"))
}

// playsPlacements has placements that no run moves.
func (g *gitOps) playsPlacements(t *testing.T) {
	const name, everywhere = "gitops-rolling", "{placementType: PickAll}"
	g.keep(t, "placement-new", g.create(t, fmt.Sprintf(gitOpsPlacement, "gitops-nothing", everywhere)))
	g.keepPlacement(t, "placement-of-nothing", "gitops-nothing", "ResourcesSelected", "False")
	g.create(t, fmt.Sprintf(gitOpsPlacement, "gitops-nowhere", "{placementType: PickFixed, clusterNames: [nowhere]}"))
	g.keepPlacement(t, "placement-without-clusters", "gitops-nowhere", "Scheduled", "False")

	g.create(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+name+"}}")
	g.create(t, fmt.Sprintf(gate, name))
	g.create(t, fmt.Sprintf(fixed, name, "value1"))
	// A member that answers nothing for these seconds is one that is under way, and not one that has failed.
	signal := func(signal syscall.Signal) {
		if err := g.environment.Signal("member3-apiserver", signal); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	signal(syscall.SIGSTOP)
	g.create(t, fmt.Sprintf(gitOpsPlacement, name, everywhere))
	g.keepPlacement(t, "placement-applying", name, "Applied", "False")
	signal(syscall.SIGCONT)
	g.keepPlacement(t, "placement-rolling-out", name, "Available", "False")
	for _, member := range g.environment.Members() {
		rollout{g.suite, name}.release(t, member)
	}
	g.keepPlacement(t, "placement-available", name, "Available", "True")
	g.mustRun(t, "kubectl delete cm fixed -n "+name)
	g.create(t, fmt.Sprintf(fixed, name, "value2"))
	g.keepPlacement(t, "placement-not-applied", name, "Applied", "False")

	patch := `{"spec":{"strategy":{"applyStrategy":{"type":"ReportDiff"}}}}`
	edited, err := g.hub().of(kindPlacement, "").Patch(t.Context(), name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g.keep(t, "placement-edited", edited)
	g.keepPlacement(t, "placement-compared", name, "DiffReported", "True")
	// An envelope is a Work of its own: the one before has reported on that member, and this one has not.
	signal(syscall.SIGSTOP)
	g.create(t, fmt.Sprintf(inEnvelope, name))
	g.keepPlacement(t, "placement-comparing", name, "DiffReported", "False")
	signal(syscall.SIGCONT)
}

func (g *gitOps) playsMembersAndPolicies(t *testing.T) {
	g.keepOnce(t, "member-joined", kindMember, "member1", func(obj *unstructured.Unstructured) error { return condition(obj, "Healthy", "True", "") })
	g.keep(t, "member-new", g.create(t, `apiVersion: cluster.kubernetes-fleet.io/v1beta1
kind: MemberCluster
metadata: {name: gitops-absent}
spec: {identity: {kind: ServiceAccount, namespace: fleet-system, name: stagegate-apiserver}}
`))
	g.keepOnce(t, "member-without-credentials", kindMember, "gitops-absent", func(obj *unstructured.Unstructured) error {
		if c, err := findCondition(obj, "Joined"); err != nil || !strings.Contains(c.Message, "Secret") {
			return fmt.Errorf("the member says %+v: %w", c, err)
		}
		return nil
	})

	isReady := func(status string) func(*unstructured.Unstructured) error {
		return func(obj *unstructured.Unstructured) error { return condition(obj, "Ready", status, "") }
	}
	g.keep(t, "policy-new", g.create(t, fmt.Sprintf(gitOpsPolicy, "sre")))
	g.keepOnce(t, "policy-in-effect", kindPolicy, "gitops-sre", isReady("True"))
	g.create(t, fmt.Sprintf(gitOpsPolicy, "security"))
	g.keepOnce(t, "policy-contradicted", kindPolicy, "gitops-sre", isReady("False"))
}

func hasOutcome(outcome string) func(runStatus) error {
	return func(run runStatus) error {
		got, _, err := unstructured.NestedString(run.object.Object, "status", "outcome")
		if err == nil && got != outcome {
			err = fmt.Errorf("run %s has outcome %q, want %s; conditions %v", run.object.GetName(), got, outcome, run.Conditions)
		}
		return err
	}
}

// hasMessage wants a cluster of the run to say why it is not updated.
func hasMessage(cluster string) func(runStatus) error {
	return func(run runStatus) error {
		data, err := run.object.MarshalJSON()
		if err != nil {
			return err
		}
		var status struct {
			Status struct {
				StagesStatus []struct {
					Clusters []struct{ ClusterName, Message string } `json:"clusters"`
				} `json:"stagesStatus"`
			} `json:"status"`
		}
		if err := yaml.Unmarshal(data, &status); err != nil {
			return err
		}
		for _, stage := range status.Status.StagesStatus {
			for _, c := range stage.Clusters {
				if c.ClusterName == cluster && c.Message != "" {
					return nil
				}
			}
		}
		return fmt.Errorf("%s says nothing in run %s", cluster, run.object.GetName())
	}
}

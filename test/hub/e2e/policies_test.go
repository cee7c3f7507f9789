// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

// The people of these tests: the team of a namespace, who writes everything there but policies; the owner of the namespace; who may override
// policies; and who approves what reaches production.
const (
	policiesNamespace = "policies"
	policiesTeam      = "policies-team"
	policiesOwner     = "policies-owner"
	policiesOnCall    = "policies-oncall"
	policiesApprover  = "policies-approver"
	policiesSRE       = "policies-sre"
)

// In these tests member3 is production, member1 and member2 are not.
const (
	policiesGuard = `apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: e2e-guard}
spec:
  description: Production needs SRE
  match: {clusterScoped: false, namespaceSelector: {matchLabels: {policies: guarded}}}
  clusters: {matchLabels: {policies: prod}}
  rules:
    staged: true
    approval: {groups: [policies-sre], allowRequester: false}
`
	policiesMore = `apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: %s}
spec:
  enforcement: %s
  match: {clusterScoped: false, namespaceSelector: {matchLabels: {policies: guarded}}}
  clusters: {matchLabels: %s}
  rules: {%s}
`
	policiesStrategies = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateStrategy
metadata: {name: ungated, namespace: policies}
spec: {stages: [{name: all, labelSelector: {}, maxConcurrency: 100%}]}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateStrategy
metadata: {name: gated, namespace: policies}
spec:
  stages:
  - name: all
    labelSelector: {}
    beforeStageTasks: [{type: Approval, approval: {groups: [policies-sre], allowRequester: false}}]
    maxConcurrency: 100%
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateStrategy
metadata: {name: halts, namespace: policies}
spec:
  stages:
  - name: first
    labelSelector: {matchLabels: {environment: staging}}
    afterStageTasks: [{type: Approval}]
  - name: rest
    labelSelector: {matchLabels: {environment: canary}}
`
	policiesPlacement = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: %[1]s, namespace: policies}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: %[1]s}]
  policy: {placementType: PickFixed, clusterNames: [%[2]s]}
  strategy: {type: %[3]s}
`
	policiesRun = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateRun
metadata: {name: %s, namespace: policies}
spec: {placementName: %s, stagedRolloutStrategyName: %s, state: %s%s}
`
)

// What the guard says of a plan without its approval, and of one that lets too many approve.
const (
	policiesOf      = " (ClusterRolloutPolicy e2e-guard: Production needs SRE)"
	policiesUngated = `(1 cluster, 1 protected): beforeStageTasks must have an Approval with groups: [policies-sre], allowRequester: false` + policiesOf
)

// policies is the namespace of the team.
type policies struct{ *suite }

var kindTeamRun = placementV1beta1.WithKind("StagedUpdateRun")

// testPolicies is a team that writes its strategies, placements and runs itself, and tries each way to production.
func testPolicies(t *testing.T, s *suite) {
	p := policies{s}
	p.setUp(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"OnlyTheRightGateLetsARunIn", p.testGate},
		{"APlanKeepsItsGate", p.testStrategyEditedAfterPlanning},
		{"RecreatedPlacementDoesNotHelp", p.testRecreatedPlacement},
		{"RollingUpdateIsRefused", p.testRollingUpdate},
		{"DeletionNeedsARun", p.testDeletion},
		{"DeletionHandsNothingOver", p.testHandoverOfADeletion},
		{"MemberRelabelledBeforeTheStart", p.testRelabelledBeforeTheStart},
		{"MemberRelabelledMeanwhile", p.testRelabelledMeanwhile},
		{"PolicyOfALaterDay", p.testLaterPolicy},
		{"OverrideTakesTheVerb", p.testOverride},
		{"WarningsLetThrough", p.testWarn},
		{"NamespaceBindsItself", p.testNamespaceBindsItself},
		{"Rollback", p.testRollback},
		{"UnpickedMeanwhile", p.testUnpickedMeanwhile},
		{"RollbackOfWhatAnotherReplaced", p.testRollbackOfWhatAnotherReplaced},
		{"ScalingToProduction", p.testScaling},
		{"ClusterScoped", p.testClusterScoped},
		{"PluginOff", p.testPluginOff},
		{"NamespaceGoesWithItsPlacements", p.testNamespaceGoes},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.explain(t, "sur,areq,rp,rb -n policies", "clusterrolloutpolicies,memberclusters")
			test.run(t)
		})
	}
}

func (p policies) setUp(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		p.mustRunInCleanup(t, `kubectl delete clusterrolloutpolicies --all
kubectl label membercluster --all policies-
kubectl delete clusterrolebinding e2e-policies-oncall --ignore-not-found
kubectl delete ns policies --ignore-not-found
kubectl delete crp policies --ignore-not-found`)
	})
	for user, groups := range map[string][]string{policiesTeam: nil, policiesOwner: nil, policiesOnCall: nil, policiesApprover: {policiesSRE}} {
		if _, err := p.environment.User(user, groups...); err != nil {
			t.Fatal(err)
		}
	}
	p.mustRun(t, `
kubectl create ns policies
kubectl label ns policies policies=guarded
kubectl label membercluster member3 policies=prod
kubectl create rolebinding team -n policies --clusterrole=edit --user=policies-team --user=policies-oncall
kubectl create rolebinding owner -n policies --clusterrole=admin --user=policies-owner
kubectl create rolebinding approvers -n policies --clusterrole=stagegate-approver --group=policies-sre --user=policies-team
kubectl create clusterrolebinding e2e-policies-oncall --clusterrole=stagegate-breakglass --user=policies-oncall
`)
	p.hub().mustCreate(t, `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: policies}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: policies, selectionScope: NamespaceOnly}]
`)
	p.do(t, hub.HubName, "kubectl wait crp/policies --for=condition=ClusterResourcePlacementAvailable")
	for user, resource := range map[string]string{policiesTeam: "stagedupdateruns", policiesOnCall: "stagedupdateruns", policiesOwner: "resourceplacements", policiesApprover: "approvalrequests/approve"} {
		p.awaitPermission(t, user, policiesNamespace, "update", resource)
	}
	p.awaitPermission(t, policiesTeam, policiesNamespace, "update", "approvalrequests/approve")
	p.apply(t, policiesTeam, policiesStrategies)
	p.apply(t, hub.HubName, policiesGuard)
	p.protects(t, "e2e-guard", 1)
}

// do runs kubectl as somebody, with a deadline for what it waits for.
func (p policies) do(t *testing.T, who, script string) string {
	t.Helper()
	out, err := p.run(t.Context(), who, script+" 2>&1"+strings.Repeat(fmt.Sprintf(" --timeout=%s", patience), strings.Count(script, "kubectl wait")))
	if err != nil {
		t.Fatalf("%s: %s: %v: %s", who, script, err, out)
	}
	return out
}

func stdin(text string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader(text) }
}

// apply applies manifests as somebody and returns what kubectl prints, warnings and all.
func (p policies) apply(t *testing.T, who, manifests string) string {
	t.Helper()
	out, err := p.run(t.Context(), who, "kubectl apply -f - 2>&1", stdin(manifests))
	if err != nil {
		t.Fatalf("%s applies\n%s%v: %s", who, manifests, err, out)
	}
	return out
}

// refuses holds that somebody may create something neither in earnest nor in a dry run, and is told why.
func (p policies) refuses(t *testing.T, who, manifest string, why ...string) {
	t.Helper()
	for _, command := range []string{"kubectl create -f -", "kubectl create --dry-run=server -f -"} {
		out, err := p.run(t.Context(), who, command, stdin(manifest))
		if err == nil {
			t.Errorf("%s: %s\n%s\nwas not refused: %s", who, command, manifest, out)
			continue
		}
		for _, text := range append(why, "(Forbidden)") {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %s\n%s\nwas refused with\n%v\nwant %q", who, command, manifest, err, text)
			}
		}
	}
}

// place has a ConfigMap with value1, and a placement that runs move to some members.
func (p policies) place(t *testing.T, name string, members ...string) {
	t.Helper()
	p.apply(t, policiesTeam, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: policies}\ndata: {key: value1}\n---\n", name)+
		fmt.Sprintf(policiesPlacement, name, strings.Join(members, ", "), "External"))
	p.do(t, hub.HubName, "kubectl wait -n policies rp/"+name+" --for=condition=ResourcePlacementScheduled")
	p.do(t, hub.HubName, "kubectl wait -n policies resourcesnapshot/"+name+"-0-snapshot --for=create")
}

// protects waits until the server knows that a policy protects so many clusters.
func (p policies) protects(t *testing.T, policy string, clusters int) {
	t.Helper()
	p.do(t, hub.HubName, fmt.Sprintf("kubectl wait clusterrolloutpolicy/%s --for=jsonpath='{.status.governs.clusters}'=%d", policy, clusters))
}

func (p policies) start(t *testing.T, who, name, placement, strategy string, more ...string) string {
	t.Helper()
	return p.apply(t, who, fmt.Sprintf(policiesRun, name, placement, strategy, "Run", strings.Join(more, "")))
}

func (p policies) plan(t *testing.T, name, placement, strategy string) {
	t.Helper()
	p.apply(t, policiesTeam, fmt.Sprintf(policiesRun, name, placement, strategy, "Initialize", ""))
	p.do(t, policiesTeam, "kubectl wait -n policies sur/"+name+" --for=condition=Initialized")
}

// startOf is how a planned run is started.
func startOf(run string) string {
	return "kubectl patch -n policies sur " + run + ` --type=merge -p '{"spec":{"state":"Run"}}'`
}

func (p policies) startPlanned(t *testing.T, name string) {
	t.Helper()
	p.do(t, policiesTeam, startOf(name))
}

func (p policies) approve(t *testing.T, request string) {
	t.Helper()
	p.do(t, hub.HubName, "kubectl wait -n policies areq/"+request+" --for=create")
	p.do(t, policiesApprover, "kubectl patch -n policies areq "+request+` --subresource=approve --type=merge -p '{"spec":{}}'`)
}

func (p policies) succeeds(t *testing.T, run string) {
	t.Helper()
	p.do(t, hub.HubName, "kubectl wait -n policies sur/"+run+" --for=condition=Succeeded")
}

// ends waits until a run has a condition with a reason and a message.
func (p policies) ends(t *testing.T, run, conditionType, reason string, texts ...string) {
	t.Helper()
	p.eventually(t, func() error {
		obj, err := p.hub().get(t.Context(), kindTeamRun, policiesNamespace, run)
		if err != nil {
			return err
		}
		if err := condition(obj, conditionType, "False", reason); err != nil {
			return err
		}
		found, err := findCondition(obj, conditionType)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if !strings.Contains(found.Message, text) {
				return fmt.Errorf("%s of %s is %q, want %q", conditionType, run, found.Message, text)
			}
		}
		return nil
	})
}

// has waits until a member has a ConfigMap with a value, or none.
func (p policies) has(t *testing.T, name, member, value string) {
	t.Helper()
	p.eventually(t, func() error { return p.values(t.Context(), policiesNamespace, name, map[string]string{member: value}) })
}

func (p policies) hasNothing(t *testing.T, name, member string) {
	t.Helper()
	if err := p.values(t.Context(), policiesNamespace, name, map[string]string{member: ""}); err != nil {
		t.Error(err)
	}
}

func (p policies) testGate(t *testing.T) {
	p.place(t, "gate", "member3")
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "ungated", "gate", "ungated", "Run", ""), `stage "all" `+policiesUngated)
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "ungated", "gate", "ungated", "Initialize", ""), `stage "all" `+policiesUngated)

	// Another strategy, which they write to approve it themselves.
	out := p.apply(t, policiesTeam, strings.ReplaceAll(strings.Split(policiesStrategies, "---\n")[0], "labelSelector: {}", "labelSelector: {}, beforeStageTasks: [{type: Approval}]"))
	if !strings.Contains(out, "Warning: ") || !strings.Contains(out, "the Approval in beforeStageTasks must have groups: [policies-sre], allowRequester: false"+policiesOf) {
		t.Errorf("whoever writes such a strategy is not warned: %s", out)
	}
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "ungated", "gate", "ungated", "Run", ""), "the Approval in beforeStageTasks must have groups: [policies-sre], allowRequester: false"+policiesOf)
	p.apply(t, policiesTeam, policiesStrategies)

	p.start(t, policiesTeam, "gated", "gate", "gated")
	p.do(t, hub.HubName, "kubectl wait -n policies areq/gated-before-all --for=create")
	p.refused(t, policiesTeam, `kubectl patch -n policies areq gated-before-all --subresource=approve --type=merge -p '{"spec":{}}'`, "(Forbidden)")
	p.hasNothing(t, "gate", "member3")
	p.approve(t, "gated-before-all")
	p.succeeds(t, "gated")
	p.has(t, "gate", "member3", "value1")
	if got := p.mustRun(t, `kubectl get -n policies sur gated -o jsonpath='{range .status.policies[*]}{.kind} {.name} {.generation} {.stages}{end}'`); got != `ClusterRolloutPolicy e2e-guard 1 ["all"]` {
		t.Errorf("the run records that it is governed by %s", got)
	}
}

func (p policies) testStrategyEditedAfterPlanning(t *testing.T) {
	p.place(t, "edited", "member3")
	p.plan(t, "edited", "edited", "gated")
	p.apply(t, policiesTeam, strings.ReplaceAll(strings.Split(policiesStrategies, "---\n")[0], "name: ungated", "name: gated"))
	p.startPlanned(t, "edited")
	p.approve(t, "edited-before-all")
	p.succeeds(t, "edited")
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "edited-again", "edited", "gated", "Run", ""), policiesUngated)
	p.apply(t, policiesTeam, policiesStrategies)
}

func (p policies) testRecreatedPlacement(t *testing.T) {
	p.place(t, "recreated", "member1")
	p.plan(t, "recreated", "recreated", "ungated")
	p.do(t, policiesTeam, "kubectl delete -n policies rp recreated")
	p.place(t, "recreated", "member3")
	p.startPlanned(t, "recreated")
	p.ends(t, "recreated", "Succeeded", "UpdateRunFailed", "parent placement not found")
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "recreated-2", "recreated", "ungated", "Run", ""), policiesUngated)
	p.hasNothing(t, "recreated", "member3")
}

func (p policies) testRollingUpdate(t *testing.T) {
	const external = `spec.strategy.type must be External` + policiesOf
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesPlacement, "rolling", "member3", "RollingUpdate"), "the placement (protected: member3): "+external)
	// Elsewhere it may roll, and not from there to production.
	p.apply(t, policiesTeam, fmt.Sprintf(policiesPlacement, "rolling", "member1", "RollingUpdate"))
	p.refused(t, policiesTeam, `kubectl patch -n policies rp rolling --type=merge -p '{"spec":{"policy":{"clusterNames":["member1","member3"]}}}'`, external)
	p.place(t, "flips", "member3")
	p.refused(t, policiesTeam, `kubectl patch -n policies rp flips --type=merge -p '{"spec":{"strategy":{"type":"RollingUpdate"}}}'`, "External")
	// A member that becomes production is not moved any further.
	p.apply(t, policiesTeam, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rolling, namespace: policies}\ndata: {key: value1}\n")
	p.has(t, "rolling", "member1", "value1")
	p.relabel(t, "member1")
	p.apply(t, policiesTeam, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rolling, namespace: policies}\ndata: {key: value2}\n")
	p.keeps(t, "rolling", "the placement (protected: member1): spec.strategy.type must be External"+policiesOf)
	p.has(t, "rolling", "member1", "value1")
	// Such a label must not lock anybody out of everything else.
	p.do(t, policiesTeam, "kubectl label -n policies rp rolling team=shop")
	// With External it is staged, and a run with the gate moves it.
	p.do(t, policiesTeam, `kubectl patch -n policies rp rolling --type=merge -p '{"spec":{"strategy":{"type":"External"}}}'`)
	p.start(t, policiesTeam, "rolling", "rolling", "gated")
	p.approve(t, "rolling-before-all")
	p.has(t, "rolling", "member1", "value2")
}

// keeps waits until the only cluster of a placement with RollingUpdate is kept as it is.
func (p policies) keeps(t *testing.T, placement, why string) {
	t.Helper()
	p.eventually(t, func() error {
		got, err := p.run(t.Context(), policiesTeam, "kubectl get -n policies rp "+placement+
			` -o jsonpath='{range .status.placementStatuses[*].conditions[?(@.type=="RolloutStarted")]}{.status} {.reason}: {.message}{end}'`)
		if err == nil && (!strings.Contains(got, "False RolloutPolicyViolated: ") || !strings.Contains(got, why)) {
			err = fmt.Errorf("RolloutStarted of %s is %q, want %q", placement, got, why)
		}
		return err
	})
}

// relabel makes a member production until the test ends.
func (p policies) relabel(t *testing.T, member string) {
	t.Helper()
	t.Cleanup(func() { p.mustRunInCleanup(t, "kubectl label membercluster "+member+" policies-") })
	p.mustRun(t, "kubectl label membercluster "+member+" policies=prod")
	p.protects(t, "e2e-guard", 2)
}

func (p policies) testDeletion(t *testing.T) {
	p.place(t, "deletion", "member1", "member3")
	p.start(t, policiesTeam, "deletion", "deletion", "gated")
	p.approve(t, "deletion-before-all")
	p.succeeds(t, "deletion")
	const removal = "a run must remove its resources from member3 first: change spec.policy so that it does not pick them, and create a run" + policiesOf
	for _, script := range []string{"kubectl delete -n policies rp deletion", "kubectl delete -n policies rp deletion --dry-run=server", "kubectl delete --raw '/apis/placement.kubernetes-fleet.io/v1beta1/namespaces/policies/resourceplacements?dryRun=All'"} {
		p.refused(t, policiesTeam, script, removal)
	}
	p.has(t, "deletion", "member3", "value1")

	// As the refusal says, with the approval for the removal.
	p.do(t, policiesTeam, `kubectl patch -n policies rp deletion --type=merge -p '{"spec":{"policy":{"clusterNames":["member1"]}}}'`)
	p.eventually(t, func() error {
		_, err := p.run(t.Context(), policiesTeam, "kubectl create --dry-run=server -f -", stdin(fmt.Sprintf(policiesRun, "removal", "deletion", "ungated", "Run", "")))
		if err == nil || !strings.Contains(err.Error(), "the removal of resources (1 cluster, 1 protected): a stage of the strategy must have an Approval with groups: [policies-sre], allowRequester: false, which the removal asks for too") {
			return fmt.Errorf("a removal without approval: %w", err)
		}
		return nil
	})
	p.start(t, policiesTeam, "removal", "deletion", "gated")
	p.approve(t, "removal-before-all")
	p.has(t, "deletion", "member3", "value1")
	p.approve(t, "removal-before-delete-stage")
	p.succeeds(t, "removal")
	p.has(t, "deletion", "member3", "")
	p.do(t, policiesTeam, "kubectl delete -n policies rp deletion")
}

func (p policies) testRelabelledBeforeTheStart(t *testing.T) {
	p.place(t, "before", "member2")
	p.plan(t, "before", "before", "ungated")
	p.relabel(t, "member2")
	p.refused(t, policiesTeam, startOf("before"), policiesUngated)
	p.hasNothing(t, "before", "member2")
}

func (p policies) testRelabelledMeanwhile(t *testing.T) {
	p.place(t, "meanwhile", "member1", "member2")
	p.start(t, policiesTeam, "meanwhile", "meanwhile", "halts")
	p.do(t, hub.HubName, "kubectl wait -n policies areq/meanwhile-after-first --for=create")
	p.relabel(t, "member1")
	p.approve(t, "meanwhile-after-first")
	p.succeeds(t, "meanwhile")
	p.has(t, "meanwhile", "member1", "value1")
}

func (p policies) testLaterPolicy(t *testing.T) {
	p.place(t, "later", "member2")
	p.plan(t, "later", "later", "ungated")
	p.start(t, policiesTeam, "later-waits", "later", "gated")
	p.do(t, hub.HubName, "kubectl wait -n policies areq/later-waits-before-all --for=create")
	p.more(t, "e2e-later", "Enforce", "{environment: staging}", "maxStageClusters: 1, approval: {required: 2}")
	const missing = "the Approval in beforeStageTasks must have required: 2 or more (ClusterRolloutPolicy e2e-later)"
	p.refused(t, policiesTeam, startOf("later"), "beforeStageTasks must have an Approval with required: 2 or more (ClusterRolloutPolicy e2e-later)")
	// One that waits for its first approval has updated nothing yet.
	p.ends(t, "later-waits", "Progressing", "UpdateRunPolicyChanged")
	p.ends(t, "later-waits", "Succeeded", "UpdateRunPolicyChanged", missing, "create a new run")
	p.hasNothing(t, "later", "member2")
}

// more makes one more policy until the test ends.
func (p policies) more(t *testing.T, name, enforcement, clusters, rules string) {
	t.Helper()
	t.Cleanup(func() { p.mustRunInCleanup(t, "kubectl delete clusterrolloutpolicy "+name) })
	p.apply(t, hub.HubName, fmt.Sprintf(policiesMore, name, enforcement, clusters, rules))
	p.protects(t, name, 1)
}

func (p policies) testOverride(t *testing.T) {
	const override = `, policyOverride: {policies: [e2e-guard], reason: INC-7 hotfix}`
	p.place(t, "override", "member3")
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "override", "override", "ungated", "Run", override), policiesTeam, "override", "clusterrolloutpolicies", "e2e-guard")
	p.refuses(t, policiesOwner, fmt.Sprintf(policiesRun, "override", "override", "ungated", "Run", override), policiesOwner, "override", "clusterrolloutpolicies", "e2e-guard")
	// The verb alone overrides nothing.
	p.refuses(t, policiesOnCall, fmt.Sprintf(policiesRun, "override", "override", "ungated", "Run", ""), policiesUngated)
	p.start(t, policiesOnCall, "override", "override", "ungated", override)
	p.succeeds(t, "override")
	p.has(t, "override", "member3", "value1")
	run := p.mustRun(t, "kubectl get -n policies sur override -o yaml")
	for _, text := range []string{"reason: PolicyOverridden", "INC-7 hotfix", "username: " + policiesOnCall, "overridden: true"} {
		if !strings.Contains(run, text) {
			t.Errorf("the run does not record %q:\n%s", text, run)
		}
	}
	if out, err := p.run(t.Context(), policiesOnCall, "kubectl create -f - 2>&1", stdin(fmt.Sprintf(policiesRun, "override-2", "override", "ungated", "Run", `, policyOverride: {policies: [e2e-guard, nobody], reason: INC-7}`))); err == nil || !strings.Contains(out, "nobody") {
		t.Errorf("an override of a policy that there is not: %v: %s", err, out)
	}
	if out, err := p.run(t.Context(), policiesOnCall, `kubectl patch -n policies sur override --type=merge -p '{"spec":{"policyOverride":{"reason":"other"}}}' 2>&1`); err == nil {
		t.Errorf("the override is changed: %s", out)
	}
}

func (p policies) testWarn(t *testing.T) {
	p.place(t, "warn", "member2")
	p.more(t, "e2e-warn", "Warn", "{environment: staging}", "approval: {}")
	out := p.start(t, policiesTeam, "warn", "warn", "ungated")
	if want := `stage "all" (1 cluster, 1 protected): beforeStageTasks must have an Approval (ClusterRolloutPolicy e2e-warn)`; !strings.Contains(out, "Warning: ") || !strings.Contains(out, want) {
		t.Errorf("kubectl prints\n%s\nwant a warning with\n%s", out, want)
	}
	p.succeeds(t, "warn")
	p.has(t, "warn", "member2", "value1")
}

func (p policies) testNamespaceBindsItself(t *testing.T) {
	const own = `apiVersion: rollout.stagegate.dev/v1alpha1
kind: RolloutPolicy
metadata: {name: own, namespace: policies}
spec: {rules: {approval: {required: 2}}}
`
	p.refuses(t, policiesTeam, own, "cannot create resource")
	p.refuses(t, policiesOwner, policiesGuard, "cannot create resource")
	p.apply(t, policiesOwner, own)
	t.Cleanup(func() { p.mustRunInCleanup(t, "kubectl delete -n policies rolloutpolicy own") })
	p.do(t, hub.HubName, "kubectl wait -n policies rolloutpolicy/own --for=jsonpath='{.status.governs.clusters}'=3")
	p.place(t, "own", "member2")
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "own", "own", "ungated", "Run", ""), "beforeStageTasks must have an Approval with required: 2 or more (RolloutPolicy own)")
	if out, err := p.run(t.Context(), hub.HubName, "kubectl create -f - 2>&1", stdin(fmt.Sprintf(policiesRun, "own", "own", "ungated", "Run", ", policyOverride: {policies: [own], reason: INC-7}"))); err == nil || !strings.Contains(out, "own") {
		t.Errorf("a RolloutPolicy is overridden: %s", out)
	}
	p.refused(t, policiesTeam, "kubectl delete -n policies rolloutpolicy own", "(Forbidden)")
}

func (p policies) testRollback(t *testing.T) {
	p.place(t, "back", "member3")
	p.start(t, policiesTeam, "back-1", "back", "gated")
	p.approve(t, "back-1-before-all")
	p.succeeds(t, "back-1")
	p.apply(t, policiesTeam, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: back, namespace: policies}\ndata: {key: value2}\n")
	p.do(t, hub.HubName, "kubectl wait -n policies resourcesnapshot/back-1-snapshot --for=create")
	p.start(t, policiesTeam, "back-2", "back", "gated")
	p.approve(t, "back-2-before-all")
	p.succeeds(t, "back-2")
	p.has(t, "back", "member3", "value2")

	p.more(t, "e2e-deny", "Enforce", "{policies: prod}", "deny: true")
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "back-3", "back", "gated", "Run", ", rollbackOf: back-2"), "no version may reach member3, nor an earlier one", "(ClusterRolloutPolicy e2e-deny)")
	p.mustRun(t, "kubectl delete clusterrolloutpolicy e2e-deny; kubectl wait clusterrolloutpolicy/e2e-deny --for=delete --timeout=1m")
	p.apply(t, hub.HubName, fmt.Sprintf(policiesMore, "e2e-deny", "Warn", "{policies: prod}", "deny: true"))
	p.protects(t, "e2e-deny", 1)
	p.start(t, policiesTeam, "back-3", "back", "gated", ", rollbackOf: back-2")
	p.succeeds(t, "back-3")
	p.has(t, "back", "member3", "value1")
}

// testPluginOff takes the plugin away, which answers at once. The initialization holds the policies without it.
func (p policies) testPluginOff(t *testing.T) {
	p.place(t, "disabled", "member3")
	flags := p.options.ServerFlags
	p.options.ServerFlags = append(slices.Clone(flags), "--disable-admission-plugins=RolloutPolicy")
	t.Cleanup(func() {
		p.options.ServerFlags = flags
		p.up(t)
	})
	p.up(t)
	p.start(t, policiesTeam, "disabled", "disabled", "ungated")
	p.ends(t, "disabled", "Initialized", "UpdateRunInitializedFailed", `stage "all" `+policiesUngated)
	p.refuses(t, policiesTeam, fmt.Sprintf(policiesRun, "disabled-2", "disabled", "ungated", "Run", `, policyOverride: {policies: [e2e-guard], reason: INC-7}`), policiesTeam, "override")
	// So does the controller of RollingUpdate.
	p.apply(t, policiesTeam, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rolls, namespace: policies}\ndata: {key: value1}\n---\n"+fmt.Sprintf(policiesPlacement, "rolls", "member3", "RollingUpdate"))
	p.keeps(t, "rolls", "the placement (protected: member3): spec.strategy.type must be External"+policiesOf)
	p.hasNothing(t, "disabled", "member3")
	p.hasNothing(t, "rolls", "member3")
}

func (p policies) testNamespaceGoes(t *testing.T) {
	p.has(t, "gate", "member3", "value1")
	p.refused(t, policiesTeam, "kubectl delete -n policies rp gate", policiesOf)
	p.mustRun(t, fmt.Sprintf("kubectl delete ns policies --timeout=%s", patience))
	p.has(t, "gate", "member3", "")
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/admission/rolloutpolicy"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apiserver"
	"github.com/stagegate/stagegate/pkg/rollout"
	"github.com/stagegate/stagegate/pkg/rollout/scheduling"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

const teamNamespace = "test-namespace"

// policed is a server with a fleet, of which a policy protects prod, seen by somebody who may do everything and by somebody who may not
// override policies.
type policed struct {
	*testing.T
	server     *testserver.Server
	hub        kubernetes.Interface
	alice, bob *kubectl
}

const prodGuard = `
apiVersion: rollout.stagegate.dev/v1alpha1
kind: ClusterRolloutPolicy
metadata: {name: prod-guard}
spec:
  description: Production needs SRE
  match: {namespaceSelector: {}}
  clusters: {matchLabels: {env: prod}}
  rules: {staged: true, maxConcurrency: 1}
`

func newPoliced(t *testing.T, options ...testserver.Option) *policed {
	t.Helper()
	p := &policed{T: t, hub: testserver.NewHub()}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: teamNamespace}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
	if _, err := p.hub.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p.server = testserver.Start(t, append([]testserver.Option{
		testserver.WithHub(p.hub),
		testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
			return testserver.Authorize(a) && (a.GetUser().GetName() == testserver.Alice || a.GetVerb() != "override")
		}),
		testserver.WithConfig(func(c *apiserver.Config) {
			c.Generic.ClientConfig = testserver.StartHub(t)
			c.Extra.NewManager = func(api, hub *rest.Config, options rollout.Options) (apiserver.Manager, error) {
				return rollout.New(api, hub, rollout.Options{
					Controllers: []string{scheduling.Name, updaterun.Name},
					StoreID:     testserver.HubStoreID,
					HubRecord:   options.HubRecord,
					Namespaces:  options.Namespaces,
				})
			}
		}),
	}, options...)...)
	p.alice, p.bob = newKubectl(t, p.server.As(testserver.Alice)), newKubectl(t, p.server.As(testserver.Bob))
	p.write(prodGuard)
	for name, env := range map[string]string{"canary1": "canary", "prod1": "prod", "prod2": "prod"} {
		p.write(fmt.Sprintf(`{apiVersion: cluster.kubernetes-fleet.io/v1, kind: MemberCluster, metadata: {name: %s, labels: {env: %s}}, spec: {identity: {kind: User, name: m, apiGroup: rbac.authorization.k8s.io}}}`, name, env))
		var conditions []string
		for _, of := range []string{"ReadyToJoin", "Joined", "Healthy"} {
			conditions = append(conditions, fmt.Sprintf(`{"type":"%s","status":"True","reason":"Set","message":"","lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1}`, of))
		}
		p.alice.run("patch", "membercluster", name, "--subresource=status", "--type=merge", "-p", `{"status":{"conditions":[`+strings.Join(conditions, ",")+`],`+
			`"agentStatus":[{"type":"MemberAgent","lastReceivedHeartbeat":"`+time.Now().UTC().Format(time.RFC3339)+`"}]}}`)
	}
	return p
}

func (p *policed) write(manifest string) string {
	p.Helper()
	out, err := p.alice.try(manifest, "create", "-f", "-")
	if err != nil {
		p.Fatalf("%s: %v\n%s", manifest, err, out)
	}
	return out
}

// refused is a command that must fail, and say why.
func (p *policed) refused(k *kubectl, stdin string, why []string, args ...string) {
	p.Helper()
	out, err := k.try(stdin, args...)
	if err == nil {
		p.Errorf("kubectl %s is not refused:\n%s\n%s", strings.Join(args, " "), stdin, out)
	}
	for _, text := range why {
		if !strings.Contains(out, text) {
			p.Errorf("kubectl %s: got\n%s\nwant %s", strings.Join(args, " "), out, text)
		}
	}
}

// policedScope names the kinds of a scope.
type policedScope struct{ prefix, lower, meta string }

var policedScopes = map[string]policedScope{"cluster-scoped": {"Cluster", "cluster", ""}, "namespaced": {"", "", "namespace: " + teamNamespace + ", "}}

func (s policedScope) placement(name, strategy, policy string) string {
	return fmt.Sprintf(`{apiVersion: placement.kubernetes-fleet.io/v1, kind: %sResourcePlacement, metadata: {%sname: %s},
		spec: {resourceSelectors: [%s], strategy: {type: %s}, policy: %s}}`, s.prefix, s.meta, name, s.selector(), strategy, policy)
}

func (s policedScope) selector() string {
	if s.prefix == "" {
		return `{group: "", version: v1, kind: Secret, name: s}`
	}
	return `{group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, name: r}`
}

func (s policedScope) strategy(name, concurrency string) string {
	return fmt.Sprintf(`{apiVersion: placement.kubernetes-fleet.io/v1, kind: %sStagedUpdateStrategy, metadata: {%sname: %s}, spec: {stages: [
		{name: canary, labelSelector: {matchLabels: {env: canary}}}, {name: prod, labelSelector: {matchLabels: {env: prod}}, maxConcurrency: %s}]}}`, s.prefix, s.meta, name, concurrency)
}

func (s policedScope) run(name, strategy, more string) string {
	return fmt.Sprintf(`{apiVersion: placement.kubernetes-fleet.io/v1, kind: %sStagedUpdateRun, metadata: {%sname: %s},
		spec: {placementName: app, resourceSnapshotIndex: "0", stagedRolloutStrategyName: %s%s}}`, s.prefix, s.meta, name, strategy, more)
}

// place makes the placement app, for all clusters and with a version, and waits until they are picked.
func (p *policed) place(s policedScope) {
	p.Helper()
	p.write(s.placement("app", "External", "{placementType: PickAll}"))
	p.write(fmt.Sprintf(`{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: %sResourceSnapshot, metadata: {%sname: app-0-snapshot,
		labels: {%q: app, %q: "0", %q: "true"}, annotations: {%q: "0", %q: "1", %q: "0"}},
		spec: {selectedResources: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: %s}}]}}`, s.prefix, s.meta, wellknown.ParentPlacementLabel, wellknown.ResourceIndexLabel,
		wellknown.LatestSnapshotLabel, wellknown.ResourceHashAnnotation, wellknown.NumberOfSnapshotsAnnotation, wellknown.NumberOfEnvelopesAnnotation, teamNamespace))
	p.write(fmt.Sprintf(`{apiVersion: placement.kubernetes-fleet.io/v1beta1, kind: %sSchedulingPolicySnapshot, metadata: {%sname: app-0,
		labels: {%q: app, %q: "0", %q: "true"}, annotations: {%q: "1"}}, spec: {policy: {placementType: PickAll}, policyHash: YWxs}}`, s.prefix, s.meta,
		wellknown.ParentPlacementLabel, wellknown.PolicyIndexLabel, wellknown.LatestSnapshotLabel, wellknown.PlacementGenerationAnnotation))
	p.alice.run("wait", "--timeout=60s", "--for=condition=Scheduled", s.lower+"schedulingpolicysnapshots/app-0")
}

// until has kubectl tried until it says something.
func (p *policed) until(text, stdin string, args ...string) {
	p.Helper()
	out := ""
	err := wait.PollUntilContextTimeout(p.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		out, _ = p.alice.try(stdin, args...)
		return strings.Contains(out, text), nil
	})
	if err != nil {
		p.Fatalf("kubectl %s: got\n%s\nwant %s", strings.Join(args, " "), out, text)
	}
}

const (
	// overTheLimit is what prod-guard says of a stage that updates both clusters of prod at once.
	overTheLimit = `stage "prod" (2 clusters, 2 protected): maxConcurrency must be `
	byProdGuard  = "(ClusterRolloutPolicy prod-guard: Production needs SRE)"
)

func TestPoliciesAreHeldWhenThingsAreWritten(t *testing.T) {
	p := newPoliced(t)
	for scope, s := range policedScopes {
		t.Run(scope, func(t *testing.T) {
			p := &policed{T: t, server: p.server, hub: p.hub, alice: p.alice, bob: p.bob}
			placements, runs := s.lower+"resourceplacements", s.lower+"stagedupdateruns"

			// A placement must not roll to prod by itself.
			mustBeExternal := []string{"Error from server (Forbidden)", `"app" is forbidden: the placement (protected: prod1, prod2): spec.strategy.type must be External ` + byProdGuard}
			// Policies and members are on their way to the caches.
			p.until(mustBeExternal[1], s.placement("app", "RollingUpdate", "{placementType: PickAll}"), "create", "--dry-run=server", "-f", "-")
			p.refused(p.alice, s.placement("app", "RollingUpdate", "{placementType: PickAll}"), mustBeExternal, "create", "-f", "-")
			p.refused(p.alice, s.placement("app", "RollingUpdate", "{placementType: PickAll}"), mustBeExternal, "apply", "--server-side", "-f", "-")
			p.write(s.placement("canaries", "RollingUpdate", "{placementType: PickFixed, clusterNames: [canary1]}"))
			p.refused(p.alice, "", []string{"(Forbidden)", "(protected: prod1): spec.strategy.type must be External"},
				"patch", placements, "canaries", "--type=merge", "-p", `{"spec":{"policy":{"clusterNames":["canary1","prod1"]}}}`)
			p.place(s)
			p.refused(p.alice, "", []string{"strategy"}, "patch", placements, "app", "--type=merge", "-p", `{"spec":{"strategy":{"type":"RollingUpdate"}}}`)

			// A strategy is warned of.
			if out := p.write(s.strategy("fast", "100%")); !strings.Contains(out, "Warning: a run of all present member clusters would be refused: "+overTheLimit) {
				t.Errorf("a strategy that violates the policy:\n%s", out)
			}
			if out := p.write(s.strategy("slow", "1")); strings.Contains(out, "Warning") {
				t.Errorf("a strategy that does not:\n%s", out)
			}

			// A run is refused, also if it were only to be looked at.
			p.until(overTheLimit, s.run("next", "fast", ""), "create", "--dry-run=server", "-f", "-")
			refusal := []string{"Error from server (Forbidden)", `"next" is forbidden: ` + overTheLimit, byProdGuard}
			for _, args := range [][]string{{"create", "-f", "-"}, {"create", "--dry-run=server", "-f", "-"}, {"apply", "--server-side", "-f", "-"}} {
				p.refused(p.alice, s.run("next", "fast", ""), refusal, args...)
			}
			p.write(s.run("slowly", "slow", ""))

			// Only those who may override, and each policy that is meant.
			override := ", policyOverride: {policies: [%s], reason: INC-7 hotfix}"
			prod, typo := fmt.Sprintf(override, "prod-guard"), fmt.Sprintf(override, "prod-gard")
			mayNot := []string{"(Forbidden)", `user "bob" needs the permission to override clusterrolloutpolicies.rollout.stagegate.dev of the name prod-guard`}
			for _, args := range [][]string{{"create", "-f", "-"}, {"create", "--dry-run=server", "-f", "-"}, {"apply", "--server-side", "-f", "-"}} {
				p.refused(p.bob, s.run("next", "fast", prod), mayNot, args...)
			}
			p.refused(p.alice, s.run("next", "fast", typo), []string{"(Forbidden)", overTheLimit, "there is no ClusterRolloutPolicy prod-gard: correct the name, or remove it from spec.policyOverride.policies"}, "create", "-f", "-")
			p.until("is invalid", s.run("next", "slow", typo), "create", "--dry-run=server", "-f", "-")
			p.refused(p.alice, s.run("next", "slow", typo), []string{"is invalid", "spec.policyOverride.policies: Invalid value: \"prod-gard\""}, "create", "-f", "-")
			if out := p.write(s.run("next", "fast", prod)); !strings.Contains(out, "Warning: "+overTheLimit) {
				t.Errorf("an override says\n%s", out)
			}
			p.refused(p.alice, "", []string{"policyOverride is immutable"}, "patch", runs, "next", "--type=merge", "-p", `{"spec":{"policyOverride":{"reason":"none"}}}`)
			p.refused(p.bob, "", mayNot, "patch", runs, "next", "--type=merge", "-p", `{"spec":{"state":"Run"}}`)
			p.refused(p.alice, "", []string{"policyOverride is immutable and cannot be removed: delete the run"}, "patch", runs, "next", "--type=merge", "-p",
				`{"spec":{"policyOverride":null,"state":"Run"}}`)
			p.alice.run("patch", runs, "next", "--type=merge", "-p", `{"spec":{"state":"Run"}}`)
			if out := p.alice.run("get", runs, "next", "-o", "jsonpath={.spec.policyOverride.reason} {.spec.state}"); out != "INC-7 hotfix Run" {
				t.Errorf("the start leaves %q", out)
			}

			// A run takes prod off first.
			p.until("INC-7", "", "get", runs, "next", "-o", "jsonpath={.spec.policyOverride.reason}")
			p.has("prod1", s)
			mustBeTakenOff := []string{"(Forbidden)", `"app" is forbidden: `, "prod1", byProdGuard}
			p.refused(p.alice, "", mustBeTakenOff, "delete", placements, "app")
			p.refused(p.alice, "", mustBeTakenOff, "delete", placements, "--all")
			all := "/apis/placement.kubernetes-fleet.io/v1/" + placements
			if s.prefix == "" {
				all = strings.Replace(all, "/v1/", "/v1/namespaces/"+teamNamespace+"/", 1)
			}
			p.refused(p.alice, "", mustBeTakenOff, "delete", "--raw", all)
			p.refused(p.alice, s.placement("app", "RollingUpdate", "{placementType: PickAll}"), mustBeTakenOff, "replace", "--force", "-f", "-")
			p.alice.run("label", placements, "app", "team=a")
			p.alice.run("get", placements, "app")
			if s.prefix == "" {
				namespace, err := p.hub.CoreV1().Namespaces().Get(t.Context(), teamNamespace, metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				namespace.Name, namespace.Status.Phase = teamNamespace, corev1.NamespaceTerminating
				if _, err := p.hub.CoreV1().Namespaces().Update(t.Context(), namespace, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
				p.until("deleted", "", "delete", placements, "app", "--wait=false")
			}
		})
	}
}

// has writes into the binding of a cluster that the cluster has the version.
func (p *policed) has(cluster string, s policedScope) {
	p.Helper()
	bindings := s.lower + "resourcebindings"
	name := p.alice.run("get", bindings, "-o", `jsonpath={.items[?(@.spec.targetCluster=="`+cluster+`")].metadata.name}`)
	p.alice.run("patch", bindings, name, "--type=merge", "-p", `{"spec":{"state":"Bound","resourceSnapshotName":"app-0-snapshot"}}`)
}

// The initialization is the authority, and who may override is asked by the registry.
func TestPoliciesAreHeldWithoutThePlugin(t *testing.T) {
	p := newPoliced(t, testserver.WithoutPlugins(rolloutpolicy.PluginName))
	for scope, s := range policedScopes {
		t.Run(scope, func(t *testing.T) {
			p := &policed{T: t, server: p.server, hub: p.hub, alice: p.alice, bob: p.bob}
			runs := s.lower + "stagedupdateruns"
			p.place(s)
			p.write(s.strategy("fast", "100%"))
			p.write(s.run("next", "fast", ""))
			p.until(overTheLimit, "", "get", runs, "next", "-o", `jsonpath={.status.conditions[?(@.type=="Initialized")].message}`)
			p.refused(p.bob, s.run("over", "fast", ", policyOverride: {policies: [prod-guard], reason: INC-7 hotfix}"),
				[]string{"(Forbidden)", "needs the permission to override"}, "create", "-f", "-")
			p.until(overTheLimit, s.run("look", "fast", ""), "create", "--dry-run=server", "-f", "-")
		})
	}
}

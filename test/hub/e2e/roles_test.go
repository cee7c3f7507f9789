// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/test/hub"
)

// oneGate waits for an approval before it moves all members.
const oneGate = `
  - name: everywhere
    labelSelector: {}
    beforeStageTasks: [{type: Approval}]
    maxConcurrency: 100%
`

// testRoles has people do their work with the role for it and nothing else.
func testRoles(t *testing.T, s *suite) {
	t.Run("ApproverSeesWhatItIsAbout", func(t *testing.T) { testApproverSeesWhatItIsAbout(t, s) })
	t.Run("ControllersCannotBeImpersonated", func(t *testing.T) { testControllersCannotBeImpersonated(t, s) })
	t.Run("GatesBindEditors", func(t *testing.T) { testGatesBindEditors(t, s) })
	t.Run("ServerIsBoundToNamespacesOfMembers", func(t *testing.T) { testServerIsBoundToNamespacesOfMembers(t, s) })
	t.Run("PodsReachTheServerWithTheirRightsOnly", func(t *testing.T) { testPodsReachTheServer(t, s) })
	t.Run("Manifests", func(t *testing.T) { testManifestsAreAccepted(t, s) })
}

// testApproverSeesWhatItIsAbout follows a gate as the approver and as who is on call, who look before they act.
func testApproverSeesWhatItIsAbout(t *testing.T, s *suite) {
	s.grant(t, "roles-approver", "stagegate-approver")
	s.grantWith(t, "roles-operator", "stagegate-operator", "clusterstagedupdateruns")
	r := s.newRollout(t, "roles", oneGate)
	r.start(t, "roles", 0, "Run")
	const request = "roles-before-everywhere"
	s.mustRun(t, fmt.Sprintf("kubectl wait careq/%s --for=create --timeout=%s", request, patience))

	wide, err := s.run(t.Context(), "roles-approver", "kubectl get careq "+request+" -o wide --no-headers")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(wide), " "); !strings.Contains(got, " roles 0 member1,member2,member3 approval") {
		t.Errorf("the table does not tell placement, snapshot and clusters:\n%s", wide)
	}
	s.eventually(t, func() error {
		described, err := s.run(t.Context(), "roles-approver", "kubectl describe careq "+request)
		if err != nil {
			return err
		}
		text := strings.Join(strings.Fields(described), " ")
		for _, line := range []string{
			"Rollout: Cluster Count: 3 Clusters: member1 member2 member3 Placement Name: roles Resource Snapshot Index: 0 Run Cluster Count: 3 Run Clusters Done: 0",
			"Stage everywhere of ClusterStagedUpdateRun roles waits for this approval before it begins",
		} {
			if !strings.Contains(text, line) {
				return fmt.Errorf("kubectl describe does not say %q:\n%s", line, described)
			}
		}
		return nil
	})
	const onCall = `
kubectl get csur -o wide
kubectl describe csur roles
kubectl get crp roles -o yaml
kubectl get clusterresourcebindings -o wide -l kubernetes-fleet.io/parent-CRP=roles
kubectl get careq,csus,memberclusters
kubectl events --for clusterstagedupdaterun/roles
kubectl patch csur roles --subresource=stop --type=merge -p '{"spec":{"reason":"looking"}}'
kubectl patch csur roles --subresource=resume --type=merge -p '{"spec":{"reason":"looked"}}'
`
	if _, err := s.run(t.Context(), "roles-operator", "set -e"+onCall); err != nil {
		t.Errorf("on call: %v", err)
	}
	if _, err := s.run(t.Context(), "roles-approver", "set -e\nkubectl get csur,crp,memberclusters\nkubectl events --for clusterstagedupdaterun/roles"); err != nil {
		t.Errorf("approver: %v", err)
	}
	for _, who := range []string{"roles-approver", "roles-operator"} {
		for _, resource := range []string{
			"works -n fleet-member-member1", "clusterresourcesnapshots", "resourcesnapshots -A", "clusterresourceoverrides", "clusterresourceenvelopes", "secrets -n fleet-system",
		} {
			s.refused(t, who, "kubectl get "+resource, "(Forbidden)")
		}
	}
	s.refused(t, "roles-operator", "kubectl patch careq "+request+" --subresource=approve --type=merge -p '{\"spec\":{}}'", "(Forbidden)")

	// As kubectl fleet approve: read it, set the condition, update the status.
	requests := s.as(t, "roles-approver").of(kindApproval, "")
	obj, err := requests.Get(t.Context(), request, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	obj.Object["status"] = map[string]any{"conditions": []any{map[string]any{
		"type": "Approved", "status": "True", "reason": "ClusterApprovalRequestApproved", "message": "approved by KubeFleet's command",
		"lastTransitionTime": longAgo, "observedGeneration": obj.GetGeneration(),
	}}}
	if _, err := requests.UpdateStatus(t.Context(), obj, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.decided(t, request, decision{"Approved", "roles-approver", "approved by KubeFleet's command"})
	r.succeeds(t, "roles", "value1")
}

// testControllersCannotBeImpersonated speaks for the server's controllers as an administrator of the hub may, through its front proxy.
func testControllersCannotBeImpersonated(t *testing.T, s *suite) {
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete careq,csur -l e2e=impostor") })
	impostor := s.with(t, hub.HubName, func(config *rest.Config) *rest.Config {
		config.Impersonate = rest.ImpersonationConfig{
			UserName: user.APIServerUser, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated},
		}
		return config
	})
	object := func(kind, spec string) *unstructured.Unstructured {
		obj := &unstructured.Unstructured{}
		manifest := fmt.Sprintf(`{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":%q,"metadata":{"name":"impostor","labels":{"e2e":"impostor"}},"spec":%s}`, kind, spec)
		if err := obj.UnmarshalJSON([]byte(manifest)); err != nil {
			t.Fatal(err)
		}
		return obj
	}
	run := object("ClusterStagedUpdateRun", `{"placementName":"none","stagedRolloutStrategyName":"none"}`)
	run.Object["status"] = map[string]any{"createdBy": map[string]any{"username": forger}}
	run, err := impostor.of(kindRun, "").Create(t.Context(), run, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if creator, _, _ := unstructured.NestedString(run.Object, "status", "createdBy", "username"); creator != user.APIServerUser {
		t.Errorf("the run says that %s has created it", creator)
	}
	requests := impostor.of(kindApproval, "")
	owned := object("ClusterApprovalRequest", `{"parentStageRollout":"impostor","targetStage":"one"}`)
	owned.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: placementV1beta1.String(), Kind: "ClusterStagedUpdateRun", Name: run.GetName(), UID: run.GetUID(),
	}})
	if _, err := requests.Create(t.Context(), owned, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a request that passes for the run's own: %v", err)
	}
	telling := object("ClusterApprovalRequest", `{"parentStageRollout":"impostor","targetStage":"one","rollout":{"placementName":"x","clusterCount":0,"runClustersDone":0,"runClusterCount":0}}`)
	if _, err := requests.Create(t.Context(), telling, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a request that tells what a run does: %v", err)
	}
	request, err := requests.Create(t.Context(), object("ClusterApprovalRequest", `{"parentStageRollout":"impostor","targetStage":"one"}`), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	request.Object["status"] = map[string]any{"conditions": []any{map[string]any{
		"type": "ApprovalAccepted", "status": "True", "reason": "Forged", "message": "", "lastTransitionTime": longAgo,
	}}}
	if _, err := requests.UpdateStatus(t.Context(), request, metav1.UpdateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the condition ApprovalAccepted: %v", err)
	}
}

const (
	gatesNamespace = "roles-gates"

	gatedPlacement = `apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourcePlacement
metadata: {name: %s, namespace: roles-gates}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ConfigMap, name: none}]
  policy: {placementType: PickAll}
  strategy: {type: %s}
`
	gatedStrategy = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: StagedUpdateStrategy
metadata: {name: %s, namespace: roles-gates}
spec:
  stages:
  - {name: one, labelSelector: {}%s}
`
	gatedRun = `apiVersion: placement.kubernetes-fleet.io/v1
kind: StagedUpdateRun
metadata: {name: %s, namespace: roles-gates}
spec: {placementName: app, stagedRolloutStrategyName: app}
`
)

// testGatesBindEditors holds the examples of docs/approvals.md to what it says of them, on a hub that evaluates no policy for these kinds
// itself.
func testGatesBindEditors(t *testing.T, s *suite) {
	examples := filepath.Join(s.options.Root, "artifacts", "example", "gates")
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete --ignore-not-found -f "+examples)
		s.mustRunInCleanup(t, "kubectl delete ns --ignore-not-found --wait=false "+gatesNamespace)
	})
	s.mustRun(t, fmt.Sprintf(`
kubectl create ns %[1]s
kubectl label ns %[1]s gates=required
kubectl create rolebinding edit -n %[1]s --clusterrole=edit --user=roles-editor
kubectl apply -f %[2]s
kubectl create rolebinding releases -n %[1]s --clusterrole=release-runs --user=roles-releaser
`, gatesNamespace, examples))
	people := map[string]cluster{"admin": s.hub()}
	for name, resource := range map[string]string{"roles-editor": "stagedupdatestrategies", "roles-releaser": "stagedupdateruns"} {
		if _, err := s.environment.User(name); err != nil {
			t.Fatal(err)
		}
		s.awaitPermission(t, name, gatesNamespace, "create", resource)
		people[name] = s.as(t, name)
	}
	approval := func(policy string) string { return ", beforeStageTasks: [{type: Approval" + policy + "}]" }
	const policy = ", approval: {groups: [release], allowRequester: false}"

	// The server sees new policies a moment after they are stored, and tells nobody.
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(ctx context.Context) (bool, error) {
		strategy := people["roles-editor"].dryRun(ctx, fmt.Sprintf(gatedStrategy, "probe", ""))
		placement := people["roles-editor"].dryRun(ctx, fmt.Sprintf(gatedPlacement, "probe", "RollingUpdate"))
		return strategy != nil && placement != nil, nil
	})
	if err != nil {
		t.Fatalf("the policies are not in force: %v", err)
	}
	const (
		missing  = "each stage must begin with an approval by group release"
		external = "the strategy of a placement must be External here"
	)
	for _, step := range []struct{ who, what, manifest, refusal string }{
		{"roles-editor", "no gate", fmt.Sprintf(gatedStrategy, "none", ""), missing},
		{"roles-editor", "anybody's approval", fmt.Sprintf(gatedStrategy, "anybody", approval("")), missing},
		{"roles-editor", "also another group's", fmt.Sprintf(gatedStrategy, "mine", approval(", approval: {groups: [release, mine], allowRequester: false}")), missing},
		{"roles-editor", "also their own", fmt.Sprintf(gatedStrategy, "own", approval(", approval: {groups: [release]}")), missing},
		{"roles-editor", "a gate as it is to be", fmt.Sprintf(gatedStrategy, "app", approval(policy)), ""},
		{"roles-editor", "a placement without runs", fmt.Sprintf(gatedPlacement, "rolling", "RollingUpdate"), external},
		{"roles-editor", "a placement with runs", fmt.Sprintf(gatedPlacement, "app", "External"), ""},
		{"roles-releaser", "a strategy", fmt.Sprintf(gatedStrategy, "released", approval(policy)), "cannot create resource"},
		{"roles-releaser", "a placement", fmt.Sprintf(gatedPlacement, "released", "External"), "cannot create resource"},
		{"roles-releaser", "a run", fmt.Sprintf(gatedRun, "released"), ""},
		{"admin", "a strategy without a gate", fmt.Sprintf(gatedStrategy, "ungated", ""), ""},
	} {
		err := people[step.who].create(t.Context(), step.manifest)
		if step.refusal == "" && err != nil || step.refusal != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), step.refusal)) {
			t.Errorf("%s creates %s: %v, want %q", step.who, step.what, err, step.refusal)
		}
	}
	const inNamespace = "kubectl -n " + gatesNamespace
	s.refused(t, "roles-editor", inNamespace+` patch sus app --type=json -p '[{"op":"remove","path":"/spec/stages/0/beforeStageTasks"}]'`, missing)
	s.refused(t, "roles-editor", inNamespace+` patch rp app --type=merge -p '{"spec":{"strategy":{"type":"RollingUpdate"}}}'`, "cannot change rollout strategy type from 'External'")
	s.refused(t, "roles-editor", inNamespace+` patch rp app --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"mine","uid":"mine"}]}}'`,
		"a placement has no owners here")
	s.refused(t, "roles-editor", inNamespace+` delete rp app`, "deleting a placement removes what it placed")
	s.refused(t, "roles-editor", inNamespace+` delete rp --all`, "deleting a placement removes what it placed")
	s.refused(t, "roles-editor", "kubectl delete --raw /apis/placement.kubernetes-fleet.io/v1/namespaces/"+gatesNamespace+"/resourceplacements",
		"deleting a placement removes what it placed")
	// The hub's own controllers empty a namespace.
	s.mustRun(t, fmt.Sprintf("kubectl delete ns %s --timeout=%s", gatesNamespace, patience))
}

// dryRun tries to create an object.
func (c cluster) dryRun(ctx context.Context, manifest string) error {
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		return err
	}
	_, err := c.of(obj.GroupVersionKind(), obj.GetNamespace()).Create(ctx, obj, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// testServerIsBoundToNamespacesOfMembers tries what the ClusterRole of the server's account allows, and its policy does not.
func testServerIsBoundToNamespacesOfMembers(t *testing.T, s *suite) {
	s.mustRun(t, "kubectl create ns roles-bystander")
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete ns roles-bystander fleet-member-roles --ignore-not-found --wait=false")
	})
	const as = " --as=" + serverUser
	const refusal = "stagegate-apiserver writes and deletes the namespaces of members only"
	for _, script := range []string{
		"kubectl delete ns roles-bystander" + as,
		"kubectl label ns roles-bystander a=b" + as,
		"kubectl create ns roles-bystander-2" + as,
	} {
		s.refused(t, hub.HubName, script, refusal)
	}
	// Who may create namespaces does not get that of a member that has yet to join.
	s.mustRun(t, "kubectl create clusterrole roles-self-service --verb=create --resource=namespaces; "+
		"kubectl create clusterrolebinding roles-self-service --clusterrole=roles-self-service --user=roles-tenant")
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete clusterrole,clusterrolebinding roles-self-service --ignore-not-found")
	})
	s.refused(t, hub.HubName, "kubectl create ns fleet-member-roles --as=roles-tenant", "namespace fleet-member-roles belongs to the fleet")
	s.mustRun(t, "kubectl create ns roles-own --as=roles-tenant && kubectl delete ns roles-own --wait=false")
	s.mustRun(t, "kubectl create ns fleet-member-roles"+as+" && kubectl label ns fleet-member-roles a=b"+as+" && kubectl delete ns fleet-member-roles --wait=false"+as)
}

// testPodsReachTheServer asks the server past the hub, as a pod can with its token where no NetworkPolicy keeps it out. It may no more than
// through the hub. That the policy does keep it out needs a network plugin, which there is none of here.
func testPodsReachTheServer(t *testing.T, s *suite) {
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete ns roles-pod --ignore-not-found --wait=false") })
	s.mustRun(t, `
kubectl create ns roles-pod
kubectl -n roles-pod create sa pod
kubectl -n roles-pod create rolebinding pod --clusterrole=stagegate-approver --serviceaccount=roles-pod:pod
`)
	token := strings.TrimSpace(s.mustRun(t, "kubectl -n roles-pod create token pod"))
	direct := s.with(t, hub.HubName, func(config *rest.Config) *rest.Config {
		config = rest.AnonymousClientConfig(config)
		config.Host, config.BearerToken = s.environment.ServerURL(), token
		return config
	})
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(ctx context.Context) (bool, error) {
		_, err := direct.of(placementV1beta1.WithKind("ApprovalRequest"), "roles-pod").List(ctx, metav1.ListOptions{})
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		t.Errorf("with the role in its namespace: %v", err)
	}
	if _, err := direct.of(kindApproval, "").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("without a role in the fleet: %v", err)
	}
}

// testManifestsAreAccepted has the hub look at what is deployed, as overlays of users put it together.
func testManifestsAreAccepted(t *testing.T, s *suite) {
	deploy := filepath.Join(s.options.Root, "artifacts", "deploy")
	overlay := func(base, more string) string {
		dir := t.TempDir()
		path, err := filepath.Rel(dir, deploy)
		if err != nil {
			t.Fatal(err)
		}
		content := fmt.Sprintf("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%s/%s]\n%s", path, base, strings.ReplaceAll(more, "DEPLOY", path))
		if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const (
		component = "components: [DEPLOY/network-policy]\n"
		patch     = `patches:
- target: {kind: NetworkPolicy, name: stagegate-apiserver}
  patch: |-
    - {op: replace, path: /spec/ingress/0/from/0/ipBlock/cidr, value: 10.0.0.0/28}
`
	)
	for name, tc := range map[string]struct{ base, more, refusal string }{
		"base":                               {"base", "", ""},
		"ha":                                 {"ha", "", ""},
		"base with a network policy":         {"base", component + patch, ""},
		"ha with a network policy":           {"ha", component + patch, ""},
		"a network policy without addresses": {"base", component, `The NetworkPolicy "stagegate-apiserver" is invalid: spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "ADDRESS-OF-THE-CONTROL-PLANE"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := overlay(tc.base, tc.more)
			// The Service and the APIServices of the tests are others, for a server that is no pod.
			_, err := s.run(t.Context(), hub.HubName, "kubectl kustomize --load-restrictor=LoadRestrictionsNone "+dir+
				" > "+dir+"/all.yaml && kubectl apply --dry-run=server --server-side --force-conflicts -f "+dir+"/all.yaml")
			if tc.refusal == "" && err != nil || tc.refusal != "" && (err == nil || !strings.Contains(err.Error(), tc.refusal)) {
				t.Errorf("%v, want %q", err, tc.refusal)
			}
		})
	}
}

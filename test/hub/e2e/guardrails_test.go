// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/hub"
)

const guardRailsWork = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: Work
metadata: {name: guardrails, namespace: %s}
spec: {}
`

// testGuardRails has a user who may do everything by RBAC try to write into the namespace of a member, while the hub's controllers do there
// what they do in every namespace.
func testGuardRails(t *testing.T, s *suite) {
	const own, member = "fleet-member-guardrails", "fleet-member-member1"
	if _, err := s.environment.User("guardrails-admin"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete ns "+own+" --ignore-not-found --wait=false; kubectl delete clusterrolebinding guardrails-admin --ignore-not-found")
	})
	s.mustRun(t, "kubectl create clusterrolebinding guardrails-admin --clusterrole=cluster-admin --user=guardrails-admin")
	s.awaitPermission(t, "guardrails-admin", "default", "create", "pods")

	const refusal = "belongs to a member of the fleet and is written by Stagegate alone: change the placement or the MemberCluster instead"
	for _, script := range []string{
		"kubectl delete ns " + member + " --dry-run=server",
		"kubectl label ns " + member + " a=b",
		"kubectl create cm guardrails -n " + member,
		"kubectl delete cm kube-root-ca.crt -n " + member,
		"kubectl create token default -n " + member,
		"kubectl create rolebinding guardrails -n " + member + " --clusterrole=edit --user=guardrails-admin",
		"kubectl label internalmembercluster member1 -n " + member + " a=b",
	} {
		s.refused(t, "guardrails-admin", script, "namespace "+member+" "+refusal)
	}
	if out, err := s.run(t.Context(), "guardrails-admin", "kubectl create -f -", stdin(fmt.Sprintf(guardRailsWork, member))); err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("a Work is answered %q, error %v", out, err)
	}
	s.mustRun(t, "kubectl auth can-i create configmaps -n "+member+" --as=guardrails-admin")

	// Controllers publish what every namespace has, and a namespace goes with all that is in it.
	wait := fmt.Sprintf(" --timeout=%s", patience)
	as := " --as=" + serverUser
	s.mustRun(t, "kubectl create ns "+own+as)
	for _, object := range []string{"cm/kube-root-ca.crt", "sa/default"} {
		s.mustRun(t, "kubectl wait -n "+own+" "+object+" --for=create"+wait)
	}
	// An administrator of the hub breaks the glass.
	s.mustRun(t, "kubectl delete cm kube-root-ca.crt -n "+own)
	s.mustRun(t, "kubectl wait -n "+own+" cm/kube-root-ca.crt --for=create"+wait)
	if _, err := s.run(t.Context(), hub.HubName, "kubectl create -f -", stdin(fmt.Sprintf(guardRailsWork, own))); err != nil {
		t.Error(err)
	}
	for _, script := range []string{
		"kubectl delete work guardrails -n " + own,
		"kubectl delete --raw /apis/placement.kubernetes-fleet.io/v1beta1/namespaces/" + own + "/works",
	} {
		s.refused(t, "guardrails-admin", script, "namespace "+own+" "+refusal)
	}
	// A ConfigMap whose owner is gone is collected.
	s.mustRun(t, "kubectl create cm owner -n "+own+" && kubectl create cm owned -n "+own)
	uid := s.mustRun(t, "kubectl get cm owner -n "+own+" -o jsonpath={.metadata.uid}")
	s.mustRun(t, fmt.Sprintf(`kubectl patch cm owned -n %s --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q}]}}'`, own, uid))
	s.mustRun(t, "kubectl delete cm owner -n "+own+" && kubectl wait -n "+own+" cm/owned --for=delete"+wait)
	s.mustRun(t, "kubectl delete ns "+own+as+wait)
	s.mustRun(t, "kubectl get cm kube-root-ca.crt -n "+member)

	s.runsNoWorkloads(t)
}

// runsNoWorkloads holds that with the component nothing runs on the hub but in its own namespaces.
func (s *suite) runsNoWorkloads(t *testing.T) {
	file := filepath.Join(s.options.Root, "artifacts", "deploy", "no-workloads", "no-workloads.yaml")
	t.Cleanup(func() { s.mustRunInCleanup(t, "kubectl delete -f "+file+" --ignore-not-found") })
	s.mustRun(t, "kubectl apply -f "+file)
	const (
		pod     = "kubectl run guardrails --image=none --dry-run=server -n "
		refusal = "creating pods and replicas is disallowed in the fleet hub cluster"
	)
	s.eventually(t, func() error {
		if _, err := s.run(t.Context(), hub.HubName, pod+"default"); err == nil || !strings.Contains(err.Error(), refusal) {
			return fmt.Errorf("a Pod is answered %w", err)
		}
		return nil
	})
	set := `{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"guardrails"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"none"}]}}}}`
	if _, err := s.run(t.Context(), hub.HubName, "kubectl create --dry-run=server -n default -f -", stdin(set)); err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("a ReplicaSet is answered %v", err)
	}
	s.mustRun(t, "kubectl create deployment guardrails --image=none --dry-run=server -n default")
	s.mustRun(t, pod+"kube-system")
}

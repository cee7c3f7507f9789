// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/stagegate/stagegate/test/hub"
)

const (
	secretValues         = "secret-values"
	passwordOnTheHub     = "value-that-the-hub-has"
	passwordOnTheMember  = "value-that-the-member-has"
	secretValuesManifest = `apiVersion: v1
kind: Secret
metadata: {name: db, namespace: secret-values}
stringData: {password: %s}
`
)

// secretValuesPolicy is an admission policy of a member that refuses Secrets and quotes them.
const secretValuesPolicy = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: secret-values}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [secrets]}]
  matchConditions: [{name: here, expression: "object.metadata.namespace == 'secret-values'"}]
  validations: [{expression: "false", messageExpression: "'weak: ' + string(object.data.password) + ' of ' + object.metadata.name"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: secret-values}
spec: {policyName: secret-values, validationActions: [Deny]}
`

// testSecretValues has a Secret differ on one member and be quoted by another: no status and no Event has a value of it, for either
// scope.
func testSecretValues(t *testing.T, s *suite) {
	differs, quotes := hub.MemberName(1), hub.MemberName(2)
	s.explain(t, "crp/secret-values-report", "rp -n secret-values")
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp secret-values-report && kubectl delete rp -n secret-values --all && kubectl delete ns secret-values --wait=false")
		for _, member := range []string{differs, quotes} {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
			defer cancel()
			if _, err := s.run(ctx, member, "kubectl delete validatingadmissionpolicybinding,validatingadmissionpolicy secret-values --ignore-not-found && "+
				"kubectl delete ns secret-values --wait=false"); err != nil {
				t.Error(err)
			}
		}
	})
	namespace := fmt.Sprintf("kubectl create namespace %[1]s; kubectl label namespace %[1]s kubernetes-fleet.io/accept-placements=true", secretValues)
	// kubectl apply records the Secret in an annotation.
	put := func(password string) string {
		return fmt.Sprintf("%s\nkubectl apply -f - << EOF\n%sEOF\n", namespace, fmt.Sprintf(secretValuesManifest, password))
	}
	for _, on := range []struct{ cluster, script string }{
		{hub.HubName, put(passwordOnTheHub)}, {differs, put(passwordOnTheMember)}, {quotes, namespace},
	} {
		if _, err := s.run(t.Context(), on.cluster, on.script); err != nil {
			t.Fatalf("on %s: %v", on.cluster, err)
		}
	}
	s.clusters[quotes].mustCreate(t, secretValuesPolicy)
	s.awaitSecretsRefused(t, quotes)

	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: secret-values-report}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: secret-values}]
  policy: {placementType: PickFixed, clusterNames: [%[1]s]}
  strategy: {applyStrategy: {type: ReportDiff, comparisonOption: FullComparison}}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: report, namespace: secret-values}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Secret, name: db}]
  policy: {placementType: PickFixed, clusterNames: [%[1]s]}
  strategy: {applyStrategy: {type: ReportDiff, comparisonOption: FullComparison}}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ResourcePlacement
metadata: {name: quoted, namespace: secret-values}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Secret, name: db}]
  policy: {placementType: PickFixed, clusterNames: [%[2]s]}
`, differs, quotes))

	// What is to be seen is there before it is looked for what is not.
	reports := func(placement string, parts ...string) {
		t.Helper()
		s.eventually(t, func() error {
			out, err := s.run(t.Context(), hub.HubName, "kubectl get "+placement+" -o json")
			if err != nil {
				return err
			}
			var missing []error
			for _, part := range parts {
				if !strings.Contains(out, part) {
					missing = append(missing, fmt.Errorf("%s does not say %q", placement, part))
				}
			}
			return errors.Join(missing...)
		})
	}
	reports("crp secret-values-report", `"path": "/data/password"`, "redacted")
	reports("rp -n secret-values report", `"path": "/data/password"`, "redacted")
	reports("rp -n secret-values quoted", "weak: (redacted for security reasons) of db")

	for _, what := range []string{
		"crp,clusterresourcebindings -A -o yaml", "rp,resourcebindings -A -o yaml", "events -A -o yaml", "memberclusters -o yaml",
		// A Work has the Secret itself in its spec.
		"works -A -o jsonpath={.items[*].status}",
	} {
		out := s.mustRun(t, "kubectl get "+what)
		for _, password := range []string{passwordOnTheHub, passwordOnTheMember} {
			for _, form := range []string{password, base64.StdEncoding.EncodeToString([]byte(password))} {
				if strings.Contains(out, form) {
					t.Errorf("kubectl get %s shows %q", what, form)
				}
			}
		}
	}
}

// awaitSecretsRefused returns when a member's admission policy is in force, for which there is no event.
func (s *suite) awaitSecretsRefused(t *testing.T, member string) {
	t.Helper()
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "probe", "namespace": secretValues},
		"stringData": map[string]any{"password": "probe"},
	}}
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(ctx context.Context) (bool, error) {
		_, err := s.clusters[member].of(kindSecret, secretValues).Create(ctx, secret, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		t.Fatalf("%s still takes Secrets: %v", member, err)
	}
}

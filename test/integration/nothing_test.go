// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

// TestMistakesInPlacementsAreSaidWhenWritten writes them with kubectl in every way, to a hub that has kinds but no objects.
func TestMistakesInPlacementsAreSaidWhenWritten(t *testing.T) {
	s := testserver.Start(t, testserver.WithKindsOf(testserver.StartHub(t)))
	k := newKubectl(t, s.As(testserver.Alice))
	named := func(name, kind, selector string) string {
		return "apiVersion: placement.kubernetes-fleet.io/v1\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec:\n  resourceSelectors: [" + selector + "]\n"
	}
	manifest := func(kind, selector string) string { return named("nothing", kind, selector) }
	const (
		role   = "{group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole, name: nobody}"
		secret = "{group: '', version: v1, kind: Secret, name: nope}"
		typo   = "{group: '', version: v1, kind: Secrte, name: nope}"
	)
	for _, scope := range []struct{ kind, resource, right, wrong, lacks, refused string }{
		{
			"ClusterResourcePlacement", "crp", role, secret, `the hub has no ClusterRole.rbac.authorization.k8s.io "nobody"`,
			"spec.resourceSelectors[0]: Invalid value: \"Secret\": cannot select namespace-scoped resource secrets in a clusterResourcePlacement",
		},
		{
			"ResourcePlacement", "rp", secret, role, `the hub has no Secret "nope" in namespace test-namespace`,
			"spec.resourceSelectors[0]: Invalid value: \"ClusterRole\": cannot select cluster-scoped resource clusterroles.rbac.authorization.k8s.io in a resourcePlacement",
		},
	} {
		unknown := `the hub has no kind Secrte in group ""`
		patch := func(spec string) []string {
			return []string{"patch", scope.resource, "nothing", "--type=merge", "-p", spec}
		}
		for _, step := range []struct {
			manifest string
			args     []string
			want     string
			refused  bool
		}{
			{manifest(scope.kind, scope.wrong), []string{"create", "-f", "-"}, scope.refused, true},
			{manifest(scope.kind, scope.wrong), []string{"apply", "--server-side", "-f", "-"}, scope.refused, true},
			{manifest(scope.kind, typo), []string{"create", "--dry-run=server", "-f", "-"}, "Warning: spec.resourceSelectors[0]: " + unknown, false},
			{manifest(scope.kind, scope.right), []string{"create", "--dry-run=server", "-f", "-"}, "Warning: spec.resourceSelectors[0]: " + scope.lacks, false},
			{manifest(scope.kind, scope.right), []string{"apply", "-f", "-"}, "Warning: spec.resourceSelectors[0]: " + scope.lacks, false},
			{"", patch(`{"metadata":{"labels":{"a":"b"}}}`), "", false},
			{"", patch(`{"spec":{"resourceSelectors":[{"group":"","version":"v1","kind":"Secrte","name":"nope"}]}}`), unknown, false},
			{manifest(scope.kind, scope.right), []string{"replace", "-f", "-"}, scope.lacks, false},
			{
				named("nobody", scope.kind, scope.right) + "  policy: {placementType: PickFixed}\n", []string{"create", "--dry-run=server", "-f", "-", "-o", "name"},
				"Warning: spec.policy.clusterNames: no cluster is named", false,
			},
			{
				named("nobody", scope.kind, scope.right) + "  policy: {placementType: PickFixed, clusterNames: [rome]}\n", []string{"create", "--dry-run=server", "-f", "-", "-o", "name"},
				"Warning: spec.policy.clusterNames: the fleet has no member cluster rome", false,
			},
		} {
			out, err := k.try(step.manifest, step.args...)
			if (err != nil) != step.refused {
				t.Errorf("%s: kubectl %q: %v\n%s", scope.kind, step.args, err, out)
			}
			if step.want == "" && strings.Contains(out, "Warning") || !strings.Contains(out, step.want) {
				t.Errorf("%s: kubectl %q prints\n%s\nwant %q", scope.kind, step.args, out, step.want)
			}
		}
	}
}

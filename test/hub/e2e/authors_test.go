// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/discovery"

	"github.com/stagegate/stagegate/test/hub"
)

// authorsManifest is a namespace with what its team may write, and what it may not.
const authorsManifest = `apiVersion: v1
kind: Namespace
metadata: {name: authors}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: authors}
data: {key: value1}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota, namespace: authors}
spec: {hard: {pods: "10"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits, namespace: authors}
spec: {limits: [{type: Container, max: {cpu: "1"}}]}
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourceEnvelope
metadata: {name: platform, namespace: authors}
data:
  quota: {apiVersion: v1, kind: ResourceQuota, metadata: {name: wrapped, namespace: authors}, spec: {hard: {pods: "20"}}}
  settings: {apiVersion: v1, kind: ConfigMap, metadata: {name: wrapped, namespace: authors}, data: {key: value}}
---
apiVersion: placement.kubernetes-fleet.io/v1
kind: ResourceOverride
metadata: {name: platform, namespace: authors}
spec:
  resourceSelectors: [{group: "", version: v1, kind: ResourceQuota, name: wrapped}]
  policy: {overrideRules: [{clusterSelector: {}, jsonPatchOverrides: [{op: add, path: /metadata/labels, value: {a: b}}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: edit, namespace: authors}
subjects: [{kind: Group, name: authors-team, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: ClusterRole, name: edit, apiGroup: rbac.authorization.k8s.io}
`

// authorsWrite are what a member of the team writes in the namespace, by what it is about.
var authorsWrite = map[string]string{
	"place": `{kind: ResourcePlacement, spec: {resourceSelectors: [{%s}], strategy: {type: External}}}`,
	"patch": `{kind: ResourceOverride, spec: {resourceSelectors: [{%s}], policy: {overrideRules: [{clusterSelector: {},
		jsonPatchOverrides: [{op: add, path: /metadata/labels, value: {a: b}}]}]}}}`,
	"leave out": `{kind: ResourceOverride, spec: {resourceSelectors: [{%s}], policy: {overrideRules: [{clusterSelector: {}, overrideType: Delete}]}}}`,
	"wrap":      `{kind: ResourceEnvelope, data: {object: {%s}}}`,
}

// testAuthors has a team that may edit its namespace place, override and wrap what it may write there, and be refused what it may not:
// neither is it made administrator of its namespace on the members, nor does it raise its quota there.
func testAuthors(t *testing.T, s *suite) {
	for _, user := range []string{"erin", "frank", "grace"} {
		if _, err := s.environment.User(user, "authors-"+map[string]string{"erin": "team", "frank": "reader", "grace": "enumerator"}[user]); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp authors-frank authors-grace --ignore-not-found; kubectl delete ns authors --ignore-not-found --wait=false;"+
			"kubectl delete clusterrole,clusterrolebinding -l e2e=authors")
	})
	s.explain(t, "rp,resourceoverride,resourceenvelope -n authors", "crp")
	s.hub().mustCreate(t, authorsManifest)
	s.awaitPermission(t, "erin", "authors", "update", "resourceoverrides")

	t.Run("TheTeam", func(t *testing.T) { testAuthorsOfATeam(t, s) })
	t.Run("WhatThePlatformWraps", func(t *testing.T) { testAuthorsOfWhatThePlatformWraps(t, s) })
	t.Run("AWholeNamespace", func(t *testing.T) { testAuthorsOfAWholeNamespace(t, s) })
}

// authored is a manifest of the team's namespace, as kubectl takes it.
func authored(does, object string) string {
	return fmt.Sprintf("kubectl create -n authors -f - << 'EOF'\n"+
		"{apiVersion: placement.kubernetes-fleet.io/v1beta1, metadata: {generateName: e2e-}, "+
		strings.TrimPrefix(authorsWrite[does], "{")+"\nEOF\n", object)
}

func testAuthorsOfATeam(t *testing.T, s *suite) {
	const (
		selectSettings = `group: "", version: v1, kind: ConfigMap, name: settings`
		rbac           = "rbac.authorization.k8s.io"
		inNamespace    = " in namespace authors"
	)
	for _, does := range []string{"place", "patch", "leave out"} {
		for _, selector := range []string{selectSettings, `group: apps, version: v1, kind: Deployment, name: web`, `group: "", version: v1, kind: Secret, name: tls`} {
			t.Run(does+"/"+selector, func(t *testing.T) {
				if _, err := s.run(t.Context(), "erin", strings.ReplaceAll(authored(does, selector), "kubectl create", "kubectl create --dry-run=server")); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for what, script := range map[string]string{
		"place": authored("place", selectSettings),
		"patch": authored("patch", selectSettings),
		"wrap":  authored("wrap", `apiVersion: v1, kind: ConfigMap, metadata: {name: more, namespace: authors}, data: {key: value}`),
	} {
		if _, err := s.run(t.Context(), "erin", script); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	for what, refusal := range map[string]struct{ script, want string }{
		"placing the binding": {authored("place", `group: rbac.authorization.k8s.io, version: v1, kind: RoleBinding, name: edit`),
			`user "erin" cannot place RoleBinding authors/edit: needs get and list on rolebindings.` + rbac + inNamespace},
		"placing all roles": {authored("place", `group: rbac.authorization.k8s.io, version: v1, kind: Role`),
			`user "erin" cannot place every Role in namespace authors: needs get and list on roles.` + rbac + inNamespace},
		"placing the quota": {authored("place", `group: "", version: v1, kind: ResourceQuota, name: quota`),
			`user "erin" cannot place ResourceQuota authors/quota: needs update and delete on resourcequotas` + inNamespace},
		"placing the limits": {authored("place", `group: "", version: v1, kind: LimitRange`),
			`user "erin" cannot place every LimitRange in namespace authors: needs update and delete on limitranges` + inNamespace},
		"overriding the binding": {authored("patch", `group: rbac.authorization.k8s.io, version: v1, kind: RoleBinding, name: edit`),
			`user "erin" cannot override RoleBinding authors/edit: needs update on rolebindings.` + rbac + inNamespace + `, and bind on roles.` + rbac + inNamespace},
		"overriding a role": {authored("patch", `group: rbac.authorization.k8s.io, version: v1, kind: Role, name: r`),
			`user "erin" cannot override Role authors/r: needs update and escalate on roles.` + rbac + inNamespace},
		"raising the quota": {authored("patch", `group: "", version: v1, kind: ResourceQuota, name: quota`),
			`user "erin" cannot override ResourceQuota authors/quota: needs update on resourcequotas` + inNamespace},
		"leaving out the limits": {authored("leave out", `group: "", version: v1, kind: LimitRange, name: limits`),
			`user "erin" cannot override LimitRange authors/limits: needs update and delete on limitranges` + inNamespace},
		"wrapping a binding": {authored("wrap", `apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: own, namespace: authors},
			subjects: [{kind: User, name: erin, apiGroup: rbac.authorization.k8s.io}], roleRef: {kind: ClusterRole, name: cluster-admin, apiGroup: rbac.authorization.k8s.io}`),
			`user "erin" cannot wrap RoleBinding authors/own: needs create and update on rolebindings.` + rbac + inNamespace + `, and bind on clusterroles.` + rbac + ` cluster-admin` + inNamespace},
		"wrapping a role": {authored("wrap", `apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: own, namespace: authors}`),
			`user "erin" cannot wrap Role authors/own: needs create, update and escalate on roles.` + rbac + inNamespace},
		"wrapping a quota": {authored("wrap", `apiVersion: v1, kind: ResourceQuota, metadata: {name: own, namespace: authors}`),
			`user "erin" cannot wrap ResourceQuota authors/own: needs create and update on resourcequotas` + inNamespace},
		"wrapping a limit": {authored("wrap", `apiVersion: v1, kind: LimitRange, metadata: {name: own, namespace: authors}`),
			`user "erin" cannot wrap LimitRange authors/own: needs create and update on limitranges` + inNamespace},
		"a kind of the members": {authored("patch", `group: example.com, version: v1, kind: Widget, name: w`),
			`user "erin" cannot override Widget authors/w: needs update on every resource of group example.com` + inNamespace + `, since the hub has no kind Widget in group example.com`},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := s.run(t.Context(), "erin", refusal.script)
			t.Logf("%v", err)
			if err == nil || !strings.Contains(err.Error(), "(Forbidden)") || !strings.Contains(err.Error(), refusal.want) {
				t.Errorf("answered with %v, want %s", err, refusal.want)
			}
			if _, err := s.run(t.Context(), hub.HubName, strings.ReplaceAll(refusal.script, "kubectl create", "kubectl create --dry-run=server --as=erin --as-group=authors-team")); err == nil {
				t.Error("whoever speaks for the team may")
			}
			if _, err := s.run(t.Context(), hub.HubName, strings.ReplaceAll(refusal.script, "kubectl create", "kubectl create --dry-run=server")); err != nil {
				t.Errorf("the administrator may not: %v", err)
			}
		})
	}
}

// testAuthorsOfWhatThePlatformWraps has the team take a quota of the platform away, and place it on clusters of their choice.
func testAuthorsOfWhatThePlatformWraps(t *testing.T, s *suite) {
	s.awaitPermission(t, "erin", "authors", "delete", "resourceenvelopes")
	const (
		unwrapped = `user "erin" cannot unwrap ResourceQuota authors/wrapped: needs delete on resourcequotas in namespace authors`
		placed    = `user "erin" cannot place ResourceQuota authors/wrapped of ResourceEnvelope authors/platform: needs create, update and delete on resourcequotas in namespace authors`
		owner     = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"none","uid":"0a1b2c3d-0000-4000-8000-000000000000"}]}}`
		envelope  = `group: placement.kubernetes-fleet.io, version: v1, kind: ResourceEnvelope`
	)
	for what, refusal := range map[string]struct{ script, want string }{
		"taking it out":       {`kubectl patch resourceenvelope platform -n authors --type=json -p '[{"op":"remove","path":"/data/quota"}]'`, unwrapped},
		"deleting":            {"kubectl delete resourceenvelope platform -n authors", unwrapped},
		"deleting all":        {"kubectl delete --raw /apis/placement.kubernetes-fleet.io/v1/namespaces/authors/resourceenvelopes", unwrapped},
		"a label":             {"kubectl label resourceenvelope platform -n authors a=b", unwrapped},
		"an owner":            {"kubectl patch resourceenvelope platform -n authors --type=merge -p '" + owner + "'", unwrapped},
		"ending the override": {"kubectl delete resourceoverride platform -n authors", `user "erin" cannot stop overriding ResourceQuota authors/wrapped: needs update on resourcequotas in namespace authors`},
		"placing by name":     {authored("place", envelope+", name: platform"), placed},
		"placing all":         {authored("place", envelope), placed},
	} {
		t.Run(what, func(t *testing.T) { s.refused(t, "erin", refusal.script, refusal.want) })
	}
	for _, kind := range []string{"resourceenvelope", "resourceoverride"} {
		if out := s.mustRun(t, "kubectl get "+kind+" platform -n authors -o jsonpath='{.metadata.ownerReferences}{.metadata.labels}'"); strings.TrimSpace(out) != "" {
			t.Errorf("%s has %s", kind, out)
		}
	}
}

// testAuthorsOfAWholeNamespace has two users place a namespace that they read: frank with one rule for everything, and grace with a rule
// for each group, so that the hub is asked kind by kind.
func testAuthorsOfAWholeNamespace(t *testing.T, s *suite) {
	config, err := s.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := client.ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, group := range groups.Groups {
		names = append(names, fmt.Sprintf("%q", group.Name))
	}
	for user, readable := range map[string]string{"reader": `"*"`, "enumerator": strings.Join(names, ", ")} {
		s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: authors-%[1]s, labels: {e2e: authors}}
rules: [{apiGroups: [%[2]s], resources: ["*"], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[1]s, namespace: authors}
subjects: [{kind: Group, name: authors-%[1]s, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: ClusterRole, name: authors-%[1]s, apiGroup: rbac.authorization.k8s.io}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: authors-%[1]s-place, labels: {e2e: authors}}
rules: [{apiGroups: [placement.kubernetes-fleet.io], resources: [clusterresourceplacements], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: authors-%[1]s-place, labels: {e2e: authors}}
subjects: [{kind: Group, name: authors-%[1]s, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: ClusterRole, name: authors-%[1]s-place, apiGroup: rbac.authorization.k8s.io}
`, user, readable))
	}
	const manifest = `apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %s}]
  strategy: {type: External}
`
	for _, user := range []string{"frank", "grace"} {
		t.Run(user, func(t *testing.T) {
			s.awaitPermission(t, user, "", "create", "clusterresourceplacements")
			s.awaitPermission(t, user, "authors", "list", "resourceenvelopes")
			began := time.Now()
			s.as(t, user).mustCreate(t, fmt.Sprintf(manifest, "authors-"+user, "authors"))
			took := time.Since(began)
			reviews := 0
			err := eachLine(s.environment.AuditLog(hub.HubName), func(line string) error {
				if !strings.Contains(line, "/subjectaccessreviews") {
					return nil
				}
				var event auditEvent
				if err := json.Unmarshal([]byte(line), &event); err != nil {
					return err
				}
				if event.ResponseStatus.Code != 0 && event.StageTimestamp.Time.After(began) {
					reviews++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s has placed the namespace in %s, which took %d access reviews", user, took, reviews)
			s.eventually(t, func() error {
				_, err := s.hub().get(t.Context(), kindResourceSnapshot, "", "authors-"+user+"-0-snapshot")
				return err
			})
			err = s.as(t, user).create(t.Context(), fmt.Sprintf(manifest, "authors-other", "fleet-system"))
			t.Logf("%v", err)
			if want := fmt.Sprintf("user %q cannot place Namespace fleet-system: needs get and list on namespaces in namespace fleet-system; "+
				"user %[1]q cannot place what is in namespace fleet-system: needs get and list on configmaps, controllerrevisions.apps, ", user); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("another namespace is answered with %v, want %s", err, want)
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

// rolesForUsers are the ClusterRoles of artifacts/rbac.
func rolesForUsers(t *testing.T) map[string]rbacv1.ClusterRole {
	t.Helper()
	roles := map[string]rbacv1.ClusterRole{}
	for _, obj := range readManifests(t, "rbac/*.yaml") {
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &role); err != nil {
			t.Fatal(err)
		}
		roles[role.Name] = role
	}
	return roles
}

func allows(role rbacv1.ClusterRole, verb, group, resource string) bool {
	return slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool {
		return slices.Contains(rule.Verbs, verb) && slices.Contains(rule.APIGroups, group) && slices.Contains(rule.Resources, resource)
	})
}

// command is a kubectl that a document has the reader run.
type command struct{ verb, resources, subresource string }

var (
	commandPattern     = regexp.MustCompile("kubectl (?:-n \\S+ )?(get|describe|patch|events) ([^\\s`]+)([^`\\n]*)")
	subresourcePattern = regexp.MustCompile(`--subresource=(\w+)`)
	rawPattern         = regexp.MustCompile(`kubectl create --raw \\\n\s*/apis/[^/]+/[^/]+/(\w+)/[^/]+/(\w+)`)
)

// commandsOf returns the commands in one section of a document, the one before the first heading where that is "".
func commandsOf(t *testing.T, document, heading string) []command {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := "", string(data), true
	if heading != "" {
		_, text, found = strings.Cut(text, "\n## "+heading+"\n")
	}
	if !found {
		t.Fatalf("%s has no section %q", document, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var commands []command
	for _, match := range commandPattern.FindAllStringSubmatch(text, -1) {
		c := command{verb: match[1], resources: match[2]}
		if sub := subresourcePattern.FindStringSubmatch(match[3]); sub != nil {
			c.subresource = sub[1]
		}
		commands = append(commands, c)
	}
	for _, match := range rawPattern.FindAllStringSubmatch(text, -1) {
		commands = append(commands, command{verb: "create", resources: match[1], subresource: match[2]})
	}
	return commands
}

// TestRolesAllowWhatTheirDocumentsTellToDo takes the commands out of the documents, so that whoever is called at night is not refused
// what the page says.
func TestRolesAllowWhatTheirDocumentsTellToDo(t *testing.T) {
	s := testserver.Start(t)
	resources := map[string]served{}
	for _, r := range discover(t, s.As(testserver.Alice)) {
		for _, name := range append([]string{r.Name, r.SingularName}, r.ShortNames...) {
			resources[name] = r
		}
	}
	roles := rolesForUsers(t)
	for _, tc := range []struct {
		role, document, heading string
		least                   int
	}{
		{"stagegate-approver", "approvals.md", "", 3},
		{"stagegate-approver", "approvals.md", "Approve", 3},
		{"stagegate-approver", "approvals.md", "Before resources are removed", 1},
		{"stagegate-approver", "known-issues.md", "A run waits for an approval that no stage has", 1},
		{"stagegate-operator", "known-issues.md", "A run is not initialised", 3},
		{"stagegate-operator", "known-issues.md", "A run waits for its turn", 1},
		{"stagegate-operator", "known-issues.md", "A run is stuck", 4},
		{"stagegate-operator", "operating-runs.md", "Ask", 8},
		{"stagegate-operator", "operating-runs.md", "When clusters fail", 1},
		{"stagegate-operator", "operating-runs.md", "What is recorded", 2},
	} {
		t.Run(tc.role+"/"+tc.document+"/"+tc.heading, func(t *testing.T) {
			role := roles[tc.role]
			expect := func(verb, group, resource string) {
				t.Helper()
				if !allows(role, verb, group, resource) {
					t.Errorf("%s may not %s %s of %q", tc.role, verb, resource, group)
				}
			}
			commands := commandsOf(t, tc.document, tc.heading)
			if len(commands) < tc.least {
				t.Fatalf("the section has the commands %v, that is less than %d", commands, tc.least)
			}
			for _, c := range commands {
				if c.verb == "events" || c.verb == "describe" {
					expect("list", "", "events")
				}
				if c.verb == "events" {
					continue
				}
				for name := range strings.SplitSeq(c.resources, ",") {
					r, ok := resources[strings.TrimSuffix(strings.Split(name, "/")[0], ".placement.kubernetes-fleet.io")]
					if !ok {
						t.Errorf("kubectl %s %s: no such resource", c.verb, name)
						continue
					}
					if c.verb == "patch" && c.subresource == "" {
						// That is KubeFleet's way to stop a run, which the page tells of those who write runs.
						if !strings.HasSuffix(r.Name, "stagedupdateruns") || !allows(roles["stagegate-edit"], "patch", r.gv.Group, r.Name) {
							t.Errorf("nobody may patch %s", r.Name)
						}
						continue
					}
					// Both scopes are one page.
					for _, scope := range []string{r.Name, strings.TrimPrefix(r.Name, "cluster"), "cluster" + strings.TrimPrefix(r.Name, "cluster")} {
						if _, served := resources[scope]; !served {
							continue
						}
						switch {
						case c.subresource != "":
							expect(strings.Replace(c.verb, "describe", "get", 1), r.gv.Group, scope+"/"+c.subresource)
						case c.verb == "get" || c.verb == "describe":
							expect("get", r.gv.Group, scope)
							expect("list", r.gv.Group, scope)
						default:
							expect(c.verb, r.gv.Group, scope)
						}
					}
				}
			}
		})
	}
}

// TestWhoReadsTheFleetReadsNoManifests holds that no role but edit, which may write them anyway, reads a kind that holds what is placed:
// Secrets may be among it.
func TestWhoReadsTheFleetReadsNoManifests(t *testing.T) {
	holders := manifestHolders(t)
	for name, role := range rolesForUsers(t) {
		if name == "stagegate-edit" {
			continue
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				if holders.Has(resource) {
					t.Errorf("%s allows to %v %s, which hold manifests", name, rule.Verbs, resource)
				}
				if resource == "secrets" || resource == "configmaps" {
					t.Errorf("%s allows to %v %s", name, rule.Verbs, resource)
				}
			}
		}
	}
}

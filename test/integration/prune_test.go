// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

var placementScopes = []scope{
	{"ClusterResourcePlacement", "clusterresourceplacements", "/apis/placement.kubernetes-fleet.io/v1beta1/clusterresourceplacements/"},
	{"ResourcePlacement", "resourceplacements", "/apis/placement.kubernetes-fleet.io/v1/namespaces/test-namespace/resourceplacements/"},
}

// keepingStatus is a placement of which cluster oslo keeps objects beside the version with index 4.
const keepingStatus = `{"status":{"placementStatuses":[{"clusterName":"oslo","observedResourceIndex":"4","conditions":[
	{"type":"ObjectsKept","status":"True","reason":"Adopted","message":"Kept: ConfigMap old","lastTransitionTime":"2026-03-01T12:00:00Z"}]}]}}`

// pruning is the patch of the documents.
const pruning = `{"spec":{"reason":"INC-7","resourceSnapshotName":"web-4-snapshot"}}`

// createPlacement makes the placement web, whose cluster keeps objects.
func (k *kubectl) createPlacement(in scope) {
	k.t.Helper()
	manifest := `{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":"` + in.kind + `","metadata":{"name":"web"},
		"spec":{"resourceSelectors":[{"group":"rbac.authorization.k8s.io","version":"v1","kind":"ClusterRole","name":"x"}]}}`
	if out, err := k.try(manifest, "create", "-f", "-"); err != nil {
		k.t.Fatalf("%v\n%s", err, out)
	}
	k.run("patch", in.resource, "web", "--subresource=status", "--type=merge", "-p", keepingStatus)
}

// waysToPrune are those that there are, by kubectl.
var waysToPrune = map[string]func(k *kubectl, in scope) (string, error){
	"patch": func(k *kubectl, in scope) (string, error) {
		return k.try("", "patch", in.resource, "web", "--subresource=prune", "--type=merge", "-p", pruning)
	},
	"post": func(k *kubectl, in scope) (string, error) {
		return k.try(pruning, "create", "--raw", in.path+"web/prune", "-f", "-")
	},
	"put": func(k *kubectl, in scope) (string, error) {
		return k.try(`{"metadata":{"name":"web"},`+pruning[1:], "replace", "--raw", in.path+"web/prune", "-f", "-")
	},
}

func TestKubectlPrunesPlacements(t *testing.T) {
	s := testserver.Start(t)
	alice, bob := newKubectl(t, s.As(testserver.Alice)), newKubectl(t, s.As(testserver.Bob))
	const recorded = "jsonpath={.status.prune.resourceSnapshotName} {.status.prune.reason} {.status.prune.user.username}"
	for _, in := range placementScopes {
		for way, prune := range waysToPrune {
			t.Run(in.resource+"/"+way, func(t *testing.T) {
				alice.createPlacement(in)
				if out, err := prune(alice, in); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				bob.run("patch", in.resource, "web", "--subresource=status", "--type=merge", "-p", `{"status":{"prune":null}}`)
				bob.run("patch", in.resource, "web", "--subresource=status", "--type=merge", "-p", `{"status":{"prune":{"reason":"forged"}}}`)
				if got := alice.run("get", in.resource, "web", "-o", recorded); got != "web-4-snapshot INC-7 alice" {
					t.Errorf("recorded is %q", got)
				}
				if got := bob.run("get", in.resource, "web", "--subresource=prune", "-o", "jsonpath={.status.user.username} {.spec.resourceSnapshotName} {.spec.reason}"); got != "alice web-4-snapshot INC-7" {
					t.Errorf("read is %q", got)
				}
				alice.run("delete", in.resource, "web")
			})
		}
		t.Run(in.resource+"/refusals", func(t *testing.T) {
			alice.createPlacement(in)
			for patch, want := range map[string]string{
				`{"spec":{"reason":"INC-7"}}`:                        `The PlacementPrune "web" is invalid: spec.resourceSnapshotName: Required value`,
				`{"spec":{"resourceSnapshotName":"web-4-snapshot"}}`: `The PlacementPrune "web" is invalid: spec.reason: Required value`,
				`{"spec":{"reason":"INC-7","resourceSnapshotName":"web-5-snapshot"}}`: `Error from server (Conflict): Operation cannot be fulfilled on ` + in.resource +
					`.placement.kubernetes-fleet.io "web": no cluster that keeps objects has resource snapshot "web-5-snapshot": look at what they keep, and name the version that they have: web-4-snapshot`,
			} {
				if out, err := bob.try("", "patch", in.resource, "web", "--subresource=prune", "--type=merge", "-p", patch); err == nil || !strings.Contains(out, want) {
					t.Errorf("%s: %v, want %q:\n%s", patch, err, want, out)
				}
			}
		})
	}
	t.Run("explain", func(t *testing.T) {
		for _, field := range []string{"crp.status.prune.resourceSnapshotName", "rp.status.prune.user"} {
			if out := alice.run("explain", field); !strings.Contains(out, "DESCRIPTION") || strings.Contains(out, "<empty>") {
				t.Errorf("kubectl explain %s shows\n%s", field, out)
			}
		}
	})
}

// TestPruningIsAPermissionOfItsOwn has bob, who may update the subresource prune and read, and nobody, who may use its path in every way but
// that and write placements.
func TestPruningIsAPermissionOfItsOwn(t *testing.T) {
	s := testserver.Start(t, testserver.WithAuthorizer(func(a authorizer.Attributes) bool {
		prunes := a.GetSubresource() == "prune" && a.GetVerb() == "update"
		switch a.GetUser().GetName() {
		case testserver.Alice:
			return true
		case testserver.Bob:
			return prunes || a.IsReadOnly()
		}
		return !prunes
	}))
	alice, bob, nobody := newKubectl(t, s.As(testserver.Alice)), newKubectl(t, s.As(testserver.Bob)), newKubectl(t, s.As(testserver.Nobody))
	for _, in := range placementScopes {
		t.Run(in.resource, func(t *testing.T) {
			alice.createPlacement(in)
			for way, want := range map[string]string{
				"patch": `user "nobody" needs the permission to update ` + in.resource + `.placement.kubernetes-fleet.io/prune`,
				"post":  `user "nobody" needs the permission to update ` + in.resource + `.placement.kubernetes-fleet.io/prune`,
				"put":   `Forbidden`,
			} {
				if out, err := waysToPrune[way](nobody, in); err == nil || !strings.Contains(out, want) {
					t.Errorf("nobody prunes by %s: %v\n%s", way, err, out)
				}
			}
			for way, want := range map[string]bool{"patch": false, "post": false, "put": true} {
				if out, err := waysToPrune[way](bob, in); (err == nil) != want {
					t.Errorf("bob prunes by %s: %v\n%s", way, err, out)
				}
			}
			if got := alice.run("get", in.resource, "web", "-o", "jsonpath={.status.prune.user.username}"); got != "bob" {
				t.Errorf("recorded is %q", got)
			}
		})
	}
}

func TestPruningInDiscovery(t *testing.T) {
	s := testserver.Start(t)
	found := 0
	for _, r := range discover(t, s.As(testserver.Alice)) {
		for _, subresource := range r.subresources {
			if !strings.HasSuffix(subresource.Name, "/prune") {
				continue
			}
			found++
			if diff := cmp.Diff(metav1.Verbs{"create", "get", "patch", "update"}, subresource.Verbs); diff != "" || subresource.Kind != "PlacementPrune" {
				t.Errorf("%s %s is of kind %s; verbs (-want +got):\n%s", r.gv, subresource.Name, subresource.Kind, diff)
			}
		}
	}
	if want := len(placementScopes) * 2; found != want {
		t.Errorf("%d subresources, want %d", found, want)
	}
}

func TestTypedClientsPrunePlacements(t *testing.T) {
	s := testserver.Start(t)
	newKubectl(t, s.As(testserver.Alice)).createPlacement(placementScopes[0])
	client, err := versioned.NewForConfig(s.As(testserver.Alice))
	if err != nil {
		t.Fatal(err)
	}
	pruned, err := client.PlacementV1beta1().ClusterResourcePlacements().Prune(t.Context(), "web", &v1beta1.PlacementPrune{
		Spec: v1beta1.PlacementPruneSpec{Reason: "INC-7", ResourceSnapshotName: "web-4-snapshot"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pruned.Status.User == nil || pruned.Status.User.Username != "alice" || pruned.Status.Time == nil {
		t.Errorf("the answer is %+v", pruned.Status)
	}
}

// TestOnlyOneRoleOfOursPrunes reads the roles that we ship.
func TestOnlyOneRoleOfOursPrunes(t *testing.T) {
	files, err := filepath.Glob("../../artifacts/rbac/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var pruners []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal(data, &role); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, rule := range role.Rules {
			if !slices.ContainsFunc(rule.Resources, func(r string) bool { return strings.Contains(r, "*") || strings.HasSuffix(r, "/prune") }) {
				continue
			}
			pruners = append(pruners, role.Name)
			if len(role.Labels) > 0 {
				t.Errorf("%s is aggregated by its labels %v", role.Name, role.Labels)
			}
		}
	}
	if diff := cmp.Diff([]string{"stagegate-pruner"}, pruners); diff != "" {
		t.Errorf("roles that prune (-want +got):\n%s", diff)
	}
}

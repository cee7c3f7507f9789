// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/test/hub"
)

var definitionsDir = flag.String("definitions", "", "directory with CustomResourceDefinitions of KubeFleet for TestImport, in place of those that it generates")

var (
	kindAPIService = schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}
	fleetGroups    = []string{"placement.kubernetes-fleet.io", "cluster.kubernetes-fleet.io"}
)

// fieldsOfOurs are of statuses and specs, and KubeFleet's objects have none of them.
var fieldsOfOurs = []string{
	"createdBy", "decisions", "endTime", "history", "initializationStartTime", "observedOperation", "outcome", "placementUID", "policies", "policy", "previousApplyStrategy",
	"previousApplyType", "previousClusterResourceOverrideSnapshots", "previousResourceOverrideSnapshots", "previousResourceSnapshotIndex", "requester", "rollout", "synchronizedVersion",
	"turn", "updatedTime",
}

// kubefleet is a hub as KubeFleet leaves it: definitions, with the objects that this server had, written into the hub's etcd, since the API would
// give them other uids and generations.
type kubefleet struct {
	*suite
	// objects by resource, and for each of them its JSON.
	objects map[schema.GroupVersionResource][]*unstructured.Unstructured
}

// TestImport moves a hub that KubeFleet ruled, with the hub's own garbage collector at work, back, and once more. What was delivered to members
// keeps its uid. It takes two minutes, one of them for the hub and three members.
func TestImport(t *testing.T) {
	if testing.Short() {
		t.Skip("brings up a hub")
	}
	// What the client libraries log about a server that is down, on purpose, is noise here.
	t.Parallel()
	const name, staged = "moved", "moved-staged"
	root, err := hub.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	options := hub.Options{Root: root, Dir: filepath.Join(root, "_output", "import"), Members: 3, Out: os.Stderr, ServerFlags: []string{"--v=2"}}
	down := func() {
		if err := hub.Down(options); err != nil {
			t.Error(err)
		}
	}
	down()
	if !*keep {
		t.Cleanup(down)
	}
	s := &suite{options: options, changes: &changes{}, since: time.Now()}
	s.up(t)
	t.Cleanup(s.changes.close)
	flags := s.options.ServerFlags

	// A fleet at work: a placement that was delivered, a Secret in it, an override, and a run that waits for an approval after its first stage.
	s.hub().mustCreate(t, fmt.Sprintf(precious, name))
	s.createGadget(t, hub.HubName, name)
	s.mustRun(t, "kubectl -n "+name+" create secret generic password --from-literal=key=value")
	s.hub().mustCreate(t, keptPlacement(name))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s ends with:\n%s", s.environment.Log(serverProcess), tail(s.environment.Log(serverProcess)))
		}
	})
	r := s.newRollout(t, staged, stagingThenCanary+`    beforeStageTasks: [{type: Approval}]
`)
	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourceOverride
metadata: {name: %[1]s}
spec:
  placement: {name: %[1]s}
  clusterResourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy:
    overrideRules:
    - clusterSelector: {clusterSelectorTerms: []}
      jsonPatchOverrides: [{op: add, path: /metadata/labels, value: {overridden: "yes"}}]
`, staged))
	s.eventually(t, func() error {
		_, err := s.hub().get(t.Context(), placementV1beta1.WithKind("ClusterResourceOverrideSnapshot"), "", staged+"-0")
		return err
	})
	r.start(t, staged, 0, "Run")
	request := staged + "-before-canary"
	s.eventually(t, func() error {
		_, err := s.hub().get(t.Context(), kindApproval, "", request)
		return err
	})
	members, objects := s.environment.Members(), append(preciousIn(name), object{kindSecret, name, "password"})
	before := s.awaitUIDs(t, members, objects)
	stagedObjects := []object{{kindConfigMap, staged, "settings"}}
	stagedBefore := s.awaitUIDs(t, []string{"member2"}, stagedObjects)

	k := s.becomeKubeFleet(t, request)
	stays := func() {
		t.Helper()
		s.sameUIDs(t, before, members, objects)
		s.sameUIDs(t, stagedBefore, []string{"member2"}, stagedObjects)
		for _, member := range members {
			namespace, err := s.hub().get(t.Context(), kindNamespace, "", "fleet-member-"+member)
			if err != nil || namespace.GetDeletionTimestamp() != nil {
				t.Fatalf("the namespace of %s is being deleted: %v", member, err)
			}
		}
	}

	out := k.mustImport(t, "--dry-run")
	if !strings.Contains(out, "Would take off namespaces fleet-member-member1 its owner MemberCluster member1") {
		t.Errorf("the dry run says\n%s", out)
	}
	k.ownersOfNamespaces(t, 1)
	k.killImportAt(t, "Took owners of the fleet off", "")
	k.ownersOfNamespaces(t, 0)
	// Whoever still writes is refused, also a status.
	for _, subresource := range []string{"", " --subresource=status"} {
		out, err := s.run(t.Context(), hub.HubName, "kubectl patch membercluster member1"+subresource+` --type=merge -p '{"metadata":{"labels":{"late":"yes"}}}' 2>&1`)
		if err == nil || !strings.Contains(out, "the objects are being moved to Stagegate") {
			t.Errorf("a write%s during the import: %v\n%s", subresource, err, out)
		}
	}
	out = k.mustImport(t, "")
	for _, want := range []string{"The import is complete", request + " was approved, and its run has not acted on it"} {
		if !strings.Contains(out, want) {
			t.Errorf("the import does not say %q:\n%s", want, out)
		}
	}
	k.mustImport(t, "")
	// Nobody serves the objects now, which is no reason to delete anything.
	if _, err := s.hub().of(kindMemberCluster, "").List(t.Context(), metav1.ListOptions{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("without a server: %v", err)
	}

	// A look at the objects before controllers work on them, and back.
	s.options.ServerFlags = append(flags[:len(flags):len(flags)], "--controllers=")
	s.up(t)
	k.sameObjects(t)
	k.garbageCollectorWorks(t)
	stays()
	s.stopServer(t)
	k.killImportAt(t, "The hub answers for its objects itself", "--back")
	k.mustImport(t, "--back")
	s.eventually(t, func() error {
		apiService, err := s.hub().get(t.Context(), kindAPIService, "", "v1beta1.cluster.kubernetes-fleet.io")
		if err != nil {
			return err
		}
		return condition(apiService, "Available", "True", "Local")
	})
	k.sameObjects(t)
	k.ownersOfNamespaces(t, 1)
	k.garbageCollectorWorks(t)
	stays()

	// Forth for good, with a member of which the hub has no kubeconfig, as it has of none that KubeFleet's agent joined.
	s.mustRun(t, "kubectl -n fleet-system delete secret member-"+pullMember)
	if out := k.mustImport(t, ""); !strings.Contains(out, pullMember+" has no Secret fleet-system/member-"+pullMember) {
		t.Errorf("the import does not say that an agent serves %s:\n%s", pullMember, out)
	}
	s.options.ServerFlags = flags
	s.up(t)
	r.awaitRun(t, staged, all(clusterIs("member2", "Succeeded"), clusterIs(pullMember, "")))
	stays()
	member, err := s.hub().get(t.Context(), kindMemberCluster, "", pullMember)
	if err != nil {
		t.Fatal(err)
	}
	if got := member.GetAnnotations()["kubernetes-fleet.io/delivery"]; got != "Pull" {
		t.Errorf("the delivery to %s is %q", pullMember, got)
	}
	// The server has its kubeconfig since the environment is up again, and serves it once it is told so.
	s.mustRun(t, "kubectl patch membercluster "+pullMember+" --type=merge -p '"+pushIdentity+"'")
	// The approval that nobody stamped opens nothing, one that the server stamps does.
	approval, err := s.hub().get(t.Context(), kindApproval, "", request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := findCondition(approval, "Approved"); err == nil {
		t.Error("the request looks approved")
	}
	s.mustRun(t, "kubectl patch careq "+request+` --subresource=approve --type=merge -p '{"spec":{"comment":"after the move"}}'`)
	r.succeeds(t, staged, "value1")
	for _, member := range members {
		label, err := s.run(t.Context(), member, "kubectl get ns "+staged+` -o jsonpath='{.metadata.labels.overridden}'`)
		if err != nil || label != "yes" {
			t.Errorf("the override is not in force on %s: %q, %v", member, label, err)
		}
	}
	// Snapshots of before are those of now: nothing has changed on the hub, so there is no other version.
	for _, placement := range []string{name, staged} {
		if _, err := s.hub().get(t.Context(), kindResourceSnapshot, "", placement+"-1-snapshot"); !isGone(err) {
			t.Errorf("%s has another version, and nothing was changed: %v", placement, err)
		}
	}
	r.change(t, "value2", 1)
	r.start(t, staged+"-next", 1, "Run")
	s.eventually(t, func() error {
		_, err := s.hub().get(t.Context(), kindApproval, "", staged+"-next-before-canary")
		return err
	})
	s.mustRun(t, "kubectl patch careq "+staged+`-next-before-canary --subresource=approve --type=merge -p '{"spec":{"comment":"next"}}'`)
	r.succeeds(t, staged+"-next", "value2")
	stays()
	k.garbageCollectorWorks(t)
	s.stopServer(t)
	if out, err := k.runImport(t, "--back"); err == nil || !strings.Contains(out, "there is no way back: Stagegate's controllers have worked on the objects since") {
		t.Errorf("--back: %v\n%s", err, out)
	}
	s.up(t)
	stays()
}

// stopServer kills the server, which nobody brings back where the test fails: it may not start then.
func (s *suite) stopServer(t *testing.T) {
	t.Helper()
	if err := s.environment.Kill(serverProcess); err != nil {
		t.Fatal(err)
	}
}

// becomeKubeFleet makes the hub and the members what KubeFleet would have made of the same placements, and stops the server, which has a new store
// from then on. The request was approved the way KubeFleet does it, and the run has not seen it.
func (s *suite) becomeKubeFleet(t *testing.T, request string) *kubefleet {
	t.Helper()
	k := &kubefleet{suite: s, objects: map[schema.GroupVersionResource][]*unstructured.Unstructured{}}
	config, err := s.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	var definitions []string
	resources := map[string]schema.GroupVersionResource{}
	for _, group := range fleetGroups {
		list, err := api.ServerResourcesForGroupVersion(group + "/v1beta1")
		if err != nil {
			t.Fatal(err)
		}
		status := map[string]bool{}
		for _, resource := range list.APIResources {
			if plural, found := strings.CutSuffix(resource.Name, "/status"); found {
				status[plural] = true
			}
		}
		for _, resource := range list.APIResources {
			if strings.Contains(resource.Name, "/") {
				continue
			}
			definitions = append(definitions, definitionOf(group, resource, status[resource.Name]))
			gvr := schema.GroupVersionResource{Group: group, Version: "v1beta1", Resource: resource.Name}
			resources[resource.Name+"."+group] = gvr
		}
	}
	if *definitionsDir != "" {
		definitions = nil
		files, err := filepath.Glob(filepath.Join(*definitionsDir, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no definitions in %s: %v", *definitionsDir, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			definitions = append(definitions, strings.TrimPrefix(string(data), "---\n"))
		}
	}
	// The server is stopped before its objects are read from its store's last state: nobody may write to them after that.
	s.options.ServerFlags = append(s.options.ServerFlags[:len(s.options.ServerFlags):len(s.options.ServerFlags)], "--controllers=")
	s.up(t)
	for _, gvr := range resources {
		list, err := s.hub().Resource(gvr).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			k.objects[gvr] = append(k.objects[gvr], &list.Items[i])
		}
	}
	s.stopServer(t)
	if err := os.RemoveAll(filepath.Join(s.options.Dir, "data", serverProcess)); err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, "kubectl -n fleet-system delete configmap stagegate-store")
	for _, group := range fleetGroups {
		s.mustRun(t, "kubectl delete apiservice v1."+group+" v1beta1."+group)
	}
	for _, definition := range definitions {
		s.hub().mustCreate(t, definition)
	}
	s.mustRun(t, "kubectl wait --for=condition=Established --timeout=1m crd --all >/dev/null")
	k.writeObjects(t, request)
	for gvr := range k.objects {
		s.eventually(t, func() error {
			list, err := s.hub().Resource(gvr).List(t.Context(), metav1.ListOptions{})
			if err == nil && len(list.Items) != len(k.objects[gvr]) {
				err = fmt.Errorf("the hub has %d %s, want %d", len(list.Items), gvr.Resource, len(k.objects[gvr]))
			}
			return err
		})
	}
	for _, member := range s.environment.Members() {
		// KubeFleet's agent makes the namespace, with a role, the MemberCluster's own.
		owner := k.memberOwner(t, member)
		s.mustRun(t, fmt.Sprintf(`kubectl patch ns fleet-member-%[1]s --type=merge -p '{"metadata":{"ownerReferences":[%[2]s]}}'
kubectl create -f - << 'EOF'
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: fleet-role-%[1]s, namespace: fleet-member-%[1]s, ownerReferences: [%[2]s]}, rules: []}
EOF`, member, owner))
		// And writes nothing of Stagegate's on the member.
		script := `kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/store-id- kubernetes-fleet.io/hub-uid- kubernetes-fleet.io/member-name-
for w in $(kubectl get appliedworks.placement.kubernetes-fleet.io -o name); do
  kubectl patch $w --type=merge -p '{"metadata":{"annotations":null,"finalizers":null}}'
done`
		if _, err := s.run(t.Context(), member, script); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// definitionOf is a CustomResourceDefinition of a kind that the server serves.
func definitionOf(group string, resource metav1.APIResource, status bool) string {
	scope := "Cluster"
	if resource.Namespaced {
		scope = "Namespaced"
	}
	names, subresources := "", "{}"
	if len(resource.ShortNames) > 0 {
		names = ", shortNames: [" + strings.Join(resource.ShortNames, ", ") + "]"
	}
	if status {
		subresources = "{status: {}}"
	}
	version := func(name string, storage bool) string {
		return fmt.Sprintf("  - {name: %s, served: true, storage: %t, subresources: %s, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}\n",
			name, storage, subresources)
	}
	return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[1]s.%[2]s
  annotations: {api-approved.kubernetes.io: unapproved}
spec:
  group: %[2]s
  scope: %[3]s
  names: {plural: %[1]s, singular: %[4]s, kind: %[5]s%[6]s}
  versions:
`, resource.Name, group, scope, resource.SingularName, resource.Kind, names) + version("v1", false) + version("v1beta1", true)
}

// writeObjects writes owners before what they own, which the garbage collector of the hub would delete at once.
func (k *kubefleet) writeObjects(t *testing.T, request string) {
	t.Helper()
	pending := map[types.UID]func(){}
	for gvr, objects := range k.objects {
		for _, obj := range objects {
			pending[obj.GetUID()] = func() {
				delete(pending, obj.GetUID())
				k.asKubeFleet(t, obj, request)
				for _, owner := range obj.GetOwnerReferences() {
					if write := pending[owner.UID]; write != nil {
						write()
					}
				}
				data, err := json.Marshal(obj.Object)
				if err != nil {
					t.Fatal(err)
				}
				k.put(t, path.Join("/", hub.HubName, gvr.Group, gvr.Resource, obj.GetNamespace(), obj.GetName()), data)
			}
		}
	}
	for len(pending) > 0 {
		for _, write := range pending {
			write()
			break
		}
	}
}

// asKubeFleet makes an object what KubeFleet would have written.
func (k *kubefleet) asKubeFleet(t *testing.T, obj *unstructured.Unstructured, request string) {
	t.Helper()
	obj.SetManagedFields(nil)
	obj.SetResourceVersion("")
	strip(obj.Object)
	if strings.HasSuffix(obj.GetKind(), "ApprovalRequest") {
		obj.SetOwnerReferences(nil)
	}
	if obj.GetKind() != kindApproval.Kind || obj.GetName() != request {
		return
	}
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	conditions = append(conditions, map[string]any{
		"type": "Approved", "status": "True", "reason": "LGTM", "message": "LGTM", "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": obj.GetGeneration(),
	})
	if err := unstructured.SetNestedSlice(obj.Object, conditions, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
}

// put writes a value to the etcd of the clusters.
func (k *kubefleet) put(t *testing.T, key string, value []byte) {
	t.Helper()
	body, err := json.Marshal(map[string][]byte{"key": []byte(key), "value": value})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, k.environment.EtcdURL()+"/v3/kv/put", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(resp.Body)
		t.Fatalf("writing %s: %s: %s", key, resp.Status, answer)
	}
}

// strip removes what KubeFleet does not write from a run, a request or a binding, at any depth. Manifests are left alone.
func strip(object map[string]any) {
	kind, _ := object["kind"].(string)
	if !strings.Contains(kind, "UpdateRun") && !strings.Contains(kind, "ApprovalRequest") && !strings.HasSuffix(kind, "ResourceBinding") {
		return
	}
	var remove func(value any)
	remove = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for _, field := range fieldsOfOurs {
				delete(v, field)
			}
			for _, child := range v {
				remove(child)
			}
		case []any:
			for _, child := range v {
				remove(child)
			}
		}
	}
	remove(object["spec"])
	remove(object["status"])
}

func (k *kubefleet) memberOwner(t *testing.T, member string) string {
	t.Helper()
	obj, err := k.hub().get(t.Context(), kindMemberCluster, "", member)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"apiVersion":"cluster.kubernetes-fleet.io/v1beta1","kind":"MemberCluster","name":%q,"uid":%q,"controller":true}`, member, obj.GetUID())
}

// migrationPage has the commands that are played here.
const migrationPage = "docs/migration.md"

// command is the import of the page with a flag, or without one, as the server's ServiceAccount, with the rights that artifacts/import gives to it.
func (k *kubefleet) command(ctx context.Context, t *testing.T, flag string) *exec.Cmd {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(k.options.Root, migrationPage))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != serverProcess || words[1] != "import" || !strings.HasPrefix(line, "    ") {
			continue
		}
		first := ""
		if slices.Contains([]string{"--dry-run", "--back"}, words[2]) {
			first = words[2]
		}
		if first != flag {
			continue
		}
		replaced := strings.NewReplacer(
			"$KUBECONFIG", filepath.Join(k.options.Dir, "pki", serverProcess+".kubeconfig"), "/var/lib/stagegate", filepath.Join(k.options.Dir, "data", serverProcess))
		args := strings.Fields(replaced.Replace(strings.Join(words[1:], " ")))
		return exec.CommandContext(ctx, filepath.Join(k.environment.BinDir(), serverProcess), args...)
	}
	t.Fatalf("%s has no import with %q", migrationPage, flag)
	return nil
}

func (k *kubefleet) runImport(t *testing.T, flag string) (string, error) {
	t.Helper()
	k.mustRun(t, "kubectl apply -f artifacts/import/rbac.yaml")
	out, err := k.command(t.Context(), t, flag).CombinedOutput()
	return string(out), err
}

func (k *kubefleet) mustImport(t *testing.T, flag string) string {
	t.Helper()
	out, err := k.runImport(t, flag)
	if err != nil {
		t.Fatalf("import %s: %v\n%s", flag, err, out)
	}
	t.Logf("import %s:\n%s", flag, out)
	return out
}

// killImportAt kills an import with SIGKILL when it says something.
func (k *kubefleet) killImportAt(t *testing.T, text, flag string) {
	t.Helper()
	k.mustRun(t, "kubectl apply -f artifacts/import/rbac.yaml")
	cmd := k.command(t.Context(), t, flag)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, said := bufio.NewScanner(stdout), false
	for !said && lines.Scan() {
		said = strings.Contains(lines.Text(), text)
	}
	if !said {
		t.Errorf("the import never said %q", text)
	}
	_ = cmd.Process.Kill()
	if err := cmd.Wait(); err == nil {
		t.Error("the import was over before it was killed")
	}
}

// ownersOfNamespaces holds how many owners the namespaces of members and the roles in them have.
func (k *kubefleet) ownersOfNamespaces(t *testing.T, want int) {
	t.Helper()
	for _, member := range k.environment.Members() {
		out := k.mustRun(t, fmt.Sprintf("kubectl get ns/fleet-member-%[1]s -o json; kubectl -n fleet-member-%[1]s get role/fleet-role-%[1]s -o json", member))
		if got := strings.Count(out, `"kind": "MemberCluster"`); got != 2*want {
			t.Errorf("namespace and role of %s have %d owners, want %d:\n%s", member, got, 2*want, out)
		}
	}
}

// sameObjects holds that the API has the objects that were there at the beginning, with their uids and generations.
func (k *kubefleet) sameObjects(t *testing.T) {
	t.Helper()
	for gvr, objects := range k.objects {
		list, err := k.hub().Resource(gvr).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != len(objects) {
			t.Errorf("there are %d %s, want %d", len(list.Items), gvr.Resource, len(objects))
		}
		found := map[string]*unstructured.Unstructured{}
		for i := range list.Items {
			found[string(list.Items[i].GetUID())] = &list.Items[i]
		}
		for _, want := range objects {
			got := found[string(want.GetUID())]
			if got == nil || got.GetName() != want.GetName() || got.GetGeneration() != want.GetGeneration() || got.GetDeletionTimestamp() != nil {
				data, _ := yaml.Marshal(got)
				t.Errorf("%s %s/%s (uid %s) is not as it was:\n%s", gvr.Resource, want.GetNamespace(), want.GetName(), want.GetUID(), data)
			}
		}
	}
}

// garbageCollectorWorks returns when the garbage collector of the hub has looked for owners in the fleet's API: it deletes what a MemberCluster owned
// that is not there, and nothing else.
func (k *kubefleet) garbageCollectorWorks(t *testing.T) {
	t.Helper()
	const probe = "owned-by-nobody"
	for _, member := range k.environment.Members() {
		owned := fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %s-%s, namespace: fleet-system, ownerReferences: [%s]}}`,
			probe, member, strings.Replace(k.memberOwner(t, member), `"uid":"`, `"uid":"0`, 1))
		k.hub().mustCreate(t, owned)
		k.eventually(t, func() error {
			if _, err := k.hub().get(t.Context(), kindConfigMap, "fleet-system", probe+"-"+member); !isGone(err) {
				return fmt.Errorf("the garbage collector has not deleted it: %v", err)
			}
			return nil
		})
	}
}

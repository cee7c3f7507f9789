// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/stagegate/stagegate/test/hub"
)

// secondHub is a hub without members beside that of the suite, with a server and a store of its own.
type secondHub struct {
	options     hub.Options
	environment *hub.Environment
	kube        kubernetes.Interface
}

// newSecondHub names a hub that up brings up, and that is gone after the test.
func (s *suite) newSecondHub(t *testing.T) *secondHub {
	t.Helper()
	h := &secondHub{options: hub.Options{
		Root: s.options.Root, Dir: s.options.Dir + "-second", ServerFlags: []string{"--v=2"}, Out: os.Stderr,
	}}
	down := func() {
		if err := hub.Down(h.options); err != nil {
			t.Error(err)
		}
	}
	down()
	t.Cleanup(down)
	t.Cleanup(func() {
		if t.Failed() && h.environment != nil {
			t.Logf("%s ends with:\n%s", h.log(), tail(h.log()))
		}
	})
	return h
}

func (h *secondHub) up(t *testing.T) {
	t.Helper()
	var err error
	if h.environment, err = hub.Up(t.Context(), h.options); err != nil {
		t.Fatal(err)
	}
	config, err := h.environment.RESTConfig(hub.HubName)
	if err != nil {
		t.Fatal(err)
	}
	if h.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
}

func (h *secondHub) log() string { return h.environment.Log(serverProcess) }

func (h *secondHub) mustRun(t *testing.T, script string) string {
	t.Helper()
	out, err := h.environment.Command(t.Context(), hub.HubName, script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// holder returns who holds the Lease of the servers, "" if nobody ever has.
func (h *secondHub) holder(t *testing.T) string {
	t.Helper()
	lease, err := h.kube.CoordinationV1().Leases("fleet-system").Get(t.Context(), serverProcess, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && lease.Spec.HolderIdentity == nil {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return *lease.Spec.HolderIdentity
}

// awaitHolder waits until somebody other than those named holds the Lease, and returns who.
func (h *secondHub) awaitHolder(t *testing.T, other string) string {
	t.Helper()
	holder := ""
	err := wait.PollUntilContextTimeout(t.Context(), permissionInterval, patience, true, func(context.Context) (bool, error) {
		holder = h.holder(t)
		return holder != "" && holder != other, nil
	})
	if err != nil {
		t.Fatalf("the Lease is held by %q: %v", holder, err)
	}
	return holder
}

// testRebuiltHub starts a server on a copy of the store at a hub that has come anew and has only a part yet of what is placed, with the
// members' credentials. It leads nothing and touches no member, until a person runs the command that its log has. Then the members are
// still another hub's; and when they are this one's, they keep what is not back on it yet.
func testRebuiltHub(t *testing.T, s *suite) {
	const name = "rebuilt-hub"
	part := func(i int) string {
		return fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %[1]s-%[2]d, labels: {of: %[1]s}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s-%[2]d}
data: {key: value1}
`, name, i)
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete crp "+name+" --ignore-not-found --timeout=1m; kubectl delete ns --wait=false -l of="+name)
		// They were nobody's for a while, so that they count as having been there before, and stay.
		for _, member := range s.environment.Members() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
			if _, err := s.run(ctx, member, fmt.Sprintf("kubectl delete ns %[1]s-1 %[1]s-2 --ignore-not-found --wait=false", name)); err != nil {
				t.Error(err)
			}
			cancel()
		}
	})
	s.hub().mustCreate(t, part(1)+"---\n"+part(2)+fmt.Sprintf(`---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, labelSelector: {matchLabels: {of: %[1]s}}}]
`, name))
	for _, namespace := range []string{name + "-1", name + "-2"} {
		s.eventually(t, func() error { return s.values(t.Context(), namespace, "settings", onAll("value1")) })
	}
	s.eventually(t, func() error {
		obj, err := s.hub().get(t.Context(), kindPlacement, "", name)
		if err != nil {
			return err
		}
		return condition(obj, "ClusterResourcePlacementAvailable", "True", "")
	})

	// The copy is of a store that nobody writes.
	second := s.newSecondHub(t)
	s.kill(t, serverProcess)
	data := filepath.Join("data", serverProcess, "etcd")
	if err := os.CopyFS(filepath.Join(second.options.Dir, data), os.DirFS(filepath.Join(s.options.Dir, data))); err != nil {
		t.Fatal(err)
	}
	s.up(t)
	before := s.placed(t, name)
	second.up(t)
	secrets := s.mustRun(t, `kubectl -n fleet-system get secrets -o json | sed -E '/"(uid|resourceVersion|creationTimestamp)":/d'`)
	file := filepath.Join(t.TempDir(), "objects")
	if err := os.WriteFile(file, []byte(secrets), 0o600); err != nil {
		t.Fatal(err)
	}
	second.mustRun(t, "kubectl apply -f "+file)
	if err := os.WriteFile(file, []byte(part(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	second.mustRun(t, "kubectl apply -f "+file)

	awaitText(t, second.log(), "This server leads nothing")
	if out := second.mustRun(t, "kubectl get crp "+name+" -o name"); !strings.Contains(out, name) {
		t.Errorf("the copy of the store is not served: %s", out)
	}
	stays := func(when string) {
		t.Helper()
		if diff := cmp.Diff(before, s.placed(t, name)); diff != "" {
			t.Errorf("on the members, %s (-before +after):\n%s", when, diff)
		}
	}
	stays("while the second hub has not been adopted")
	if got := second.holder(t); got != "" {
		t.Errorf("%s holds the Lease of the second hub", got)
	}

	text, err := os.ReadFile(second.log())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("This server leads nothing")); n > 1 {
		t.Errorf("the server has said %d times that it leads nothing", n)
	}
	said := regexp.MustCompile(`kubectl -n fleet-system create configmap stagegate-store --from-literal=id=(\S+) --from-literal=hub=(\S+) [^|"]+\| kubectl apply -f -`).FindSubmatch(text)
	if said == nil {
		t.Fatalf("nothing says how to adopt the hub:\n%s", tail(second.log()))
	}
	adopt := s.documented(t, "docs/backup.md", "kubectl -n fleet-system create configmap stagegate-store", "STORE", string(said[1]), "HUB", string(said[2]))
	typed, _, _ := strings.Cut(strings.ReplaceAll(adopt, "\\\n", ""), " #")
	if diff := cmp.Diff(strings.Fields(string(said[0])), strings.Fields(typed)); diff != "" {
		t.Errorf("the command that adopts (-log +document):\n%s", diff)
	}
	// From here on the first hub is gone.
	s.kill(t, serverProcess)
	t.Cleanup(func() {
		if err := second.environment.Kill(serverProcess); err != nil {
			t.Error(err)
		}
		s.returnMembers(t)
	})
	second.mustRun(t, adopt)
	second.awaitHolder(t, "")
	second.mustRun(t, `kubectl wait memberclusters --all --timeout=1m --for=jsonpath='{.status.conditions[?(@.type=="Joined")].reason}'=OtherHub`)
	stays("after the second hub was adopted, and no member")

	members := s.environment.Members()
	objects := []object{
		{kindNamespace, "", name + "-1"}, {kindConfigMap, name + "-1", "settings"}, {kindNamespace, "", name + "-2"}, {kindConfigMap, name + "-2", "settings"},
	}
	uids := s.awaitUIDs(t, members, objects)
	annotate := s.documented(t, "docs/backup.md", "kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/hub-uid-")
	for _, member := range members {
		if _, err := s.run(t.Context(), member, annotate); err != nil {
			t.Fatal(err)
		}
	}
	// The restart is no other hub: it goes on without being told again. And it looks at the members at once.
	if err := second.environment.Kill(serverProcess); err != nil {
		t.Fatal(err)
	}
	second.mustRun(t, "kubectl -n fleet-system delete lease "+serverProcess)
	second.up(t)
	second.awaitHolder(t, "")
	kept := "ConfigMap " + name + "-2/settings"
	says := func(all bool) {
		t.Helper()
		out := ""
		err := wait.PollUntilContextTimeout(t.Context(), time.Second, patience, true, func(context.Context) (bool, error) {
			out = second.mustRun(t, `kubectl get crp `+name+` -o jsonpath='{.status.placementStatuses[*].conditions[?(@.type=="ObjectsKept")].message}'`)
			n := strings.Count(out, kept)
			return all && n == len(members) || !all && n == 0, nil
		})
		if err != nil {
			t.Errorf("what is kept is named: %s", out)
		}
	}
	says(true)
	s.sameUIDs(t, uids, members, objects)
	if err := os.WriteFile(file, []byte(part(2)), 0o600); err != nil {
		t.Fatal(err)
	}
	second.mustRun(t, "kubectl apply -f "+file)
	says(false)
	s.sameUIDs(t, uids, members, objects)
}

// returnMembers gives the members back to the hub of the suite, as if the other had never been.
func (s *suite) returnMembers(t *testing.T) {
	t.Helper()
	for _, member := range s.environment.Members() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		if _, err := s.run(ctx, member, s.documented(t, "docs/members.md", "kubectl delete appliedworks --all --cascade=orphan")+"\n"+
			s.documented(t, "docs/members.md", "kubectl get appliedwork -o name")+"\n"+`
kubectl annotate crd appliedworks.placement.kubernetes-fleet.io kubernetes-fleet.io/hub-uid-`); err != nil {
			t.Error(err)
		}
		cancel()
	}
	s.up(t)
}

// placed returns the uid and resourceVersion of what a test has placed, by member.
func (s *suite) placed(t *testing.T, name string) map[string]string {
	t.Helper()
	placed := map[string]string{}
	for _, member := range s.environment.Members() {
		out, err := s.run(t.Context(), member, `
columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,UID:.metadata.uid,VERSION:.metadata.resourceVersion
kubectl get ns -l of=`+name+` -o custom-columns=$columns
for i in 1 2; do kubectl -n `+name+`-$i get configmap settings -o custom-columns=$columns; done
kubectl get appliedworks -o custom-columns=$columns
`)
		if err != nil {
			t.Fatal(err)
		}
		placed[member] = out
	}
	return placed
}

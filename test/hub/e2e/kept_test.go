// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/test/hub"
)

var (
	kindWork       = placementV1beta1.WithKind("Work")
	kindClaim      = schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"}
	kindDeployment = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	kindDefinition = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	kindGadget     = schema.GroupVersionKind{Group: "kept.example.com", Version: "v1", Kind: "Gadget"}
	kindSecret     = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
)

// precious are objects whose end takes more along than themselves: volumes, custom resources, pods, the content of a namespace.
const precious = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.kept.example.com}
spec:
  group: kept.example.com
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: %[1]s}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: %[1]s}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: none}]}}
`

const preciousGadget = `apiVersion: kept.example.com/v1
kind: Gadget
metadata: {name: one, namespace: %[1]s}
`

// object names one on a cluster.
type object struct {
	kind            schema.GroupVersionKind
	namespace, name string
}

func preciousIn(namespace string) []object {
	return []object{
		{kindNamespace, "", namespace}, {kindClaim, namespace, "data"}, {kindDeployment, namespace, "web"},
		{kindDefinition, "", "gadgets.kept.example.com"}, {kindGadget, namespace, "one"},
	}
}

// uids of objects on the members, which tell an object from one that has taken its place.
func (s *suite) uids(ctx context.Context, members []string, objects []object) (map[string]types.UID, error) {
	found := map[string]types.UID{}
	for _, member := range members {
		for _, o := range objects {
			live, err := s.clusters[member].get(ctx, o.kind, o.namespace, o.name)
			if err != nil {
				return nil, fmt.Errorf("on %s: %s %s: %w", member, o.kind.Kind, o.name, err)
			}
			found[member+": "+o.kind.Kind+" "+o.name] = live.GetUID()
		}
	}
	return found, nil
}

// awaitUIDs waits until the objects are there.
func (s *suite) awaitUIDs(t *testing.T, members []string, objects []object) map[string]types.UID {
	t.Helper()
	var found map[string]types.UID
	s.eventually(t, func() (err error) {
		found, err = s.uids(t.Context(), members, objects)
		return err
	})
	return found
}

// sameUIDs fails the test where an object is gone or another one has taken its place.
func (s *suite) sameUIDs(t *testing.T, before map[string]types.UID, members []string, objects []object) {
	t.Helper()
	after, err := s.uids(t.Context(), members, objects)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Fatalf("uids (-before +now):\n%s", diff)
	}
}

// partsOf returns the Works of a placement on a member, with the names of the objects that each of them holds, once all of them are applied
// and hold the newest snapshot.
func (s *suite) partsOf(ctx context.Context, placement, member string) (map[string][]string, error) {
	latest, err := s.hub().of(kindResourceSnapshot, "").List(ctx, metav1.ListOptions{
		LabelSelector: "kubernetes-fleet.io/is-latest-snapshot=true,kubernetes-fleet.io/parent-CRP=" + placement,
	})
	if err != nil {
		return nil, err
	}
	if len(latest.Items) != 1 {
		return nil, fmt.Errorf("%d newest snapshots", len(latest.Items))
	}
	index := latest.Items[0].GetLabels()["kubernetes-fleet.io/resource-index"]
	works, err := s.hub().of(kindWork, "fleet-member-"+member).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes-fleet.io/parent-CRP=" + placement})
	if err != nil {
		return nil, err
	}
	parts := map[string][]string{}
	for i := range works.Items {
		work := &works.Items[i]
		if got := work.GetLabels()["kubernetes-fleet.io/parent-resource-snapshot-index"]; got != index {
			return nil, fmt.Errorf("Work %s on %s holds snapshot %s, want %s", work.GetName(), member, got, index)
		}
		if want := work.GetAnnotations()["kubernetes-fleet.io/number-of-works"]; want != strconv.Itoa(len(works.Items)) {
			return nil, fmt.Errorf("%d Works on %s, want %s", len(works.Items), member, want)
		}
		if err := condition(work, "Applied", "True", ""); err != nil {
			return nil, err
		}
		applied, err := findCondition(work, "Applied")
		if err != nil || applied.ObservedGeneration != work.GetGeneration() {
			return nil, fmt.Errorf("Work %s on %s is not applied yet", work.GetName(), member)
		}
		var content struct {
			Workload struct {
				Manifests []struct {
					Kind     string            `json:"kind"`
					Metadata metav1.ObjectMeta `json:"metadata"`
				} `json:"manifests"`
			} `json:"workload"`
		}
		if err := decode(work.Object["spec"], &content); err != nil {
			return nil, err
		}
		for _, m := range content.Workload.Manifests {
			parts[work.GetName()] = append(parts[work.GetName()], m.Kind+" "+m.Metadata.Name)
		}
	}
	return parts, nil
}

// testSplit has a placement grow and shrink over several Works, so that objects move between them, while the server is killed. They keep
// their uids, and with them what hangs on them.
func testSplit(t *testing.T, s *suite) {
	const name = "split"
	s.explain(t, "crp/"+name, "works -A -l kubernetes-fleet.io/parent-CRP="+name)
	t.Cleanup(func() { s.forgetKept(t, name) })
	s.hub().mustCreate(t, fmt.Sprintf(precious, name))
	s.createGadget(t, hub.HubName, name)
	filler := func(i int) string { return fmt.Sprintf("filler-%02d", i) }
	create := func(from, to int) {
		for i := from; i < to; i++ {
			s.hub().mustCreate(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: %s}, data: {x: %q}}`,
				filler(i), name, strings.Repeat("x", 60<<10)))
		}
	}
	create(0, 12)
	s.hub().mustCreate(t, keptPlacement(name))
	members := s.environment.Members()
	objects := preciousIn(name)
	before := s.awaitUIDs(t, members, objects)

	// holders are the Works that each object was in.
	holders := map[string]map[string]bool{}
	delivered := func(check func(parts map[string][]string) error) {
		t.Helper()
		s.eventually(t, func() error {
			for _, member := range members {
				parts, err := s.partsOf(t.Context(), name, member)
				if err == nil {
					err = check(parts)
				}
				if err != nil {
					return err
				}
				for work, objects := range parts {
					for _, o := range objects {
						if holders[o] == nil {
							holders[o] = map[string]bool{}
						}
						holders[o][work] = true
					}
				}
			}
			return nil
		})
		s.sameUIDs(t, before, members, objects)
	}
	has := func(works int, fillers ...string) func(parts map[string][]string) error {
		return func(parts map[string][]string) error {
			if len(parts) != works {
				return fmt.Errorf("%d Works, want %d", len(parts), works)
			}
			all := slices.Concat(slices.Collect(maps.Values(parts))...)
			for _, f := range fillers {
				if !slices.Contains(all, "ConfigMap "+f) {
					return fmt.Errorf("%s is in none of the Works", f)
				}
			}
			return nil
		}
	}
	killed := func(change func()) {
		change()
		// The moment is not important, and another one in each run.
		time.Sleep(time.Duration(time.Now().UnixNano()%1500) * time.Millisecond)
		s.kill(t, serverProcess)
		s.up(t)
	}
	delivered(has(1, filler(11)))
	strategies := []string{"ClientSideApply"}
	if atNight() {
		// Every day TestNothingThatIsSelectedIsEverDeleted has both, on clusters that are made up.
		strategies = append(strategies, "ServerSideApply")
	}
	for _, strategy := range strategies {
		s.hub().mustPatch(t, kindPlacement, "", name, `{"spec":{"strategy":{"applyStrategy":{"type":"`+strategy+`"}}}}`)
		create(12, 15)
		delivered(has(2, filler(14)))
		killed(func() { create(15, 29) })
		delivered(has(3, filler(28)))
		killed(func() { s.mustRun(t, fmt.Sprintf("kubectl -n %s delete configmap filler-{00..08}", name)) })
		delivered(has(2, filler(28)))
		killed(func() { s.mustRun(t, fmt.Sprintf("kubectl -n %s delete configmap filler-{12..28}", name)) })
		delivered(has(1))
		create(0, 9)
		delivered(has(1, filler(8)))
	}
	moved := false
	for _, o := range []string{"PersistentVolumeClaim data", "Deployment web", "Gadget one"} {
		moved = moved || len(holders[o]) > 1
	}
	if !moved {
		t.Errorf("no object has moved between Works: %v", holders)
	}
}

// createGadget creates the custom resource once its kind is served.
func (s *suite) createGadget(t *testing.T, cluster, namespace string) {
	t.Helper()
	s.eventually(t, func() error {
		definition, err := s.clusters[cluster].get(t.Context(), kindDefinition, "", "gadgets.kept.example.com")
		if err != nil {
			return err
		}
		return condition(definition, "Established", "True", "")
	})
	s.hub().mustCreate(t, fmt.Sprintf(preciousGadget, namespace))
}

// forgetKept removes a placement of precious objects from everywhere.
func (s *suite) forgetKept(t *testing.T, name string) {
	s.mustRunInCleanup(t, fmt.Sprintf("kubectl delete crp %[1]s --ignore-not-found --timeout=2m && kubectl delete ns %[1]s --ignore-not-found --timeout=2m && "+
		"kubectl delete crd gadgets.kept.example.com --ignore-not-found --timeout=2m", name))
}

// newKept places precious objects on all members.
func (s *suite) newKept(t *testing.T, name string) {
	t.Helper()
	s.explain(t, "crp/"+name, "membercluster", "works -A -l kubernetes-fleet.io/parent-CRP="+name)
	t.Cleanup(func() { s.forgetKept(t, name) })
	s.hub().mustCreate(t, fmt.Sprintf(precious, name))
	s.createGadget(t, hub.HubName, name)
	s.hub().mustCreate(t, keptPlacement(name))
}

func keptPlacement(name string) string {
	return fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors:
  - {group: "", version: v1, kind: Namespace, name: %[1]s}
  - {group: apiextensions.k8s.io, version: v1, kind: CustomResourceDefinition, name: gadgets.kept.example.com}
  policy: {placementType: PickAll}
  # Nobody here provides volumes, so the claim is never available.
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 100%%, unavailablePeriodSeconds: 1}}
`, name)
}

// testSwappedKubeconfig swaps the kubeconfigs of two members, and then gives one of them the other's: nothing is done on a cluster that is
// another member, and all goes on when the mistake is mended.
func testSwappedKubeconfig(t *testing.T, s *suite) {
	const name = "swapped"
	s.newKept(t, name)
	members, objects := s.environment.Members(), preciousIn(name)
	before := s.awaitUIDs(t, members, objects)
	// What is applied is written down after it is there, and before the hub is told.
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=condition=ClusterResourcePlacementApplied --timeout=%s", name, patience))
	works := s.appliedWorks(t, members)

	kubeconfig := map[string]string{}
	for _, member := range members {
		kubeconfig[member] = s.mustRun(t, "kubectl -n fleet-system get secret member-"+member+" -o jsonpath='{.data.kubeconfig}'")
	}
	give := func(member, of string) {
		s.hub().mustPatch(t, kindSecret, "fleet-system", "member-"+member, `{"data":{"kubeconfig":"`+kubeconfig[of]+`"}}`)
	}
	t.Cleanup(func() {
		for _, member := range []string{"member1", "member2"} {
			s.mustRunInCleanup(t, fmt.Sprintf(`kubectl -n fleet-system patch secret member-%s --type=merge -p '{"data":{"kubeconfig":"%s"}}'`, member, kubeconfig[member]))
		}
	})
	joined := func(member, status, reason string) {
		t.Helper()
		s.eventually(t, func() error {
			obj, err := s.hub().get(t.Context(), kindMemberCluster, "", member)
			if err != nil {
				return err
			}
			return condition(obj, "Joined", status, reason)
		})
	}
	touchesNothing := func() {
		t.Helper()
		s.sameUIDs(t, before, members, objects)
		if diff := cmp.Diff(works, s.appliedWorks(t, members)); diff != "" {
			t.Errorf("AppliedWorks (-before +now):\n%s", diff)
		}
	}

	give("member1", "member2")
	give("member2", "member1")
	joined("member1", "False", "OtherMember")
	joined("member2", "False", "OtherMember")
	said := s.mustRun(t, `kubectl get membercluster member1 -o jsonpath='{.status.conditions[?(@.type=="Joined")].message}'`)
	// How to rename a cluster would take it from the member that has it.
	if !strings.Contains(said, "member member2") || !strings.Contains(said, "put the kubeconfig of member1 into its Secret") || strings.Contains(said, "kubectl annotate") {
		t.Errorf("member1 says %q", said)
	}
	touchesNothing()
	give("member1", "member1")
	joined("member1", "True", "")
	joined("member2", "False", "OtherMember")
	touchesNothing()
	// Leaving through another member's kubeconfig touches nothing of that one either.
	s.mustRun(t, "kubectl delete membercluster member2 --timeout=2m")
	touchesNothing()
	give("member2", "member2")
	s.up(t)
	joined("member2", "True", "")
	s.hub().mustCreate(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: %s}, data: {key: value1}}`, name))
	s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("value1")) })
	s.sameUIDs(t, before, members, objects)
}

// appliedWorks are the uids and versions of all AppliedWorks.
func (s *suite) appliedWorks(t *testing.T, members []string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, member := range members {
		list, err := s.clusters[member].Resource(placementV1beta1.WithResource("appliedworks")).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			found[member+"/"+list.Items[i].GetName()] = string(list.Items[i].GetUID()) + " " + list.Items[i].GetResourceVersion()
		}
	}
	return found
}

// testMemberNamespaceDeleted deletes the namespace of a member on the hub, with the Works in it. It comes back, and on the member
// everything stays.
func testMemberNamespaceDeleted(t *testing.T, s *suite) {
	const name, member = "namespace-deleted", "member2"
	t.Cleanup(func() {
		// What belonged to no placement for a while counts as there before, and stays.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if _, err := s.run(ctx, member, "kubectl delete ns "+name+" --ignore-not-found; kubectl delete crd gadgets.kept.example.com --ignore-not-found"); err != nil {
			t.Error(err)
		}
	})
	s.newKept(t, name)
	objects := preciousIn(name)
	before := s.awaitUIDs(t, []string{member}, objects)
	namespace, err := s.hub().get(t.Context(), kindNamespace, "", "fleet-member-"+member)
	if err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, "kubectl delete ns fleet-member-"+member+" --timeout=2m")
	s.sameUIDs(t, before, []string{member}, objects)
	s.eventually(t, func() error {
		again, err := s.hub().get(t.Context(), kindNamespace, "", "fleet-member-"+member)
		if err != nil {
			return err
		}
		if again.GetUID() == namespace.GetUID() {
			return errors.New("the namespace is the same")
		}
		_, err = s.partsOf(t.Context(), name, member)
		return err
	})
	s.hub().mustCreate(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: %s}, data: {key: value1}}`, name))
	s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("value1")) })
	s.sameUIDs(t, before, []string{member}, objects)
}

// joinHub makes the hub a member of its own fleet until the test ends.
func (s *suite) joinHub(t *testing.T) {
	t.Helper()
	s.mustRun(t, `kubectl -n fleet-system create secret generic member-hub --from-literal=kubeconfig="$(kubectl config view --raw --flatten)"
kubectl create -f - << EOF
apiVersion: cluster.kubernetes-fleet.io/v1beta1
kind: MemberCluster
metadata: {name: hub}
spec: {identity: {kind: ServiceAccount, namespace: fleet-system, name: stagegate-apiserver}}
EOF
kubectl wait membercluster/hub --for=condition=Joined --timeout=2m`)
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete membercluster hub --ignore-not-found --timeout=2m && kubectl -n fleet-system delete secret member-hub --ignore-not-found")
	})
}

// testHubAsMember has the hub as a member of its own fleet: what is placed there is the object that it was selected from.
func testHubAsMember(t *testing.T, s *suite) {
	const name = "hub-member"
	s.joinHub(t)
	s.newKept(t, name)
	s.hub().mustCreate(t, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: %s}, data: {key: value1}}`, name))
	onHub := []string{hub.HubName}
	objects := append(preciousIn(name), object{kindConfigMap, name, "settings"})
	before := s.awaitUIDs(t, onHub, objects)
	ownerless := func() error {
		for _, o := range objects {
			live, err := s.hub().get(t.Context(), o.kind, o.namespace, o.name)
			if err != nil {
				return err
			}
			if refs := live.GetOwnerReferences(); len(refs) > 0 {
				return fmt.Errorf("%s %s is owned by %v", o.kind.Kind, o.name, refs)
			}
		}
		return nil
	}
	settled := func() {
		t.Helper()
		s.eventually(t, func() error {
			_, err := s.partsOf(t.Context(), name, hub.HubName)
			return errors.Join(err, ownerless())
		})
	}
	settled()
	// An edit of the source is not undone by the version before it.
	s.hub().mustPatch(t, kindConfigMap, name, "settings", `{"data":{"key":"value2"}}`)
	s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("value2")) })
	if err := s.values(t.Context(), name, "settings", map[string]string{hub.HubName: "value2"}); err != nil {
		t.Error(err)
	}

	// As an earlier version of the server has left it.
	work, err := s.hub().of(placementV1beta1.WithKind("AppliedWork"), "").Get(t.Context(), name+"-work", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.hub().mustPatch(t, kindConfigMap, name, "settings", fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"placement.kubernetes-fleet.io/v1beta1",`+
		`"kind":"AppliedWork","name":%q,"uid":%q,"blockOwnerDeletion":true}]}}`, work.GetName(), work.GetUID()))
	s.kill(t, serverProcess)
	s.up(t)
	settled()

	s.mustRun(t, "kubectl delete crp "+name+" --timeout=2m")
	s.sameUIDs(t, before, onHub, objects)
	s.eventually(t, func() error { return s.values(t.Context(), name, "settings", onAll("")) })
	s.sameUIDs(t, before, onHub, objects)
}

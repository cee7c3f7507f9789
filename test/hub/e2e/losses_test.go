// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const appliedWorksDefinition = "appliedworks.placement.kubernetes-fleet.io"

// testLossesOnMembers has somebody on a member delete what the server keeps there of what it has placed, and a placement go that had taken
// over a Namespace of the member. Nothing that is the member's own goes, and nothing that is placed is recreated.
func testLossesOnMembers(t *testing.T, s *suite) {
	t.Run("AppliedWorks", func(t *testing.T) { losesAppliedWorks(t, s) })
	t.Run("TakenOver", func(t *testing.T) { keepsWhatItTookOver(t, s) })
	t.Run("Meanwhile", func(t *testing.T) { keepsWhatIsMadeMeanwhile(t, s) })
}

func losesAppliedWorks(t *testing.T, s *suite) {
	const name, member = "losses", "member2"
	p := s.placeOn(t, name, member)
	// Who takes nothing over and undoes no drift is told of none.
	p.hub().mustPatch(t, kindPlacement, "", name, `{"spec":{"strategy":{"applyStrategy":{"whenToTakeOver":"Never","whenToApply":"IfNotDrifted"}}}}`)
	s.clusters[member].mustCreate(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: members-own, namespace: losses}, data: {key: own}}")
	objects := append(p.objects(), object{kindConfigMap, name, "members-own"})
	before := s.awaitUIDs(t, []string{member}, objects)
	owner := func() (types.UID, error) {
		live, err := s.clusters[member].get(t.Context(), kindAppliedWork, "", name+"-work")
		if err != nil {
			return "", err
		}
		return live.GetUID(), nil
	}
	// onceMore waits until another AppliedWork owns what is placed.
	onceMore := func(was types.UID) types.UID {
		t.Helper()
		var uid types.UID
		s.eventually(t, func() (err error) {
			if uid, err = owner(); err != nil {
				return err
			}
			if uid == was {
				return fmt.Errorf("the AppliedWork is the one that was deleted")
			}
			for _, o := range p.objects() {
				live, err := s.clusters[member].get(t.Context(), o.kind, o.namespace, o.name)
				if err != nil {
					return err
				}
				if refs := live.GetOwnerReferences(); len(refs) != 1 || refs[0].UID != uid || live.GetAnnotations()["kubernetes-fleet.io/kept-for"] != "" {
					return fmt.Errorf("%s %s is owned by %v, not by %s", o.kind.Kind, o.name, refs, uid)
				}
			}
			return nil
		})
		s.sameUIDs(t, before, []string{member}, objects)
		return uid
	}
	do := func(script string) {
		t.Helper()
		if _, err := s.run(t.Context(), member, script); err != nil {
			t.Fatal(err)
		}
	}
	uid, err := owner()
	if err != nil {
		t.Fatal(err)
	}
	do("kubectl delete appliedwork losses-work --wait=false")
	uid = onceMore(uid)
	do("kubectl delete crd " + appliedWorksDefinition + " --wait=false")
	onceMore(uid)
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=condition=ClusterResourcePlacementApplied --timeout=%s", name, patience))
	p.change(t, "value2")
	p.has(t, "value2")
	s.sameUIDs(t, before, []string{member}, objects)
}

func keepsWhatItTookOver(t *testing.T, s *suite) {
	const name = "losses-before"
	p := s.place(t, name, "{apiVersion: v1, kind: ConfigMap, metadata: {name: placed, namespace: losses-before}, data: {key: value1}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: members-own, namespace: losses-before}, data: {key: own}}",
		"  strategy: {type: RollingUpdate, rollingUpdate: {unavailablePeriodSeconds: 1}, applyStrategy: {whenToTakeOver: IfNoDiff}}")
	objects := []object{{kindNamespace, "", name}, {kindConfigMap, name, "members-own"}}
	before := s.awaitUIDs(t, []string{"member1"}, objects)
	s.awaitUIDs(t, []string{"member1"}, []object{{kindConfigMap, name, "placed"}})
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=condition=ClusterResourcePlacementApplied --timeout=%s", name, patience))
	owners := func() int {
		live, err := p.member.get(t.Context(), kindNamespace, "", name)
		if err != nil {
			t.Fatal(err)
		}
		return len(live.GetOwnerReferences())
	}
	if owners() != 1 {
		t.Fatal("the Namespace was not taken over")
	}
	s.mustRun(t, "kubectl delete crp "+name+" --timeout=1m")
	s.eventually(t, func() error {
		if _, err := p.member.get(t.Context(), kindConfigMap, name, "placed"); !isGone(err) {
			return fmt.Errorf("what was placed is still there: %v", err)
		}
		return nil
	})
	s.sameUIDs(t, before, []string{"member1"}, objects)
	if owners() != 0 {
		t.Error("the Namespace still has an owner")
	}
}

// keepsWhatIsMadeMeanwhile has somebody make a Namespace on a member while the member's API server is creating it for a placement that is
// applied server-side: a webhook of the member does, before it lets the creation go on. The Namespace is then one that was there before. What
// nobody else makes has the fields of an apply alone, and loses those that the manifest drops.
func keepsWhatIsMadeMeanwhile(t *testing.T, s *suite) {
	const name = "losses-meanwhile"
	member := s.clusters["member1"]
	var asked atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			APIVersion string         `json:"apiVersion"`
			Kind       string         `json:"kind"`
			Request    map[string]any `json:"request"`
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		// Its own creation comes by here too.
		if asked.Add(1) == 1 {
			if err := member.create(r.Context(), "{apiVersion: v1, kind: Namespace, metadata: {name: losses-meanwhile, labels: {made-by: member}}}"); err != nil {
				t.Error(err)
			}
		}
		if err := json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": review.APIVersion, "kind": review.Kind, "response": map[string]any{"uid": review.Request["uid"], "allowed": true},
		}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	hooks := schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration"}
	bundle, err := json.Marshal(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if err != nil {
		t.Fatal(err)
	}
	member.mustCreate(t, fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: meanwhile.example.com
  admissionReviewVersions: [v1]
  sideEffects: NoneOnDryRun
  failurePolicy: Fail
  clientConfig: {url: %[2]q, caBundle: %[3]s}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [namespaces]}]
  matchConditions: [{name: one, expression: "request.name == '%[1]s'"}]
`, name, server.URL, bundle))
	t.Cleanup(func() {
		if err := member.of(hooks, "").Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})

	p := s.place(t, name, "{apiVersion: v1, kind: ConfigMap, metadata: {name: placed, namespace: losses-meanwhile}, data: {key: value1, dropped: x}}", "",
		"  strategy: {type: RollingUpdate, rollingUpdate: {unavailablePeriodSeconds: 1}, applyStrategy: {type: ServerSideApply}}")
	s.mustRun(t, fmt.Sprintf("kubectl wait crp/%s --for=condition=ClusterResourcePlacementApplied --timeout=%s", name, patience))
	if asked.Load() < 2 {
		t.Fatalf("the webhook was asked %d times: nobody has made the Namespace meanwhile", asked.Load())
	}
	member.mustCreate(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: members-own, namespace: losses-meanwhile}, data: {key: own}}")
	before := s.awaitUIDs(t, []string{"member1"}, []object{{kindNamespace, "", name}, {kindConfigMap, name, "members-own"}})
	live, err := member.get(t.Context(), kindNamespace, "", name)
	if err != nil {
		t.Fatal(err)
	}
	if len(live.GetOwnerReferences()) != 1 || live.GetLabels()["made-by"] != "member" || live.GetAnnotations()["kubernetes-fleet.io/taken-over"] != "true" {
		t.Errorf("the Namespace that was made meanwhile has owners %v, labels %v and annotations %v", live.GetOwnerReferences(), live.GetLabels(), live.GetAnnotations())
	}

	p.has(t, "placed", "map[dropped:x key:value1]")
	if live, err = member.get(t.Context(), kindConfigMap, name, "placed"); err != nil {
		t.Fatal(err)
	}
	if fields := live.GetManagedFields(); len(fields) != 1 || fields[0].Manager != "work-api-agent" || fields[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("managed fields of what was created: %v", fields)
	}
	s.hub().mustPatch(t, kindConfigMap, name, "placed", `{"data":{"dropped":null}}`)
	p.has(t, "placed", "map[key:value1]")

	s.mustRun(t, "kubectl delete crp "+name+" --timeout=1m")
	s.eventually(t, func() error {
		if _, err := member.get(t.Context(), kindConfigMap, name, "placed"); !isGone(err) {
			return fmt.Errorf("what was placed is still there: %v", err)
		}
		return nil
	})
	s.sameUIDs(t, before, []string{"member1"}, []object{{kindNamespace, "", name}, {kindConfigMap, name, "members-own"}})
}

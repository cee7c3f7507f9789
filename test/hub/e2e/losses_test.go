// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

const appliedWorksDefinition = "appliedworks.placement.kubernetes-fleet.io"

// testLossesOnMembers has somebody on a member delete what the server keeps there of what it has placed, and a placement go that had taken
// over a Namespace of the member. Nothing that is the member's own goes, and nothing that is placed is recreated.
func testLossesOnMembers(t *testing.T, s *suite) {
	t.Run("AppliedWorks", func(t *testing.T) { losesAppliedWorks(t, s) })
	t.Run("TakenOver", func(t *testing.T) { keepsWhatItTookOver(t, s) })
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

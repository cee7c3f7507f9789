// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/test/hub"
)

// held is a Deployment that needs no Pods, so that it is available where no Node is, and a ConfigMap that a controller of the hub holds.
const held = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: %[1]s}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: pause:3.10}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: held, namespace: %[1]s, finalizers: [example.com/hub]}
`

// testCannotHeal has members meet what no time heals, under both ways to apply: another selector of a Deployment is told at once and mended
// on the member; finalizers stay where they belong, and one that a member's controller has set holds the deletion of the placement, which
// tells of it.
func testCannotHeal(t *testing.T, s *suite) {
	for _, strategy := range []string{"ClientSideApply", "ServerSideApply"} {
		t.Run(strategy, func(t *testing.T) { cannotHeal(t, s, strategy) })
	}
}

func cannotHeal(t *testing.T, s *suite, strategy string) {
	name := "cannot-heal-" + strings.ToLower(strategy[:6])
	letGo := fmt.Sprintf(`kubectl patch cm held -n %s --type=merge -p '{"metadata":{"finalizers":null}}'`, name)
	members := s.environment.Members()
	r := s.newRollout(t, name, `
  - name: all
    labelSelector: {}
    maxConcurrency: 100%
`, held)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		for _, cluster := range []string{hub.HubName, "member1"} {
			// On the member it is gone where the test has gone well.
			_, _ = s.run(ctx, cluster, letGo)
		}
	})
	s.hub().mustPatch(t, kindPlacement, "", name, fmt.Sprintf(`{"spec":{"strategy":{"applyStrategy":{"type":%q}}}}`, strategy))
	r.start(t, name+"-first", 0, "Run")
	r.succeeds(t, name+"-first", "value1")
	finalizers := func(cluster string, want ...string) error {
		obj, err := s.clusters[cluster].get(t.Context(), kindConfigMap, name, "held")
		if err != nil {
			return err
		}
		got := obj.GetFinalizers()
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("on %s: finalizers %v, want %v", cluster, got, want)
		}
		return nil
	}
	for _, member := range members {
		if err := finalizers(member); err != nil {
			t.Errorf("the hub's finalizers are placed: %v", err)
		}
	}

	// A member's controller holds the object, and an earlier version has placed a finalizer of the hub.
	onMember := s.clusters["member1"].of(kindConfigMap, name)
	s.clusters["member1"].mustPatch(t, kindConfigMap, name, "held", `{"metadata":{"finalizers":["example.com/hold"]}}`)
	obj, err := onMember.Get(t.Context(), "held", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	obj.SetManagedFields(nil)
	obj.SetResourceVersion("")
	obj.SetFinalizers([]string{"example.com/earlier"})
	if _, err := onMember.Apply(t.Context(), "held", obj, metav1.ApplyOptions{FieldManager: "work-api-agent", Force: true}); err != nil {
		t.Fatal(err)
	}
	if err := finalizers("member1", "example.com/earlier", "example.com/hold"); err != nil {
		t.Fatal(err)
	}

	// Another selector.
	if err := s.hub().of(kindDeployment, name).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	deployment, _, _ := strings.Cut(held, "---\n")
	s.hub().mustCreate(t, fmt.Sprintf(strings.Replace(deployment, "matchLabels: {app: web}", "matchLabels: {tier: front}", 1), name))
	r.hub().mustPatch(t, kindConfigMap, name, "held", `{"data":{"key":"value2"}}`)
	index := r.latestIndex(t)
	r.start(t, name+"-second", index, "Run")
	r.awaitRun(t, name+"-second", func(run runStatus) error {
		if err := has("Progressing", "False", "UpdateRunStuck")(run); err != nil {
			return err
		}
		progressing, err := findCondition(run.object, "Progressing")
		if err != nil {
			return err
		}
		for _, want := range []string{
			"; cluster member", ": Deployment " + name + "/web: Failed to apply the manifest", "field is immutable",
			"; go back to an earlier version, or delete the Deployment on the member cluster: it is created again",
		} {
			if !strings.Contains(progressing.Message, want) {
				return fmt.Errorf("the run says %q, want %q in it", progressing.Message, want)
			}
		}
		return nil
	})
	for _, member := range members {
		if out, err := s.run(t.Context(), member, "kubectl delete deployment web -n "+name); err != nil {
			t.Fatalf("%s%v", out, err)
		}
	}
	r.awaitRun(t, name+"-second", has("Succeeded", "True", "UpdateRunSucceeded"))
	for _, member := range members {
		obj, err := s.clusters[member].get(t.Context(), kindConfigMap, name, "held")
		if err != nil {
			t.Fatal(err)
		}
		if data := obj.Object["data"]; fmt.Sprint(data) != "map[key:value2]" {
			t.Errorf("on %s: %v", member, data)
		}
	}
	if err := finalizers("member1", "example.com/earlier", "example.com/hold"); err != nil {
		t.Errorf("after another version: %v", err)
	}

	// The deletion hangs, and tells why.
	s.mustRun(t, "kubectl delete crp --wait=false "+name)
	want := fmt.Sprintf("cluster member1: ConfigMap %s/held waits for finalizers example.com/", name)
	s.eventually(t, func() error {
		obj, err := s.hub().get(t.Context(), kindPlacement, "", name)
		if err != nil {
			return err
		}
		if err := condition(obj, "ClusterResourcePlacementObjectsRemaining", "True", "WaitingForDeletion"); err != nil {
			return err
		}
		c, err := findCondition(obj, "ClusterResourcePlacementObjectsRemaining")
		if err == nil && (!strings.HasPrefix(c.Message, "The removal waits for "+want) || !strings.Contains(c.Message, "; Namespace "+name+" waits for its content: ")) {
			err = fmt.Errorf("the placement says %q, want %q", c.Message, want)
		}
		return err
	})
	row := s.mustRun(t, "kubectl get crp --no-headers -o wide "+name)
	if !strings.Contains(row, "Terminating") || !strings.Contains(row, want) {
		t.Errorf("kubectl get crp -o wide: %s", row)
	}
	s.eventually(t, func() error {
		events, err := s.run(t.Context(), hub.HubName, fmt.Sprintf("kubectl get events -A --field-selector reason=ObjectsRemaining,involvedObject.name=%s -o name | wc -l", name))
		if err == nil && strings.TrimSpace(events) != "1" {
			err = errors.New("Events: " + events)
		}
		return err
	})

	if out, err := s.run(t.Context(), "member1", letGo); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	s.eventuallyGone(t, t.Context(), kindPlacement, name)
	for _, member := range members {
		if _, err := s.clusters[member].get(t.Context(), kindDeployment, name, "web"); !isGone(err) {
			t.Errorf("on %s the Deployment is still there: %v", member, err)
		}
	}
}

// latestIndex is the index of the newest snapshot that holds what was changed last, once it holds that.
func (r rollout) latestIndex(t *testing.T) int {
	t.Helper()
	index := 0
	r.eventually(t, func() error {
		list, err := r.hub().of(kindResourceSnapshot, "").List(t.Context(), metav1.ListOptions{
			LabelSelector: "kubernetes-fleet.io/is-latest-snapshot=true,kubernetes-fleet.io/parent-CRP=" + r.name,
		})
		if err != nil {
			return err
		}
		for i := range list.Items {
			data, err := list.Items[i].MarshalJSON()
			if err != nil {
				return err
			}
			if strings.Contains(string(data), `"value2"`) && strings.Contains(string(data), `"matchLabels":{"tier":"front"}`) {
				index, err = strconv.Atoi(list.Items[i].GetLabels()["kubernetes-fleet.io/resource-index"])
				return err
			}
		}
		return errors.New("there is no snapshot of the change yet")
	})
	return index
}

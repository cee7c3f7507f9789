// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// stagingThenCanary is member2, then member3 and member1 one after the other.
const stagingThenCanary = `
  - name: staging
    labelSelector: {matchLabels: {environment: staging}}
  - name: canary
    labelSelector: {matchLabels: {environment: canary}}
    sortingLabelKey: order
    maxConcurrency: 1
`

// gate is an object that is available on a member once the test says so: no cluster here has load balancers.
const gate = `apiVersion: v1
kind: Service
metadata: {name: gate, namespace: %s}
spec:
  type: LoadBalancer
  ports: [{port: 80}]
`

// rollout is a namespace on the hub with a ConfigMap, placed on all members under External with a strategy, all of the
// same name.
type rollout struct {
	*suite
	name string
}

// newRollout makes a rollout ready to run. Its resource snapshot 0 has the ConfigMap with value1 and what more is given,
// as formats for the namespace.
func (s *suite) newRollout(t *testing.T, name, stages string, more ...string) rollout {
	t.Helper()
	r := rollout{s, name}
	t.Cleanup(func() { r.cleanUp(t) })
	// Explained before it is cleaned up.
	s.explain(t, "csur", "careq", "crp/"+name, "csus/"+name, "crb -l kubernetes-fleet.io/parent-CRP="+name)
	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s}
data: {key: value1}
`, name))
	for _, format := range more {
		s.hub().mustCreate(t, fmt.Sprintf(format, name))
	}
	s.hub().mustCreate(t, fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: %[1]s}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: %[1]s}]
  policy: {placementType: PickAll}
  strategy: {type: External}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateStrategy
metadata: {name: %[1]s}
spec:
  stages:%[2]s`, name, stages))
	r.awaitSnapshot(t, 0)
	s.eventually(t, func() error {
		obj, err := s.hub().get(t.Context(), kindPlacement, "", name)
		if err != nil {
			return err
		}
		return condition(obj, "ClusterResourcePlacementScheduled", "True", "")
	})
	return r
}

func (r rollout) awaitSnapshot(t *testing.T, index int) {
	t.Helper()
	r.eventually(t, func() error {
		_, err := r.hub().get(t.Context(), kindResourceSnapshot, "", fmt.Sprintf("%s-%d-snapshot", r.name, index))
		return err
	})
}

// change changes the value on the hub and waits for the snapshot of it.
func (r rollout) change(t *testing.T, value string, index int) {
	t.Helper()
	r.hub().mustPatch(t, kindConfigMap, r.name, "settings", fmt.Sprintf(`{"data":{"key":%q}}`, value))
	r.awaitSnapshot(t, index)
}

// start creates a run in a state.
func (r rollout) start(t *testing.T, name string, index int, state string) {
	t.Helper()
	r.hub().mustCreate(t, r.runManifest(name, index, state))
}

func (r rollout) runManifest(name string, index int, state string) string {
	return fmt.Sprintf(`apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata: {name: %s}
spec: {placementName: %s, resourceSnapshotIndex: "%d", stagedRolloutStrategyName: %[2]s, state: %[4]s}
`, name, r.name, index, state)
}

func (r rollout) setState(t *testing.T, run, state string) {
	t.Helper()
	r.hub().mustPatch(t, kindRun, "", run, fmt.Sprintf(`{"spec":{"state":%q}}`, state))
}

// awaitRun waits until the run is as check wants it, and returns it.
func (r rollout) awaitRun(t *testing.T, name string, check func(runStatus) error) runStatus {
	t.Helper()
	var run runStatus
	r.eventually(t, func() error {
		var err error
		if run, err = r.readRun(t.Context(), name); err != nil {
			return err
		}
		return check(run)
	})
	return run
}

func (r rollout) readRun(ctx context.Context, name string) (runStatus, error) {
	var run runStatus
	obj, err := r.hub().get(ctx, kindRun, "", name)
	if err != nil {
		return run, err
	}
	run.object = obj
	return run, decode(obj.Object["status"], &run)
}

// succeeds waits until the run has succeeded and the members have the value.
func (r rollout) succeeds(t *testing.T, run, value string) runStatus {
	t.Helper()
	status := r.awaitRun(t, run, has("Succeeded", "True", "UpdateRunSucceeded"))
	if err := r.values(t.Context(), r.name, "settings", onAll(value)); err != nil {
		t.Errorf("run %s has succeeded, but: %v", run, err)
	}
	return status
}

func onAll(value string) map[string]string {
	return map[string]string{"member1": value, "member2": value, "member3": value}
}

// awaitGate waits until the rollout's gate is on a member.
func (r rollout) awaitGate(t *testing.T, member string) {
	t.Helper()
	r.eventually(t, func() error {
		_, err := r.clusters[member].get(t.Context(), kindService, r.name, "gate")
		return err
	})
}

// release makes the rollout's gate on a member available, as soon as it is there.
func (r rollout) release(t *testing.T, member string) {
	t.Helper()
	r.eventually(t, func() error {
		_, err := r.clusters[member].of(kindService, r.name).Patch(t.Context(), "gate", types.MergePatchType,
			[]byte(`{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`), metav1.PatchOptions{}, "status")
		return err
	})
}

func (r rollout) cleanUp(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	runs, err := r.hub().of(kindRun, "").List(ctx, metav1.ListOptions{FieldSelector: "spec.placementName=" + r.name})
	if err != nil {
		t.Error(err)
		return
	}
	remove := func(kind schema.GroupVersionKind, name string) {
		if err := r.hub().of(kind, "").Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !isGone(err) {
			t.Error(err)
		}
	}
	for i := range runs.Items {
		remove(kindRun, runs.Items[i].GetName())
	}
	remove(kindStrategy, r.name)
	remove(kindPlacement, r.name)
	remove(kindNamespace, r.name)
	r.eventuallyGone(t, ctx, kindPlacement, r.name)
}

// eventuallyGone waits until a cluster-scoped object of the hub is no more.
func (s *suite) eventuallyGone(t *testing.T, ctx context.Context, kind schema.GroupVersionKind, name string) {
	t.Helper()
	s.eventually(t, func() error {
		obj, err := s.hub().get(ctx, kind, "", name)
		if isGone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("%s %s is still there, with finalizers %v", kind.Kind, name, obj.GetFinalizers())
	})
}

// runStatus is what the tests read of a run.
type runStatus struct {
	object       *unstructured.Unstructured
	Conditions   []metav1.Condition `json:"conditions"`
	StagesStatus []struct {
		StageName  string             `json:"stageName"`
		Conditions []metav1.Condition `json:"conditions"`
		Clusters   []struct {
			ClusterName string             `json:"clusterName"`
			Conditions  []metav1.Condition `json:"conditions"`
		} `json:"clusters"`
		BeforeStageTaskStatus []taskStatus `json:"beforeStageTaskStatus"`
		AfterStageTaskStatus  []taskStatus `json:"afterStageTaskStatus"`
	} `json:"stagesStatus"`
}

type taskStatus struct {
	Type       string             `json:"type"`
	Conditions []metav1.Condition `json:"conditions"`
}

// has wants a condition of the run.
func has(conditionType, status, reason string) func(runStatus) error {
	return func(run runStatus) error { return condition(run.object, conditionType, status, reason) }
}

// all wants all of it.
func all(checks ...func(runStatus) error) func(runStatus) error {
	return func(run runStatus) error {
		var errs []error
		for _, check := range checks {
			errs = append(errs, check(run))
		}
		return errors.Join(errs...)
	}
}

// clusterIs wants a cluster of the run to be "" (not started), "Started" or "Succeeded".
func clusterIs(cluster, state string) func(runStatus) error {
	return func(run runStatus) error {
		got, err := run.cluster(cluster)
		if err == nil && got != state {
			err = fmt.Errorf("%s is %q in the run, want %q", cluster, got, state)
		}
		return err
	}
}

func (r runStatus) cluster(name string) (string, error) {
	for _, stage := range r.StagesStatus {
		for _, cluster := range stage.Clusters {
			if cluster.ClusterName != name {
				continue
			}
			state := ""
			for _, conditionType := range []string{"Started", "Succeeded"} {
				if isTrue(cluster.Conditions, conditionType) {
					state = conditionType
				}
			}
			return state, nil
		}
	}
	return "", fmt.Errorf("%s is not in the run", name)
}

func isTrue(conditions []metav1.Condition, conditionType string) bool {
	for _, c := range conditions {
		if c.Type == conditionType {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

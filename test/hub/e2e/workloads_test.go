// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/test/hub"
)

var (
	kindStatefulSet = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "StatefulSet"}
	kindDaemonSet   = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "DaemonSet"}
	kindBudget      = schema.GroupVersionKind{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}
	kindPod         = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
)

// withNodes gives each member nodes for as long as the test lasts: what the other tests place needs none.
func (s *suite) withNodes(t *testing.T) {
	t.Helper()
	s.options.Nodes = 2
	t.Cleanup(func() {
		s.eventually(t, func() error {
			var left []error
			for _, member := range s.environment.Members() {
				// In a cleanup the context of the test has ended.
				pods, err := s.clusters[member].of(kindPod, "").List(contextAfter(t), metav1.ListOptions{})
				if err == nil && len(pods.Items) > 0 {
					err = fmt.Errorf("%s still has %d Pods, such as %s/%s", member, len(pods.Items), pods.Items[0].GetNamespace(), pods.Items[0].GetName())
				}
				left = append(left, err)
			}
			return errors.Join(left...)
		})
		s.options.Nodes = 0
		s.up(t)
	})
	s.up(t)
}

// workload is one of each kind that runs Pods, in the namespace of a rollout, and what belongs to it. Pods of the first version are not ready
// before a test lets them be.
const workload = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: %[1]s}
spec:
  replicas: 2
  progressDeadlineSeconds: 600
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {test-hub/unready: ""}}
    spec: {containers: [{name: c, image: "example.com/web:1"}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: %[1]s}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: database, namespace: %[1]s}
spec:
  replicas: 2
  serviceName: database
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: database}}
  template:
    metadata: {labels: {app: database}, annotations: {test-hub/unready: ""}}
    spec: {containers: [{name: c, image: "example.com/database:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: %[1]s}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}, annotations: {test-hub/unready: ""}}
    spec: {containers: [{name: c, image: "example.com/agent:1"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: %[1]s}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: "example.com/migrate:1"}]}
`

// testWorkloads rolls out what runs Pods, on members that have nodes.
func testWorkloads(t *testing.T, s *suite) {
	s.withNodes(t)
	r := s.newRollout(t, "workloads", stagingThenCanary, workload)
	w := workloads{r}
	// Each begins with what the one before has left.
	_ = t.Run("ARunWaitsForEachKind", w.testWaitsForEachKind) &&
		t.Run("AFailedJobHoldsTheStage", w.testJobs) &&
		t.Run("APartitionIsAvailable", w.testPartition) &&
		t.Run("ABadImageHoldsTheStage", w.testBadImage) &&
		t.Run("AFailureBringsTheOldVersionBack", w.testRollsBack)
	t.Run("ABudgetHoldsClustersBack", func(t *testing.T) { testBudgetHolds(t, s) })
}

type workloads struct{ rollout }

// testWaitsForEachKind has the Pods of one kind after the other become ready on the first cluster, which is not updated before the last.
func (w workloads) testWaitsForEachKind(t *testing.T) {
	const run = "workloads-first"
	w.start(t, run, 0, "Run")
	for i, app := range []string{"web", "database", "agent"} {
		w.eventually(t, func() error { return w.available(t, "member2", app, metav1.ConditionFalse) })
		waiting := fmt.Sprintf("cluster member2: %s workloads/%s: Manifest is not yet available: ", kindOf[app].Kind, app)
		if i == 2 {
			// The run says what it waits for, here the only object that is left.
			w.eventually(t, func() error {
				if out := w.mustRun(t, "kubectl get csur "+run+" -o wide"); !strings.Contains(out, waiting) {
					return fmt.Errorf("the run does not say %q:\n%s", waiting, out)
				}
				return nil
			})
		}
		w.awaitRun(t, run, all(has("Progressing", "True", ""), clusterIs("member2", "Started"), clusterIs("member3", "")))
		w.setReady(t, "member2", app, true)
		w.eventually(t, func() error { return w.available(t, "member2", app, metav1.ConditionTrue) })
	}
	w.eventually(t, func() error {
		budget, err := w.clusters["member2"].get(t.Context(), kindBudget, w.name, "web")
		if err != nil {
			return err
		}
		if allowed, _, _ := unstructured.NestedInt64(budget.Object, "status", "disruptionsAllowed"); allowed != 1 {
			return fmt.Errorf("the budget of two ready Pods allows %d disruptions, want 1", allowed)
		}
		return nil
	})
	w.awaitRun(t, run, all(clusterIs("member2", "Succeeded"), clusterIs("member3", "Started"), clusterIs("member1", "")))
	for _, member := range []string{"member3", "member1"} {
		w.awaitRun(t, run, clusterIs(member, "Started"))
		for app := range kindOf {
			w.setReady(t, member, app, true)
		}
	}
	w.succeeds(t, run, "value1")
}

// kindOf is the kind that runs the Pods of each app.
var kindOf = map[string]schema.GroupVersionKind{"web": kindDeployment, "database": kindStatefulSet, "agent": kindDaemonSet}

// setReady lets the Pods of an app on a member be ready, or not. It waits for as many as there are to be, which is two of each.
func (w workloads) setReady(t *testing.T, member, app string, ready bool) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:""}}}`, hub.UnreadyAnnotation)
	if ready {
		patch = fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, hub.UnreadyAnnotation)
	}
	pods := w.clusters[member].of(kindPod, w.name)
	w.eventually(t, func() error {
		list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return err
		}
		if len(list.Items) != 2 {
			return fmt.Errorf("%s has %d Pods of %s, want 2", member, len(list.Items), app)
		}
		for i := range list.Items {
			if _, err := pods.Patch(t.Context(), list.Items[i].GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// available returns an error unless the Work of the placement on a member has the condition Available of an app.
func (w workloads) available(t *testing.T, member, app string, want metav1.ConditionStatus) error {
	c, err := w.manifestCondition(t, member, kindOf[app], app, "Available")
	if err == nil && c.Status != want {
		err = fmt.Errorf("on %s: %s is available: %s (%s: %s), want %s", member, app, c.Status, c.Reason, c.Message, want)
	}
	return err
}

// manifestCondition returns what the Works of the placement say about an object on a member.
func (r rollout) manifestCondition(t *testing.T, member string, kind schema.GroupVersionKind, name, conditionType string) (*metav1.Condition, error) {
	works, err := r.hub().of(kindWork, "fleet-member-"+member).List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes-fleet.io/parent-CRP=" + r.name})
	if err != nil {
		return nil, err
	}
	for i := range works.Items {
		var status struct {
			ManifestConditions []struct {
				Identifier struct{ Kind, Name string } `json:"identifier"`
				Conditions []metav1.Condition          `json:"conditions"`
			} `json:"manifestConditions"`
		}
		if err := decode(works.Items[i].Object["status"], &status); err != nil {
			return nil, err
		}
		for _, m := range status.ManifestConditions {
			if m.Identifier.Kind != kind.Kind || m.Identifier.Name != name {
				continue
			}
			for _, c := range m.Conditions {
				if c.Type == conditionType {
					return &c, nil
				}
			}
		}
	}
	return nil, fmt.Errorf("no Work has a condition for %s %s: %s on %s", kind.Kind, name, conditionType, member)
}

// setImage gives an app another image on the hub, and Pods that are ready by themselves.
func (w workloads) setImage(t *testing.T, app, image string, snapshot int) {
	t.Helper()
	w.hub().mustPatch(t, kindOf[app], w.name, app, fmt.Sprintf(
		`{"spec":{"template":{"metadata":{"annotations":null},"spec":{"containers":[{"name":"c","image":%q}]}}}}`, image))
	w.awaitSnapshot(t, snapshot)
}

// runs returns an error unless the ready Pods of an app on a member have the images.
func (w workloads) runs(t *testing.T, member, app string, want ...string) error {
	list, err := w.clusters[member].of(kindPod, w.name).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return err
	}
	var got []string
	for i := range list.Items {
		if condition(&list.Items[i], "Ready", "True", "") != nil {
			continue
		}
		var spec struct{ Containers []struct{ Image string } }
		if err := decode(list.Items[i].Object["spec"], &spec); err != nil {
			return err
		}
		got = append(got, spec.Containers[0].Image)
	}
	if !sameElements(got, want) {
		return fmt.Errorf("on %s the ready Pods of %s have the images %v, want %v", member, app, got, want)
	}
	return nil
}

// testJobs has a Job that is done, and then one that fails: it holds the run at the first cluster, with the reason, until a version comes
// without it.
func (w workloads) testJobs(t *testing.T) {
	ends := func(name, conditionType string, members ...string) {
		t.Helper()
		w.eventually(t, func() error {
			var errs []error
			for _, member := range members {
				job, err := w.clusters[member].get(t.Context(), kindJob, w.name, name)
				if err == nil {
					err = condition(job, conditionType, "True", "")
				}
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		})
	}
	ends("migrate", "Complete", w.environment.Members()...)
	w.hub().mustCreate(t, fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: migrate-2, namespace: %s}
spec:
  backoffLimit: 0
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: "example.com/migrate%s"}]}
`, w.name, hub.TagFails))
	w.awaitSnapshot(t, 1)
	w.start(t, "workloads-job", 1, "Run")
	ends("migrate-2", "Failed", "member2")
	w.eventually(t, func() error {
		out := w.mustRun(t, "kubectl get csur workloads-job -o wide")
		if !strings.Contains(out, "cluster member2: Job workloads/migrate-2: Manifest is not available: the Job has failed") {
			return fmt.Errorf("nothing says what the run waits for:\n%s", out)
		}
		return nil
	})
	// No waiting heals a Job that has failed.
	w.awaitRun(t, "workloads-job", all(has("Progressing", "False", "UpdateRunStuck"), clusterIs("member3", ""), clusterIs("member1", "")))
	w.mustRun(t, "kubectl delete job migrate-2 -n workloads")
	w.awaitSnapshot(t, 2)
	// A stop would wait for the cluster in flight.
	w.mustRun(t, "kubectl delete csur workloads-job")
}

// testPartition has a StatefulSet update one of its two Pods: it is available when that one is.
func (w workloads) testPartition(t *testing.T) {
	w.hub().mustPatch(t, kindStatefulSet, w.name, "database", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}},
		"template":{"metadata":{"annotations":null},"spec":{"containers":[{"name":"c","image":"example.com/database:2"}]}}}}`)
	w.awaitSnapshot(t, 3)
	w.start(t, "workloads-partition", 3, "Run")
	w.succeeds(t, "workloads-partition", "value1")
	for _, member := range w.environment.Members() {
		if err := w.runs(t, member, "database", "example.com/database:1", "example.com/database:2"); err != nil {
			t.Error(err)
		}
	}
}

// testBadImage has a version whose Pods never start: the first cluster holds the run with the reason, and keeps Pods of the old version
// running; the others keep the old one. A good version mends it.
func (w workloads) testBadImage(t *testing.T) {
	w.setImage(t, "web", "example.com/web"+hub.TagMissing, 4)
	w.start(t, "workloads-bad", 4, "Run")
	w.awaitRun(t, "workloads-bad", clusterIs("member2", "Started"))
	w.eventually(t, func() error {
		out := w.mustRun(t, "kubectl get csur workloads-bad -o wide")
		if !strings.Contains(out, "cluster member2: Deployment workloads/web: Manifest is not yet available: Updated: 1/2") {
			return fmt.Errorf("nothing says what the run waits for:\n%s", out)
		}
		return w.runs(t, "member2", "web", "example.com/web:1", "example.com/web:1")
	})
	w.awaitRun(t, "workloads-bad", all(has("Progressing", "True", ""), clusterIs("member3", ""), clusterIs("member1", "")))
	for _, member := range []string{"member1", "member3"} {
		if err := w.runs(t, member, "web", "example.com/web:1", "example.com/web:1"); err != nil {
			t.Error(err)
		}
	}

	w.setImage(t, "web", "example.com/web:2", 5)
	// A stop would wait for the cluster in flight.
	w.mustRun(t, "kubectl delete csur workloads-bad")
	w.start(t, "workloads-mended", 5, "Run")
	w.succeeds(t, "workloads-mended", "value1")
	for _, member := range w.environment.Members() {
		if err := w.runs(t, member, "web", "example.com/web:2", "example.com/web:2"); err != nil {
			t.Error(err)
		}
	}
}

// testRollsBack has containers that crash fail the run, which brings the old version back by itself.
func (w workloads) testRollsBack(t *testing.T) {
	w.hub().mustPatch(t, kindStrategy, "", w.name, `{"spec":{"stages":[
		{"name":"staging","labelSelector":{"matchLabels":{"environment":"staging"}},"failurePolicy":{"clusterTimeout":"5s","onFailure":"Rollback"}},
		{"name":"canary","labelSelector":{"matchLabels":{"environment":"canary"}}}]}}`)
	w.setImage(t, "web", "example.com/web"+hub.TagCrashes, 6)
	w.start(t, "workloads-crash", 6, "Run")
	w.awaitRun(t, "workloads-crash", has("Succeeded", "False", "UpdateRunFailed"))
	name := ""
	w.eventually(t, func() error {
		if name = w.mustRun(t, "kubectl get csur workloads-crash -o jsonpath='{.status.rolledBackBy.name}'"); name == "" {
			return errors.New("nothing rolls the run back")
		}
		return nil
	})
	said := w.mustRun(t, `kubectl get csur workloads-crash -o jsonpath='{.status.stagesStatus[0].clusters[0].conditions[?(@.type=="Succeeded")].message}'`)
	if want := "Cluster update failed: not available within 5s: Deployment workloads/web: "; !strings.HasPrefix(said, want) {
		t.Errorf("member2 says %q, want %q", said, want)
	}
	w.succeeds(t, name, "value1")
	for _, member := range w.environment.Members() {
		if err := w.runs(t, member, "web", "example.com/web:2", "example.com/web:2"); err != nil {
			t.Error(err)
		}
	}
}

// testBudgetHolds has a version whose Pods never start roll by itself: as many clusters as may be unavailable get it, the others keep what
// they have. What is lost on a member is said, and said to be back.
func testBudgetHolds(t *testing.T, s *suite) {
	const name = "budget"
	w := workloads{rollout{s, name}}
	t.Cleanup(func() { w.cleanUp(t) })
	s.explain(t, "crp/budget", "crb -l kubernetes-fleet.io/parent-CRP=budget")
	s.hub().mustCreate(t, `apiVersion: v1
kind: Namespace
metadata: {name: budget}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: budget}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "example.com/web:1"}]}
---
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterResourcePlacement
metadata: {name: budget}
spec:
  resourceSelectors: [{group: "", version: v1, kind: Namespace, name: budget}]
  policy: {placementType: PickAll}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, maxSurge: 0, unavailablePeriodSeconds: 1}}
`)
	has := func(conditionType, status string) {
		t.Helper()
		s.eventually(t, func() error {
			obj, err := s.hub().get(t.Context(), kindPlacement, "", name)
			if err != nil {
				return err
			}
			return condition(obj, "ClusterResourcePlacement"+conditionType, status, "")
		})
	}
	// on counts the members that run an image.
	on := func(image string) (moved []string) {
		for _, member := range s.environment.Members() {
			live, err := s.clusters[member].get(t.Context(), kindDeployment, name, "web")
			if err != nil {
				t.Fatal(err)
			}
			containers, _, _ := unstructured.NestedSlice(live.Object, "spec", "template", "spec", "containers")
			if containers[0].(map[string]any)["image"] == image {
				moved = append(moved, member)
			}
		}
		return moved
	}
	has("Available", "True")

	w.setImage(t, "web", "example.com/web"+hub.TagMissing, 1)
	s.eventually(t, func() error {
		said := s.mustRun(t, `kubectl get crp budget -o jsonpath='{range .status.placementStatuses[*]}{.observedResourceIndex} {.conditions[?(@.type=="RolloutStarted")].reason} {.conditions[?(@.type=="Available")].reason}{"\n"}{end}'`)
		if got, want := strings.Split(strings.TrimSuffix(said, "\n"), "\n"), []string{
			"0 RolloutNotStartedYet ", "0 RolloutNotStartedYet ", "1 RolloutStarted NotAllWorkAreAvailable",
		}; !sameElements(got, want) {
			return fmt.Errorf("the placement says of its clusters\n%s\nwant\n%s", said, strings.Join(want, "\n"))
		}
		return nil
	})
	if moved := on("example.com/web" + hub.TagMissing); len(moved) != 1 {
		t.Errorf("%v have the new version, want one", moved)
	}

	// What changes nothing on the clusters gives no budget away.
	for _, patch := range []string{
		`{"spec":{"policy":{"tolerations":[{"key":"budget","operator":"Exists"}]}}}`,
		`{"spec":{"policy":{"affinity":{"clusterAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"clusterSelectorTerms":[{"labelSelector":{"matchExpressions":[{"key":"budget","operator":"DoesNotExist"}]}}]}}}}}}`,
	} {
		s.hub().mustPatch(t, kindPlacement, "", name, patch)
		s.eventually(t, func() error {
			said := s.mustRun(t, `kubectl get crb -l kubernetes-fleet.io/parent-CRP=budget -o jsonpath='{range .items[*]}{.spec.schedulingPolicySnapshotName} {.metadata.generation} {.status.conditions[?(@.type=="Available")].observedGeneration}{"\n"}{end}'`)
			latest := s.mustRun(t, `kubectl get csps -l kubernetes-fleet.io/parent-CRP=budget,kubernetes-fleet.io/is-latest-snapshot=true -o jsonpath='{.items[0].metadata.name}'`)
			for line := range strings.Lines(said) {
				if fields := strings.Fields(line); len(fields) != 3 || fields[0] != latest || fields[1] != fields[2] {
					return fmt.Errorf("the bindings do not tell of %s yet:\n%s", latest, said)
				}
			}
			return nil
		})
		if moved := on("example.com/web" + hub.TagMissing); len(moved) != 1 {
			t.Errorf("%v have the new version after %s, want one", moved, patch)
		}
	}

	w.setImage(t, "web", "example.com/web:2", 2)
	has("Available", "True")
	if moved := on("example.com/web:2"); len(moved) != 3 {
		t.Errorf("only %v have the good version", moved)
	}

	w.setReady(t, "member1", "web", false)
	has("Available", "False")
	w.setReady(t, "member1", "web", true)
	has("Available", "True")
}

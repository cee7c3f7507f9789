// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// newPlacement is a placement with the policy that is in force, and bindings of it.
func newPlacement(t *testing.T, namespace string, policy *v1beta1.PlacementPolicy, others ...runtime.Object) *world {
	placement, snapshot := objects(namespace)
	placement.SetFinalizers([]string{wellknown.SchedulerCleanupFinalizer})
	snapshot.PolicySnapshotSpec().Policy = policy
	return newWorld(t, namespace, append(others, placement, snapshot)...)
}

// boundTo is the binding of a cluster that has the placement.
func boundTo(namespace, cluster, policy string) v1beta1.BindingObject {
	placement, _ := objects(namespace)
	objectMeta := metav1.ObjectMeta{
		Namespace: namespace, Name: bindingName(placement, cluster), UID: "uid-of-binding", ResourceVersion: "7",
		Labels:      map[string]string{wellknown.ParentPlacementLabel: "app"},
		Annotations: map[string]string{"example.com/kept": "yes"},
	}
	spec := v1beta1.ResourceBindingSpec{
		TargetCluster: cluster, State: v1beta1.BindingStateBound, ResourceSnapshotName: "app-0-snapshot", SchedulingPolicySnapshotName: policy,
		ClusterDecision: v1beta1.ClusterDecision{ClusterName: cluster, Selected: true},
	}
	if namespace == "" {
		return &v1beta1.ClusterResourceBinding{ObjectMeta: objectMeta, Spec: spec}
	}
	return &v1beta1.ResourceBinding{ObjectMeta: objectMeta, Spec: spec}
}

// scale has a placement ask for a number of clusters.
func (w *world) scale(number string) {
	w.t.Helper()
	client := w.fleet.PolicySnapshots.Client(w.key.Namespace)
	snapshot, err := client.Get(w.ctx, "app-0", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	snapshot.GetAnnotations()[wellknown.NumberOfClustersAnnotation] = number
	if _, err := client.Update(w.ctx, snapshot, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) scheduled() (metav1.Condition, []v1beta1.ClusterDecision) {
	w.t.Helper()
	snapshot, err := w.fleet.PolicySnapshots.Get(reconcile.Key{Namespace: w.key.Namespace, Name: "app-0"})
	if err != nil {
		w.t.Fatal(err)
	}
	status := snapshot.PolicySnapshotStatus()
	condition := meta.FindStatusCondition(status.Conditions, v1beta1.PolicySnapshotScheduled)
	if condition == nil {
		return metav1.Condition{}, status.ClusterDecisions
	}
	return *condition, status.ClusterDecisions
}

// roll has all clusters get a version, as a run does.
func (w *world) roll() {
	w.t.Helper()
	for _, binding := range w.fleet.Bindings.ByIndex(fleet.ByPlacement, w.key) {
		if binding.BindingSpec().State != v1beta1.BindingStateScheduled {
			continue
		}
		moved := fleet.Copy(binding)
		moved.BindingSpec().State, moved.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateBound, "app-0-snapshot"
		if _, err := w.fleet.Bindings.Client(w.key.Namespace).Update(w.ctx, moved, metav1.UpdateOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestScaling has the number of a PickN placement change, which makes no new policy snapshot: what nothing was rolled out to goes at once, and what has the
// placement keeps it until a rollout takes it off.
func TestScaling(t *testing.T) {
	for scope, namespace := range map[string]string{"cluster": "", "namespace": "team"} {
		t.Run(scope, func(t *testing.T) {
			w := newPlacement(t, namespace, pickN(prefer(10, matching("environment", "prod"))), member("a"), member("b", labeled("environment", "prod")), member("c"))
			for _, step := range []struct {
				number  string
				roll    bool
				want    map[string]string
				message string
			}{
				{"1", false, map[string]string{"b": "Scheduled app-0"}, "found all cluster needed as specified by the scheduling policy, found 1 cluster(s)"},
				{"2", true, map[string]string{"b": "Scheduled app-0", "c": "Scheduled app-0"}, "found all cluster needed as specified by the scheduling policy, found 2 cluster(s)"},
				{"3", false, map[string]string{"a": "Scheduled app-0", "b": "Bound app-0", "c": "Bound app-0"}, "found all cluster needed as specified by the scheduling policy, found 3 cluster(s)"},
				{"2", false, map[string]string{"b": "Bound app-0", "c": "Bound app-0"}, "found all cluster needed as specified by the scheduling policy, found 2 cluster(s)"},
				{"1", false, map[string]string{"b": "Bound app-0", "c": "Unscheduled app-0"}, "found all cluster needed as specified by the scheduling policy, found 1 cluster(s)"},
				{"2", false, map[string]string{"b": "Bound app-0", "c": "Bound app-0"}, "found all cluster needed as specified by the scheduling policy, found 2 cluster(s)"},
				{"0", false, map[string]string{"b": "Unscheduled app-0", "c": "Unscheduled app-0"},
					"found all cluster needed as specified by the scheduling policy, found 0 cluster(s); no cluster is picked: spec.policy.numberOfClusters is 0"},
				{"4", false, map[string]string{"a": "Scheduled app-0", "b": "Bound app-0", "c": "Bound app-0"},
					"could not find all clusters needed as specified by the scheduling policy, found 3 cluster(s) instead"},
			} {
				w.scale(step.number)
				w.step()
				if diff := cmp.Diff(step.want, w.bindings()); diff != "" {
					t.Fatalf("bindings of %s clusters (-want +got):\n%s", step.number, diff)
				}
				if condition, _ := w.scheduled(); condition.Message != step.message {
					t.Errorf("of %s clusters: %s", step.number, condition.Message)
				}
				w.client.ClearActions()
				w.step()
				if written := w.writes(); len(written) > 0 {
					t.Errorf("a second look at %s clusters writes %v", step.number, written)
				}
				if step.roll {
					w.roll()
				}
			}
		})
	}
}

// writes are the writes since the actions were last cleared.
func (w *world) writes() (written []string) {
	for _, action := range w.client.Actions() {
		if verb := action.GetVerb(); verb != "list" && verb != "watch" && verb != "get" {
			written = append(written, verb+" "+action.GetResource().Resource)
		}
	}
	return written
}

// TestWhatACacheMayLackIsAskedFor has a cluster that is to be let go of by the cache, and an API that knows better. Nothing is written then; once the
// cache has it too, the placement is tried again.
func TestWhatACacheMayLackIsAskedFor(t *testing.T) {
	type live struct {
		placement v1beta1.PlacementObject
		snapshot  v1beta1.PolicySnapshotObject
		cluster   *clusterv1beta1.MemberCluster
		err       error
	}
	letGo := map[string]string{"a": "Unscheduled app-0", "b": "Bound app-0"}
	for name, test := range map[string]struct {
		change func(l *live)
		// unknown has the cache without the cluster.
		unknown bool
		letGo   bool
	}{
		"it is as the cache has it":             {func(*live) {}, false, true},
		"it has a heartbeat more":               {func(l *live) { notOnline(l.cluster) }, false, true},
		"it has another label":                  {func(l *live) { l.cluster.Labels["environment"] = "prod" }, false, false},
		"it has no taint any more":              {func(l *live) { l.cluster.Spec.Taints = nil }, false, false},
		"it reports something else":             {func(l *live) { reporting(nodes, "4")(l.cluster) }, false, false},
		"it is another cluster":                 {func(l *live) { l.cluster.UID = "another" }, false, false},
		"it is gone":                            {func(l *live) { l.cluster = nil }, false, false},
		"it is none that the cache knows":       {func(*live) {}, true, false},
		"it is gone, as the cache has it":       {func(l *live) { l.cluster = nil }, true, true},
		"the placement is edited":               {func(l *live) { l.placement.SetGeneration(2) }, false, false},
		"the placement is another":              {func(l *live) { l.placement.SetUID("another") }, false, false},
		"another number is asked for":           {func(l *live) { l.snapshot.GetAnnotations()[wellknown.NumberOfClustersAnnotation] = "2" }, false, false},
		"another policy is in force":            {func(l *live) { delete(l.snapshot.GetLabels(), wellknown.LatestSnapshotLabel) }, false, false},
		"the API does not answer for a cluster": {func(l *live) { l.err = errors.New("no answer") }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			placement, snapshot := objects("")
			snapshot.PolicySnapshotSpec().Policy = pickN()
			snapshot.GetAnnotations()[wellknown.NumberOfClustersAnnotation] = "1"
			known := []runtime.Object{boundTo("", "a", "app-9"), boundTo("", "b", "app-0"), member("b")}
			if !test.unknown {
				known = append(known, member("a", tainted))
			}
			w := newPlacement(t, "", pickN(), known...)
			w.scale("1")
			w.refresh()
			l := &live{placement: placement, snapshot: snapshot, cluster: member("a", tainted)}
			placement.SetFinalizers([]string{wellknown.SchedulerCleanupFinalizer})
			test.change(l)
			answer := func(resource string, get func() (runtime.Object, error)) {
				w.client.PrependReactor("get", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
					o, err := get()
					return true, o, err
				})
			}
			answer("clusterresourceplacements", func() (runtime.Object, error) { return l.placement, nil })
			answer("clusterschedulingpolicysnapshots", func() (runtime.Object, error) { return l.snapshot, nil })
			answer("memberclusters", func() (runtime.Object, error) {
				switch {
				case l.err != nil:
					return nil, l.err
				case l.cluster == nil:
					return nil, apierrors.NewNotFound(clusterv1beta1.Resource("memberclusters"), "a")
				}
				return l.cluster, nil
			})
			w.client.ClearActions()
			_, err := w.controller.reconcile(w.ctx, w.key)
			written := w.writes()
			w.refresh()
			if test.letGo {
				if diff := cmp.Diff(letGo, w.bindings()); diff != "" || err != nil {
					t.Errorf("error %v, bindings (-want +got):\n%s", err, diff)
				}
				return
			}
			if len(written) > 0 || err == nil || l.err == nil && !apierrors.IsConflict(err) {
				t.Errorf("writes %v, error %v: nothing must be written, and it must be tried again", written, err)
			}
		})
	}
}

// TestAKillBetweenTwoWrites has the controller killed after each of the writes of an edited policy, and another carry on. The cluster that keeps its place
// never loses it, the one that does loses nothing but its place, and the end is the same.
func TestAKillBetweenTwoWrites(t *testing.T) {
	for killed := range 8 {
		t.Run(fmt.Sprint(killed), func(t *testing.T) {
			w := newPlacement(t, "team", pickN(prefer(10, matching("env", "prod"))),
				boundTo("team", "a", "app-9"), boundTo("team", "d", "app-9"),
				member("a", labeled("env", "prod")), member("b", labeled("env", "prod")), member("c", labeled("env", "prod")), member("d", labeled("env", "dev")))
			w.scale("2")
			count := 0
			alive := false
			w.client.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if update, ok := action.(clienttesting.UpdateAction); ok {
					if b, ok := update.GetObject().(v1beta1.BindingObject); ok && b.BindingSpec().TargetCluster == "a" && b.BindingSpec().State != v1beta1.BindingStateBound {
						t.Errorf("the binding of a becomes %s", b.BindingSpec().State)
					}
				}
				switch action.GetVerb() {
				case "delete":
					t.Errorf("%s is deleted", action.(clienttesting.DeleteAction).GetName())
				case "create", "update":
					if count++; count > killed && !alive {
						return true, nil, errors.New("killed")
					}
				}
				return false, nil, nil
			})
			w.refresh()
			_, err := w.controller.reconcile(w.ctx, w.key)
			if killed < 4 && err == nil {
				t.Fatal("nothing was killed")
			}
			alive = true
			w.step()
			w.step()
			want := map[string]string{"a": "Bound app-0", "c": "Scheduled app-0", "d": "Unscheduled app-0"}
			if diff := cmp.Diff(want, w.bindings()); diff != "" {
				t.Errorf("bindings (-want +got):\n%s", diff)
			}
			for _, binding := range w.fleet.Bindings.ByIndex(fleet.ByPlacement, w.key) {
				annotations := map[string]string{"example.com/kept": "yes", wellknown.PreviousBindingStateAnnotation: "Bound"}
				if binding.BindingSpec().TargetCluster == "d" && !cmp.Equal(annotations, binding.GetAnnotations()) {
					t.Errorf("annotations of the binding that is not picked any more: %v", binding.GetAnnotations())
				}
			}
			if condition, decisions := w.scheduled(); condition.Status != metav1.ConditionTrue || scores(decisions) != "a 10/0, c 10/0, b 10/0, d 0/0" {
				t.Errorf("%s: %s", condition.Message, scores(decisions))
			}
		})
	}
}

// TestTooFewClustersTellWhereTheReasonsAre has a placement get a cluster less than it asks for.
func TestTooFewClustersTellWhereTheReasonsAre(t *testing.T) {
	w := newPlacement(t, "", pickN(), member("a"), member("b", tainted))
	w.scale("2")
	w.step()
	const want = "could not find all clusters needed as specified by the scheduling policy, found 1 cluster(s) instead; " +
		"the reasons of the others are in placementStatuses of the placement's status"
	if condition, _ := w.scheduled(); condition.Status != metav1.ConditionFalse || condition.Message != want {
		t.Errorf("Scheduled is %s: %s", condition.Status, condition.Message)
	}
}

// TestANumberThatIsNoneMovesNothing has somebody write into the annotation that holds the number of clusters.
func TestANumberThatIsNoneMovesNothing(t *testing.T) {
	for _, number := range []string{"", "-1", "many", "99999999999", strings.Repeat("9", 10000)} {
		t.Run(number[:min(len(number), 12)], func(t *testing.T) {
			w := newPlacement(t, "", pickN(), boundTo("", "a", "app-0"), boundTo("", "b", "app-9"), member("a"), member("b"), member("c"))
			w.scale(number)
			w.step()
			if diff := cmp.Diff(map[string]string{"a": "Bound app-0", "b": "Bound app-9"}, w.bindings()); diff != "" {
				t.Errorf("bindings (-want +got):\n%s", diff)
			}
			condition, _ := w.scheduled()
			const want = "the annotation kubernetes-fleet.io/number-of-clusters of policy snapshot app-0 is "
			if condition.Status != metav1.ConditionFalse || !strings.HasPrefix(condition.Message, want) || len(condition.Message) > 300 {
				t.Errorf("Scheduled is %s: %s", condition.Status, condition.Message)
			}
		})
	}
}

// TestAToleratedTaintMovesNothing has a toleration be added. It lets more clusters in, and does not choose anew among those that are there.
func TestAToleratedTaintMovesNothing(t *testing.T) {
	old := func(policy *v1beta1.PlacementPolicy) runtime.Object {
		_, snapshot := objects("")
		snapshot.SetName("app-9")
		snapshot.SetLabels(map[string]string{wellknown.ParentPlacementLabel: "app"})
		snapshot.PolicySnapshotSpec().Policy = policy
		return snapshot
	}
	tolerating := func(policy *v1beta1.PlacementPolicy) *v1beta1.PlacementPolicy {
		policy.Tolerations = []v1beta1.Toleration{{Key: "other", Operator: v1beta1.TolerationOpExists}}
		return policy
	}
	prod := prefer(10, matching("env", "prod"))
	for name, test := range map[string]struct {
		before, after *v1beta1.PlacementPolicy
		want          map[string]string
	}{
		"PickAll":                     {affinity(), tolerating(affinity()), map[string]string{"a": "Bound app-0", "b": "Scheduled app-0"}},
		"PickN":                       {pickN(prod), tolerating(pickN(prod)), map[string]string{"a": "Bound app-0"}},
		"PickN with other preference": {pickN(), tolerating(pickN(prod)), map[string]string{"a": "Unscheduled app-0", "b": "Scheduled app-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPlacement(t, "", test.after, old(test.before), boundTo("", "a", "app-9"), member("a", tainted), member("b", labeled("env", "prod")))
			w.scale("1")
			w.step()
			if diff := cmp.Diff(test.want, w.bindings()); diff != "" {
				t.Errorf("bindings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatARunHasMovedIsNotRemoved has a binding without a version go, as it was when it was looked at: a run may have given its cluster one since.
func TestWhatARunHasMovedIsNotRemoved(t *testing.T) {
	fresh := boundTo("", "a", "app-0")
	fresh.BindingSpec().State, fresh.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateScheduled, ""
	w := newPlacement(t, "", pickN(), fresh, member("a"))
	w.scale("0")
	w.refresh()
	w.client.ClearActions()
	if _, err := w.controller.reconcile(w.ctx, w.key); err != nil {
		t.Fatal(err)
	}
	for _, action := range w.client.Actions() {
		if deletion, ok := action.(clienttesting.DeleteActionImpl); ok {
			if p := deletion.DeleteOptions.Preconditions; p == nil || p.ResourceVersion == nil || *p.ResourceVersion != "7" {
				t.Errorf("the binding is deleted whatever its version: %+v", p)
			}
			return
		}
	}
	t.Error("the binding is not deleted")
}

// TestOwnWritesAreAwaited has the cache lack a binding that was written: who counts without it picks one too many, and lets another go afterwards.
func TestOwnWritesAreAwaited(t *testing.T) {
	w := newPlacement(t, "", pickN(), member("a"), member("b"))
	w.scale("1")
	w.refresh()
	written := boundTo("", "a", "app-0")
	w.controller.written.Wrote(w.key, absent{}, written)
	w.client.ClearActions()
	if _, err := w.controller.reconcile(w.ctx, w.key); err != nil || len(w.writes()) > 0 {
		t.Errorf("error %v, writes %v before the cache has what was written", err, w.writes())
	}
}

// absent is a cache that has seen nothing after version 6.
type absent struct{}

func (absent) GetByKey(string) (any, bool, error)   { return nil, false, nil }
func (absent) LastStoreSyncResourceVersion() string { return "6" }

// TestPassingTimeIsNoWrite has the time since a cluster was last heard of pass.
func TestPassingTimeIsNoWrite(t *testing.T) {
	decisions := func(reason string) []v1beta1.ClusterDecision {
		return []v1beta1.ClusterDecision{{ClusterName: "a", Reason: reason}}
	}
	for name, test := range map[string]struct {
		a, b string
		same bool
	}{
		"silence":        {"no recent heartbeat signals (last received 6.00 minutes ago)", "no recent heartbeat signals (last received 7.00 minutes ago)", true},
		"illness":        {"unhealthy for a prolonged period of time (last transitioned 6.00 minutes ago)", "unhealthy for a prolonged period of time (last transitioned 7.00 minutes ago)", true},
		"another reason": {"not joined", "not online", false},
	} {
		t.Run(name, func(t *testing.T) {
			if same := sameDecisions(decisions(test.a), decisions(test.b)); same != test.same {
				t.Errorf("the same: %t, want %t", same, test.same)
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementv1beta1 "github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/inspect"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

const (
	started    = v1beta1.ConditionTypeClusterPropertyProviderStarted
	properties = v1beta1.ConditionTypeClusterPropertyCollectionSucceeded
	namespaces = v1beta1.ConditionTypeNamespaceCollectionSucceeded
)

// collect has the controller read the member where that is due, and write what was read. It returns when it will read it again.
func (w *world) collect() time.Duration {
	w.t.Helper()
	again, err := w.controller.collect(w.t.Context(), reconcile.Key{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reconcile()
	return again
}

// later has the next collection be due.
func (w *world) later() {
	w.t.Helper()
	w.clock.Step(time.Hour)
	w.reconcile()
	w.collect()
}

func nodeOf(capacity, allocatable string) map[string]any {
	resources := func(cpu string) map[string]any {
		return map[string]any{"cpu": cpu, "memory": cpu + "Gi", "pods": "110"}
	}
	return map[string]any{
		"metadata": map[string]any{"name": "n"},
		"spec":     map[string]any{"unschedulable": true},
		"status":   map[string]any{"capacity": resources(capacity), "allocatable": resources(allocatable)},
	}
}

func runningPod(cpu, memory string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"name": "p"},
		"spec": map[string]any{"nodeName": "n", "containers": []any{
			map[string]any{"resources": map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}}},
		}},
		"status": map[string]any{"phase": "Running"},
	}
}

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

// busyWorld has a member with nodes of 10 CPUs and 10 GiB, 8 of them allocatable, of which Pods take 2.
func busyWorld(t *testing.T) (*world, *member) {
	t.Helper()
	w, m := joinedWorld(t)
	m.change(func(m *member) {
		for i := range 3 {
			delete(m.objects, nodesPath+"/node-"+strconv.Itoa(i))
		}
		m.store(nodesPath+"/a", nodeOf("4", "3"))
		m.store(nodesPath+"/b", nodeOf("6", "5"))
		m.store(podsPath+"/web", runningPod("1500m", "1Gi"))
		m.store(podsPath+"/db", runningPod("500m", "1Gi"))
		ended := runningPod("500m", "1Gi")
		ended["status"] = map[string]any{"phase": "Succeeded"}
		m.store(podsPath+"/ended", ended)
	})
	w.collect()
	w.told()
	w.writes()
	return w, m
}

func TestAMemberReportsWhatItHas(t *testing.T) {
	w, m := joinedWorld(t)
	m.change(func(m *member) {
		owned := namespaceOf("")["metadata"].(map[string]any)
		owned["name"], owned["uid"] = "web", "1"
		owned["ownerReferences"] = []any{
			map[string]any{"apiVersion": "v1", "kind": "AppliedWork", "name": "no"},
			map[string]any{"apiVersion": "placement.kubernetes-fleet.io/v1", "kind": "AppliedWork", "name": "web-work"},
		}
		m.store(namespacesPath+"/web", map[string]any{"metadata": owned})
		m.store(namespacesPath+"/going", map[string]any{"metadata": map[string]any{"name": "going", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
		m.store(namespacesPath+"/x", map[string]any{"metadata": map[string]any{"name": strings.Repeat("x", 10000)}})
		m.store(nodesPath+"/a", nodeOf("4", "3"))
		m.store(nodesPath+"/b", nodeOf("6", "5"))
		m.store(podsPath+"/web", runningPod("1500m", "1Gi"))
	})
	w.clock.Step(time.Second)
	again := w.collect()

	status := w.cluster().Status
	wantUsage := v1beta1.ResourceUsage{
		Capacity: list("10", "10Gi"), Allocatable: list("8", "8Gi"), Available: list("6500m", "7Gi"),
		ObservationTime: metav1.NewTime(start.Add(time.Second)),
	}
	if diff := cmp.Diff(wantUsage, status.ResourceUsage); diff != "" {
		t.Errorf("resourceUsage (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"kube-system": "", "web": "web-work"}, status.Namespaces); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	w.expect(started, metav1.ConditionTrue, "Started", "The property provider has started successfully")
	w.expect(properties, metav1.ConditionTrue, "PropertiesCollected", "The property provider has returned the latest cluster properties")
	w.expect(namespaces, metav1.ConditionTrue, "Succeeded", "All namespaces have been collected successfully")
	if shortest, longest := 5*57*time.Second, 5*63*time.Second; again < shortest || again > longest {
		t.Errorf("read again in %s, want five heartbeats with their jitter", again)
	}
	if diff := cmp.Diff([]string{"Started"}, w.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}

	internal := w.internal().Status
	if diff := cmp.Diff(status.ResourceUsage, internal.ResourceUsage); diff != "" {
		t.Errorf("resourceUsage of the InternalMemberCluster:\n%s", diff)
	}
	if diff := cmp.Diff(status.Namespaces, internal.Namespaces); diff != "" {
		t.Errorf("namespaces of the InternalMemberCluster:\n%s", diff)
	}
	var types []string
	for _, c := range internal.Conditions {
		types = append(types, c.Type)
		if c.ObservedGeneration != w.internal().Generation {
			t.Errorf("%s is for generation %d", c.Type, c.ObservedGeneration)
		}
	}
	if diff := cmp.Diff([]string{started, properties, namespaces}, types); diff != "" {
		t.Errorf("conditions of the InternalMemberCluster (-want +got):\n%s", diff)
	}
}

func TestAMemberWithoutNodesReportsNoResources(t *testing.T) {
	w, m := busyWorld(t)
	m.change(func(m *member) {
		delete(m.objects, nodesPath+"/a")
		delete(m.objects, nodesPath+"/b")
	})
	w.later()
	if diff := cmp.Diff(v1beta1.ResourceUsage{}, w.cluster().Status.ResourceUsage); diff != "" {
		t.Errorf("resourceUsage:\n%s", diff)
	}
	w.expect(properties, metav1.ConditionTrue, "PropertiesCollected")
}

func TestWhatCannotBeReadStaysAsItWas(t *testing.T) {
	for _, tc := range []struct {
		name      string
		forbidden string
		condition string
		// goesOn is what is read all the same.
		goesOn string
	}{
		{"nodes", nodesPath, properties, namespaces},
		{"pods", podsPath, properties, namespaces},
		{"namespaces", namespacesPath, namespaces, properties},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, m := busyWorld(t)
			before := w.cluster().Status
			m.change(func(m *member) {
				m.forbidden = []string{tc.forbidden}
				m.store(nodesPath+"/c", nodeOf("4", "3"))
				m.store(namespacesPath+"/new", map[string]any{"metadata": map[string]any{"name": "new"}})
			})
			w.later()
			w.expect(tc.condition, metav1.ConditionFalse, "Forbidden", "list on nodes, pods and namespaces", "stays in the status")
			w.expect(tc.goesOn, metav1.ConditionTrue, map[string]string{properties: "PropertiesCollected", namespaces: "Succeeded"}[tc.goesOn])
			w.expect(v1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, inspect.ReasonJoined)
			w.expect(v1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, inspect.ReasonHealthy)
			after := w.cluster().Status
			if stays := cmp.Equal(before.ResourceUsage, after.ResourceUsage); stays != (tc.condition == properties) {
				t.Errorf("resourceUsage %+v", after.ResourceUsage)
			}
			const nodeCount = "kubernetes-fleet.io/node-count"
			// Nodes are counted besides, as long as they may be listed.
			count, want := after.Properties[nodeCount], before.Properties[nodeCount]
			if tc.forbidden != nodesPath {
				want.Value = "3"
			}
			if count.Value != want.Value || count.ObservationTime.Equal(&want.ObservationTime) != (tc.forbidden == nodesPath) {
				t.Errorf("node-count %+v, before %+v", count, before.Properties[nodeCount])
			}
			if stays := cmp.Equal(before.Namespaces, after.Namespaces); stays != (tc.condition == namespaces) {
				t.Errorf("namespaces %v", after.Namespaces)
			}
			if diff := cmp.Diff([]string{"Forbidden"}, w.told()); diff != "" {
				t.Errorf("Events (-want +got):\n%s", diff)
			}
			m.change(func(m *member) { m.forbidden = nil })
			w.later()
			w.expect(tc.condition, metav1.ConditionTrue, map[string]string{properties: "PropertiesCollected", namespaces: "Succeeded"}[tc.condition])
			if got := w.cluster().Status; got.ResourceUsage.Capacity.Cpu().Value() != 14 || len(got.Namespaces) != 2 {
				t.Errorf("status %+v", got)
			}
			if events := w.told(); len(events) != 0 {
				t.Errorf("Events %v", events)
			}
		})
	}
}

func TestAMemberWhosePodsWereNeverReadReportsWhatItsNodesHave(t *testing.T) {
	w, m := joinedWorld(t)
	m.change(func(m *member) {
		m.forbidden = []string{podsPath}
		m.store(nodesPath+"/a", nodeOf("4", "3"))
	})
	w.collect()
	usage := w.cluster().Status.ResourceUsage
	if usage.Capacity.Cpu().Value() != 4 || usage.Allocatable.Cpu().Value() != 3 || usage.Available != nil {
		t.Errorf("resourceUsage %+v", usage)
	}
}

func TestNoMoreNamespacesAreReportedThanTheLimit(t *testing.T) {
	w, m := joinedWorld(t)
	m.change(func(m *member) {
		// With kube-system they are as many as the limit.
		for i := range inspect.MaxNamespaces - 1 {
			name := fmt.Sprintf("a-%03d", i)
			m.store(namespacesPath+"/"+name, map[string]any{"metadata": map[string]any{"name": name}})
		}
	})
	w.collect()
	w.expect(namespaces, metav1.ConditionTrue, "Succeeded")
	m.put(namespacesPath+"/b", map[string]any{"metadata": map[string]any{"name": "b"}})
	w.later()
	w.expect(namespaces, metav1.ConditionFalse, "Degraded",
		"Namespaces are collected in a degraded mode since the number of namespaces reaches the track limit", "is not complete")
	if names := w.cluster().Status.Namespaces; len(names) != inspect.MaxNamespaces {
		t.Errorf("%d namespaces", len(names))
	}
}

func TestWhatIsFreeIsNotWrittenAllTheTime(t *testing.T) {
	w, m := busyWorld(t)
	before := w.cluster().Status.ResourceUsage

	m.put(podsPath+"/small", runningPod("50m", "1Mi"))
	w.later()
	after := w.cluster().Status.ResourceUsage
	if !cmp.Equal(before.Available, after.Available) {
		t.Errorf("available is %+v, want it as it was", after.Available)
	}
	if !after.ObservationTime.After(before.ObservationTime.Time) {
		t.Error("the time is not that of the last report")
	}

	// It is measured by what is written, so that many small changes are a large one.
	m.put(podsPath+"/small-too", runningPod("50m", "1Mi"))
	w.later()
	if got := w.cluster().Status.ResourceUsage.Available.Cpu().MilliValue(); got != 5900 {
		t.Errorf("available CPU %dm, want 5900m", got)
	}
}

func TestAMemberIsReadWhereThatIsDue(t *testing.T) {
	w, m := busyWorld(t)
	lists := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.lists[podsPath]
	}
	before := lists()
	w.clock.Step(time.Minute)
	w.collect()
	if got := lists(); got != before {
		t.Error("the member was read at a heartbeat")
	}

	// With other credentials it may be another cluster.
	m.change(func(m *member) { m.token = "rotated" })
	w.setSecret(m.kubeconfig("rotated"))
	w.reconcile()
	if w.controller.reportOf(name) != nil {
		t.Error("a report of the credentials before counts")
	}
	w.collect()
	if got := lists(); got != before+1 {
		t.Errorf("%d reads with new credentials, want 1", got-before)
	}

	for _, tc := range []struct {
		what   string
		change func()
	}{
		{"does not belong to the fleet", func() { m.put(crdOf, appliedWorksOf("that-store")) }},
		{"leaves", func() { m.put(crdOf, appliedWorksOf(storeID)); w.delete() }},
	} {
		tc.change()
		w.clock.Step(time.Hour)
		w.reconcile()
		before := lists()
		if again, err := w.controller.collect(t.Context(), reconcile.Key{Name: name}); err != nil || again != 0 || lists() != before {
			t.Errorf("a member was read that %s: again %s, %v", tc.what, again, err)
		}
	}
}

func TestANamespaceThatIsAwaitedIsReportedAtOnce(t *testing.T) {
	w, m := busyWorld(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	place := func(namespace string, status metav1.ConditionStatus) *placementv1beta1.Work {
		t.Helper()
		work := &placementv1beta1.Work{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet-member-" + name, Name: namespace + string(status)}}
		work.Spec.Workload.Manifests = []placementv1beta1.Manifest{{RawExtension: runtime.RawExtension{
			Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, namespace),
		}}}
		work.Status.ManifestConditions = []placementv1beta1.ManifestCondition{{
			Identifier: placementv1beta1.WorkResourceIdentifier{Version: "v1", Kind: "Namespace", Name: namespace},
			Conditions: []metav1.Condition{{Type: "Applied", Status: status, LastTransitionTime: metav1.NewTime(w.clock.Now().Truncate(time.Second))}},
		}}
		must(w.controller.fleet.Works.Informer().GetIndexer().Add(work))
		return work
	}
	ask := func(namespace string) *placementv1beta1.ResourcePlacement {
		t.Helper()
		placement := &placementv1beta1.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "web", CreationTimestamp: metav1.NewTime(w.clock.Now().Truncate(time.Second)),
		}}
		must(w.controller.fleet.Placements.Informers()[1].GetIndexer().Add(placement))
		return placement
	}
	lists := func(path string) int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.lists[path]
	}
	collect := func() time.Duration {
		t.Helper()
		again, err := w.controller.collect(t.Context(), reconcile.Key{Name: name})
		must(err)
		return again
	}
	reported := func(namespace string) bool {
		t.Helper()
		w.clock.Step(2 * time.Second)
		collect()
		w.reconcile()
		_, has := w.cluster().Status.Namespaces[namespace]
		return has
	}
	pods := lists(podsPath)
	m.change(func(m *member) {
		for _, namespace := range []string{"placed", "asked"} {
			m.store(namespacesPath+"/"+namespace, map[string]any{"metadata": map[string]any{"name": namespace}})
		}
	})

	before := lists(namespacesPath)
	if place("placed", metav1.ConditionFalse); reported("placed") || lists(namespacesPath) != before {
		t.Error("namespaces were listed for one that is not placed")
	}
	w.clock.Step(time.Minute)
	if place("placed", metav1.ConditionTrue); !reported("placed") {
		t.Error("a namespace that was placed is not reported")
	}
	must(w.controller.fleet.Works.Informer().GetIndexer().Replace(nil, ""))

	m.change(func(m *member) {
		m.store(namespacesPath+"/asked", map[string]any{"metadata": map[string]any{"name": "asked"}})
	})
	w.clock.Step(time.Minute)
	placement := ask("missing")
	before = lists(namespacesPath)
	reported("missing")
	if got := lists(namespacesPath) - before; got != 1 {
		t.Errorf("namespaces were listed %d times for a new placement", got)
	}
	// One that the member does not have after all is no reason to list again and again.
	if again := collect(); again < time.Minute || lists(namespacesPath) != before+1 {
		t.Errorf("namespaces were listed %d times, and will be again after %s", lists(namespacesPath)-before, again)
	}
	if got := lists(podsPath); got != pods {
		t.Errorf("Pods were read %d times for a namespace", got-pods)
	}

	for what, tc := range map[string]struct {
		old, new any
		want     int
	}{
		"a placement in a namespace that the member lacks": {nil, func() any { w.clock.Step(time.Minute); return ask("other") }(), 1},
		"one that was there before the list":               {nil, placement, 0},
		"a change of one":                                  {placement, placement, 0},
		"one that goes":                                    {placement, nil, 0},
	} {
		if got := w.controller.onNewPlacement(tc.old, tc.new); len(got) != tc.want {
			t.Errorf("%s wakes %v", what, got)
		}
	}
	work := place("web", metav1.ConditionTrue)
	for what, tc := range map[string]struct {
		old, new any
		want     int
	}{
		"a Work that has a Namespace on the member": {nil, work, 1},
		"one that had it before":                    {work, work, 0},
		"one that goes":                             {work, nil, 0},
	} {
		if got := onPlacedNamespace(tc.old, tc.new); len(got) != tc.want {
			t.Errorf("%s wakes %v", what, got)
		}
	}
}

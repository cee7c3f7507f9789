// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleettest"
)

// configMaps are objects of the namespace web, by name.
func configMaps(names ...string) (ids []v1beta1.ResourceIdentifier) {
	for _, name := range names {
		ids = append(ids, v1beta1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: "web", Name: name})
	}
	return ids
}

func TestRollingUpdateNamesWhatAVersionRemoves(t *testing.T) {
	const base = "The rollout is being blocked by the rollout strategy in 1 cluster(s)"
	rolling, done := []v1beta1.BindingObject{bind("a", "p-1-snapshot", allDone...), bind("b", "p-0-snapshot", allDone...)},
		[]v1beta1.BindingObject{bind("a", "p-1-snapshot", allDone...), bind("b", "p-1-snapshot", allDone...)}
	tests := map[string]struct {
		change func(*v1beta1.PlacementSpec)
		// index and had are what the status has told so far, said is its message.
		index, said string
		had         []string
		onClusters  []string
		bindings    []v1beta1.BindingObject
		// message is of the condition RolloutStarted, news what is new.
		message, news string
	}{
		"a version that lacks objects": {
			index: "0", had: []string{"a", "b", "c"}, bindings: rolling,
			message: base + "; resource snapshot 1 removes 2 object(s) from member clusters: ConfigMap web/b, ConfigMap web/c",
			news:    "resource snapshot 1 removes 2 object(s) from member clusters: ConfigMap web/b, ConfigMap web/c",
		},
		"a version that lacks nothing": {index: "0", had: []string{"a"}, bindings: rolling, message: base},
		"what some clusters have of a version before": {
			index: "0", had: []string{"a"}, onClusters: []string{"a", "z"}, bindings: rolling,
			message: base + "; resource snapshot 1 removes 1 object(s) from member clusters: ConfigMap web/z",
			news:    "resource snapshot 1 removes 1 object(s) from member clusters: ConfigMap web/z",
		},
		"the first version": {bindings: rolling, message: base},
		"a version that is known": {
			index: "1", had: []string{"a"}, onClusters: []string{"b"}, bindings: rolling,
			said:    "All 2 cluster(s) start rolling out the latest resource; resource snapshot 1 removes 1 object(s) from member clusters: ConfigMap web/b",
			message: base + "; resource snapshot 1 removes 1 object(s) from member clusters: ConfigMap web/b",
		},
		"what was said of the version before": {
			index: "0", had: []string{"a"}, bindings: rolling,
			said:    base + "; resource snapshot 0 removes 1 object(s) from member clusters: ConfigMap web/b",
			message: base,
		},
		"all clusters have it": {
			index: "0", had: []string{"a", "b"}, bindings: done,
			message: "All 2 cluster(s) start rolling out the latest resource",
			news:    "resource snapshot 1 removes 1 object(s) from member clusters: ConfigMap web/b",
		},
		"all clusters have it, and that was said": {
			index: "1", had: []string{"a"}, bindings: done,
			said:    base + "; resource snapshot 1 removes 1 object(s) from member clusters: ConfigMap web/b",
			message: "All 2 cluster(s) start rolling out the latest resource",
		},
		"a run decides": {
			change: func(s *v1beta1.PlacementSpec) { s.Strategy.Type = v1beta1.ExternalRolloutStrategyType },
			index:  "0", had: []string{"a", "b"}, bindings: done,
			message: "All 2 cluster(s) start rolling out the latest resource",
		},
		"only differences are reported": {
			change: func(s *v1beta1.PlacementSpec) {
				s.Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
			},
			index: "0", had: []string{"a", "b"}, bindings: rolling, message: base,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			placement := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			placement.Spec.Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
			if tt.change != nil {
				tt.change(&placement.Spec)
			}
			rolloutStarted := v1beta1.PlacementConditionType("", v1beta1.PlacementRolloutStarted)
			placement.Status = v1beta1.PlacementStatus{ObservedResourceIndex: tt.index, SelectedResources: configMaps(tt.had...)}
			if tt.said != "" {
				placement.Status.Conditions = []metav1.Condition{{Type: rolloutStarted, Status: metav1.ConditionFalse, Reason: "RolloutNotStartedYet", Message: tt.said}}
			}
			w := world{
				policy: policy(metav1.ConditionTrue), bindings: tt.bindings, latest: "p-1-snapshot", wanted: snapshotOnly("p-1-snapshot"),
				index:      map[string]string{"p-0-snapshot": "0", "p-1-snapshot": "1"},
				resources:  func(string) []v1beta1.ResourceIdentifier { return configMaps("a") },
				contents:   func(string) []v1beta1.ResourceIdentifier { return configMaps("a") },
				onClusters: func() []v1beta1.ResourceIdentifier { return configMaps(tt.onClusters...) },
			}
			next := summarize(placement, w, now)
			if got := meta.FindStatusCondition(next.Conditions, rolloutStarted).Message; got != tt.message {
				t.Errorf("message is %q, want %q", got, tt.message)
			}
			if got := removedBy(placement, next, w); got != tt.news {
				t.Errorf("news is %q, want %q", got, tt.news)
			}
		})
	}
}

func TestAVersionThatRemovesObjectsIsAnEventOnce(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		placed(w, metav1.ConditionTrue)
		hold := func(s v1beta1.ResourceSnapshotObject, names ...string) {
			for _, name := range names {
				manifest := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"web","name":%q}}`, name)
				s.SnapshotSpec().SelectedResources = append(s.SnapshotSpec().SelectedResources,
					v1beta1.ResourceContent{RawExtension: runtime.RawExtension{Raw: []byte(manifest)}})
			}
		}
		fleettest.Update(w, w.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", 0), func(s v1beta1.ResourceSnapshotObject) {
			s.SnapshotSpec().SelectedResources = nil
			hold(s, "a", "b")
		})
		recorder := record.NewFakeRecorder(50)
		c := New(w.Fleet, recorder, clock.RealClock{})
		look := func() {
			c.pace.Forget(w.Key("p"))
			_, err := c.reconcile(t.Context(), w.Key("p"))
			w.Must(err)
		}
		observed := func(index string) func() bool {
			return func() bool {
				p, err := w.Fleet.Placements.Get(w.Key("p"))
				return err == nil && p.PlacementStatus().ObservedResourceIndex == index
			}
		}
		// The content of a snapshot never changes but here.
		holds := func(index, objects int) func() bool {
			return func() bool {
				s, err := w.Fleet.Snapshots.Get(w.Key(wellknown.ResourceSnapshotName("p", index)))
				return err == nil && len(s.SnapshotSpec().SelectedResources) == objects
			}
		}
		w.Eventually("the first version is seen", holds(0, 2))
		look()
		w.Eventually("the first version is told of", observed("0"))

		fleettest.Update(w, w.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", 0), func(s v1beta1.ResourceSnapshotObject) {
			s.GetLabels()[wellknown.LatestSnapshotLabel] = "false"
		})
		fleettest.Create(w, w.Fleet.Snapshots, wellknown.ResourceSnapshotName("p", 1), func(s v1beta1.ResourceSnapshotObject) {
			s.SetLabels(map[string]string{
				wellknown.ParentPlacementLabel: "p", wellknown.LatestSnapshotLabel: "true", wellknown.ResourceIndexLabel: "1",
			})
			s.SetAnnotations(map[string]string{wellknown.ResourceHashAnnotation: "other"})
			hold(s, "a")
		})
		w.Eventually("the second version is seen", holds(1, 1))
		look()
		w.Eventually("the second version is told of", observed("1"))
		// Another leader begins with what is stored.
		c = New(w.Fleet, recorder, clock.RealClock{})
		look()

		var told []string
		for len(recorder.Events) > 0 {
			if event := <-recorder.Events; strings.Contains(event, eventRemoved) {
				told = append(told, event)
			}
		}
		const want = "Warning ObjectsRemoved Rolling out resource snapshot 1 removes 1 object(s) from member clusters: ConfigMap web/b"
		if len(told) != 1 || told[0] != want {
			t.Errorf("Events are %q, want %q", told, want)
		}
	})
}

// A status that forgot the version would tell of the next one as if there had been none before, and of nothing that it removes.
func TestAVersionThatIsOnItsWayOutIsStillTheOneThatClustersHave(t *testing.T) {
	fleettest.InBothScopes(t, func(w *fleettest.World) {
		placed(w, metav1.ConditionTrue)
		name := wellknown.ResourceSnapshotName("p", 0)
		fleettest.Update(w, w.Fleet.Snapshots, name, func(s v1beta1.ResourceSnapshotObject) {
			s.SetFinalizers([]string{"example.com/wait"})
			s.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
		})
		w.Eventually("the deletion is seen", func() bool {
			s, err := w.Fleet.Snapshots.Get(w.Key(name))
			return err == nil && s.GetDeletionTimestamp() != nil
		})
		placement, err := w.Fleet.Placements.Get(w.Key("p"))
		w.Must(err)
		if got := New(w.Fleet, record.NewFakeRecorder(1), clock.RealClock{}).observe(placement); got.latest != name || got.index[name] != "0" {
			t.Errorf("the newest version is %q with index %q, want %s", got.latest, got.index[got.latest], name)
		}
	})
}

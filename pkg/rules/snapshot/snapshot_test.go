// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// stored is a resource snapshot at an index that holds a ConfigMap of its own name.
func stored(name, index string, annotations ...string) *v1beta1.ResourceSnapshot {
	s := &v1beta1.ResourceSnapshot{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{wellknown.ResourceIndexLabel: index}, Annotations: map[string]string{},
	}}
	for i := 0; i < len(annotations); i += 2 {
		s.Annotations[annotations[i]] = annotations[i+1]
	}
	s.Spec.SelectedResources = []v1beta1.ResourceContent{{RawExtension: runtime.RawExtension{
		Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, name),
	}}}
	return s
}

func master(name, index, parts string) *v1beta1.ResourceSnapshot {
	return stored(name, index, wellknown.ResourceHashAnnotation, "h", wellknown.NumberOfSnapshotsAnnotation, parts)
}

func part(name, index, subindex string) *v1beta1.ResourceSnapshot {
	return stored(name, index, wellknown.SubindexAnnotation, subindex)
}

func marked(s *v1beta1.ResourceSnapshot) *v1beta1.ResourceSnapshot {
	s.Labels[wellknown.LatestSnapshotLabel] = "true"
	return s
}

func deleted(s *v1beta1.ResourceSnapshot) *v1beta1.ResourceSnapshot {
	now := metav1.Now()
	s.DeletionTimestamp = &now
	return s
}

func TestTheNewestIsTheMasterThatIsMarked(t *testing.T) {
	for name, tt := range map[string]struct {
		snapshots []v1beta1.ResourceSnapshotObject
		want      string
		inForce   bool
	}{
		"none":                  {nil, "", false},
		"none is marked":        {[]v1beta1.ResourceSnapshotObject{master("a", "0", "1")}, "", false},
		"one is marked":         {[]v1beta1.ResourceSnapshotObject{master("a", "0", "1"), marked(master("b", "1", "1")), master("c", "2", "1")}, "b", true},
		"a part is marked":      {[]v1beta1.ResourceSnapshotObject{marked(part("a", "0", "0")), master("b", "0", "2")}, "", false},
		"it is being deleted":   {[]v1beta1.ResourceSnapshotObject{deleted(marked(master("a", "0", "1"))), master("b", "1", "1")}, "a", false},
		"one of them goes":      {[]v1beta1.ResourceSnapshotObject{deleted(marked(master("a", "0", "1"))), marked(master("b", "1", "1"))}, "b", true},
		"in whatever order":     {[]v1beta1.ResourceSnapshotObject{marked(master("b", "1", "1")), deleted(marked(master("a", "0", "1")))}, "b", true},
		"one without the label": {[]v1beta1.ResourceSnapshotObject{&v1beta1.ClusterResourceSnapshot{}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			latest, got := Latest(tt.snapshots), ""
			if latest != nil {
				got = latest.GetName()
			}
			if got != tt.want || latest != nil && IsInForce(latest) != tt.inForce {
				t.Errorf("got %q, in force %t; want %q, %t", got, latest != nil && IsInForce(latest), tt.want, tt.inForce)
			}
		})
	}
}

func TestASnapshotIsItsMasterAndItsParts(t *testing.T) {
	for name, tt := range map[string]struct {
		number string
		others []v1beta1.ResourceSnapshotObject
		want   string
		parts  int
	}{
		"alone":                     {"1", nil, "m", 1},
		"of no number":              {"", nil, "m", 1},
		"parts in their order":      {"3", []v1beta1.ResourceSnapshotObject{part("p10", "1", "10"), part("p9", "1", "9")}, "m p9 p10", 3},
		"a part is missing":         {"3", []v1beta1.ResourceSnapshotObject{part("p0", "1", "0")}, "m p0", 3},
		"a part that nobody counts": {"1", []v1beta1.ResourceSnapshotObject{part("p0", "1", "0")}, "m", 1},
		"a part too many":           {"2", []v1beta1.ResourceSnapshotObject{part("p0", "1", "0"), part("p1", "1", "1")}, "m p0 p1", 2},
		"a part of another":         {"2", []v1beta1.ResourceSnapshotObject{part("p0", "2", "0")}, "m", 2},
		"what only has the label":   {"2", []v1beta1.ResourceSnapshotObject{stored("x", "1")}, "m", 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := master("m", "1", tt.number)
			all := append(tt.others, m)
			parts, number, err := Parts(m, all)
			if err != nil || number != tt.parts {
				t.Errorf("must be %d parts (%v), want %d", number, err, tt.parts)
			}
			var names []string
			for _, p := range parts {
				names = append(names, p.GetName())
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("parts are %q, want %q", got, tt.want)
			}
			// What it holds comes in the same order.
			names = nil
			for _, id := range IDs(Resources(all, "1")) {
				names = append(names, id.Name)
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("resources are %q, want %q", got, tt.want)
			}
		})
	}
	if _, _, err := Parts(master("m", "1", "many"), nil); err == nil || !strings.Contains(err.Error(), `resource snapshot "m"`) {
		t.Errorf("error %v, want one that names the snapshot", err)
	}
	if got := Resources([]v1beta1.ResourceSnapshotObject{part("p0", "1", "0")}, "1"); got != nil {
		t.Errorf("a snapshot without a master holds %v", got)
	}
}

func TestClustersHaveWhatTheirBindingsNameAtWhateverIndex(t *testing.T) {
	bound := func(state v1beta1.BindingState, snapshot string) v1beta1.BindingObject {
		return &v1beta1.ResourceBinding{Spec: v1beta1.ResourceBindingSpec{State: state, ResourceSnapshotName: snapshot}}
	}
	snapshots := []v1beta1.ResourceSnapshotObject{
		master("a", "0", "1"), master("b", "1", "2"), part("b0", "1", "0"), master("c", "2", "1"), master("d", "3", "1"),
	}
	got := Listed(OnClusters([]v1beta1.BindingObject{
		bound(v1beta1.BindingStateBound, "a"), bound(v1beta1.BindingStateBound, "b"), bound(v1beta1.BindingStateBound, "b"),
		bound(v1beta1.BindingStateScheduled, "c"), bound(v1beta1.BindingStateUnscheduled, "d"), bound(v1beta1.BindingStateBound, "gone"),
	}, snapshots))
	if want := "ConfigMap a, ConfigMap b, ConfigMap b0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

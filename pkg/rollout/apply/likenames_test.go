// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// Works of ClusterResourcePlacement ns.web from an earlier version of the server are named as those of ResourcePlacement web in ns are. Names
// alone must not make one's objects the other's.

func TestWhoseAnObjectIsIsNotToldByNames(t *testing.T) {
	for _, work := range []string{"ns.web-0", "ns.web-work"} {
		for _, lost := range []bool{false, true} {
			if work == "ns.web-work" && !lost {
				// The controller of Works writes no two of a name.
				continue
			}
			t.Run(fmt.Sprintf("%s/lost=%t", work, lost), func(t *testing.T) {
				f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
				objects := []string{"a"}
				if lost {
					// What brings the Namespace has it take what is placed, as long as it is there.
					objects = append(objects, "ns")
				}
				f.writeOf("", "ns.web", 1, version{work: objects})
				f.settle()
				f.consent(false)
				if lost {
					f.loseStore()
				}
				for _, strategy := range []v1beta1.ApplyStrategyType{v1beta1.ApplyStrategyTypeReportDiff, v1beta1.ApplyStrategyTypeClientSideApply} {
					f.strategy = &v1beta1.ApplyStrategy{Type: strategy, WhenToTakeOver: v1beta1.WhenToTakeOverTypeAlways}
					f.writeOf("ns", "web", 1, version{"ns.web-work": {"a"}})
					f.settle()
					f.consent(false)
					for _, w := range f.works() {
						if w.Name == "ns.web-work" && w.Status.ManifestConditions[0].DiffDetails != nil {
							t.Errorf("%s: it tells %+v", strategy, w.Status.ManifestConditions[0].DiffDetails)
						}
					}
					live := f.member.get(t, configMaps, "ns", "a")
					if got, _, _ := unstructured.NestedString(live.Object, "data", "key"); got != "v1" {
						t.Errorf("%s: it has written %s", strategy, got)
					}
				}
				if diff := cmp.Diff([]string{work}, f.owners("a")); diff != "" {
					t.Errorf("owners (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// loseStore has another store in the place of the one that the Works were in.
func (f *fleetOfParts) loseStore() {
	f.t.Helper()
	for _, w := range f.works() {
		if err := f.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), w.Namespace, w.Name); err != nil {
			f.t.Fatal(err)
		}
	}
	f.applier.options.Ruler.Store = "another"
}

// A store is lost, and the Works of one placement are back before those of the other.
func TestNobodyInheritsFromAPlacementThatIsOnlyNamedAlike(t *testing.T) {
	for name, tc := range map[string]struct {
		// lost is the one whose Works are not back yet, a namespace's or not.
		lost, back             string
		lostName, backName     string
		lostVersion, backFirst version
	}{
		"from one in a namespace": {
			lost: "ns", lostName: "web", lostVersion: version{"ns.web-work": {"a"}},
			back: "", backName: "ns.web", backFirst: version{"ns.web-work-cluster": {"b"}},
		},
		"from a cluster-scoped one": {
			lost: "", lostName: "ns.web", lostVersion: version{"ns.web-0": {"a", "ns"}},
			back: "ns", backName: "web", backFirst: version{"ns.web-work": {"b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.writeOf(tc.lost, tc.lostName, 1, tc.lostVersion)
			f.writeOf(tc.back, tc.backName, 1, tc.backFirst)
			f.settle()
			before := f.owners("a")
			f.loseStore()
			f.writeOf(tc.back, tc.backName, 1, tc.backFirst)
			f.settle()
			if diff := cmp.Diff(before, f.owners("a")); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
			f.writeOf(tc.lost, tc.lostName, 1, tc.lostVersion)
			f.settle()
			for work := range tc.lostVersion {
				if got := f.says(work); !strings.HasPrefix(got, "Applied") {
					t.Errorf("it says %q", got)
				}
			}
		})
	}
}

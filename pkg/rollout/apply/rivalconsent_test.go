// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// consent sets whether the member's namespace takes what a placement in the hub's namespace of its name places.
func (f *fleetOfParts) consent(takes bool) {
	f.t.Helper()
	f.member.change(f.t, namespaces, "", "ns", func(o *unstructured.Unstructured) {
		o.SetLabels(nil)
		if takes {
			o.SetLabels(map[string]string{wellknown.AcceptPlacementsLabel: "true"})
		}
	})
}

// lettingGo are the ways in which placement web, which has "a" and "b" in web-work, lets go of "a".
var lettingGo = map[string]func(f *fleetOfParts){
	"dropped": func(f *fleetOfParts) { f.write(2, version{"web-work": {"b"}}) },
	"removed": func(f *fleetOfParts) { f.removeAll("", "web") },
}

// Whoever calls a namespace of the hub like a member's own would get what the platform has there, and write to it from then on.
func TestAnObjectIsGivenToNoPlacementThatItsNamespaceDoesNotTake(t *testing.T) {
	for name, letGo := range lettingGo {
		t.Run(name, func(t *testing.T) {
			f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.consent(false)
			f.write(1, version{"web-work": {"a", "b"}})
			f.settle()
			f.writeOf("ns", "shop", 1, version{"ns.shop-work": {"a"}})
			f.settle()
			letGo(f)
			f.settle()
			if f.member.get(t, configMaps, "ns", "a") != nil {
				t.Errorf("the object that no placement may have stays, of %v", f.owners("a"))
			}
			if got := f.says("ns.shop-work"); !strings.HasPrefix(got, reasonForeignNamespace) {
				t.Errorf("the placement in the namespace says %q", got)
			}
		})
	}
}

// A namespace that a placement has brought is another one's when that one goes, and takes what it took.
func TestAnObjectIsGivenWhereItsNamespaceIsHandedOverToo(t *testing.T) {
	for name, brought := range map[string]version{
		"in one Work":             {"web-work": {"a", "ns"}},
		"the Namespace goes last": {"web-work": {"ns"}, "web-0": {"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.consent(false)
			f.write(1, brought)
			f.settle()
			uid := f.uid("a")
			f.writeOf("ns", "shop", 1, version{"ns.shop-work": {"a"}})
			f.writeOf("", "base", 1, version{"base-work": {"ns"}})
			f.settle()
			f.removeAll("", "web")
			for range 3 {
				for _, work := range []string{"web-0", "web-work", "base-work", "ns.shop-work"} {
					f.pass(work)
				}
			}
			if got := f.uid("a"); got != uid {
				t.Error("it was deleted and recreated")
			}
			if diff := cmp.Diff([]string{"ns.shop-work"}, f.owners("a")); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}

// The Work that placed the Namespace is missing, so it is unknown whether the namespace takes the object: the object stays.
func TestAnObjectStaysWhereItIsNotKnownWhetherItsNamespaceTakesIt(t *testing.T) {
	for name, letGo := range lettingGo {
		t.Run(name, func(t *testing.T) {
			f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.consent(false)
			f.writeOf("", "base", 1, version{"base-work": {"ns"}})
			f.settle()
			f.write(1, version{"web-work": {"a", "b"}})
			f.settle()
			uid := f.uid("a")
			f.writeOf("ns", "shop", 1, version{"ns.shop-work": {"a"}})
			f.settle()
			if err := f.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), testNamespace, "base-work"); err != nil {
				t.Fatal(err)
			}
			letGo(f)
			f.settle()
			if got := f.uid("a"); got != uid {
				t.Error("it was deleted and recreated")
			}
			f.writeOf("", "base", 1, version{"base-work": {"ns"}})
			f.settle()
			if got := f.uid("a"); got != uid {
				t.Error("it was deleted and recreated")
			}
			if diff := cmp.Diff([]string{"ns.shop-work"}, f.owners("a")); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}

// Nobody in a namespace keeps a placement from ever being removed, by a Work that never gets ready or a version that is never whole.
func TestARemovalDoesNotWaitForeverForAnotherPlacement(t *testing.T) {
	f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a", "b"}})
	f.settle()
	uid := f.uid("a")
	f.writeOf("ns", "shop", 1, version{"ns.shop-work": {"a"}})
	f.removeAll("", "web")
	f.pass("web-work")
	if f.member.get(t, appliedWorks, "", "web-work") == nil || f.uid("a") != uid {
		t.Fatal("it does not wait at all")
	}
	f.clock.SetTime(testTime.Add(handOverPatience + time.Second))
	for range 3 {
		f.pass("web-work")
	}
	if f.member.get(t, appliedWorks, "", "web-work") != nil {
		t.Error("it waits for ever")
	}
	if got := f.uid("a"); got != uid {
		t.Error("the object was deleted")
	}
	if f.member.get(t, configMaps, "ns", "b") != nil {
		t.Error("what nobody else has stays")
	}
	if _, err := f.api.PlacementV1beta1().Works(testNamespace).Get(t.Context(), "ns.shop-work", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if diff := cmp.Diff([]string{"ns.shop-work"}, f.owners("a")); diff != "" || f.uid("a") != uid {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
}

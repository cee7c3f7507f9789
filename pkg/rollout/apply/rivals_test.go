// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// newFleetOfRivals is a fleet whose placements take over what was there before, and whose namespace takes what one in it places.
func newFleetOfRivals(t *testing.T, strategy v1beta1.ApplyStrategyType) *fleetOfParts {
	f := newFleetOfParts(t, strategy)
	f.strategy.WhenToTakeOver = v1beta1.WhenToTakeOverTypeAlways
	f.member.put(t, `{apiVersion: v1, kind: Namespace, metadata: {name: ns, labels: {`+wellknown.AcceptPlacementsLabel+`: "true"}}}`)
	return f
}

// says is what a Work says of its first manifest.
func (f *fleetOfParts) says(work string) string {
	f.t.Helper()
	w, err := f.api.PlacementV1beta1().Works(testNamespace).Get(f.t.Context(), work, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	if len(w.Status.ManifestConditions) == 0 {
		return ""
	}
	for _, c := range w.Status.ManifestConditions[0].Conditions {
		if c.Type == v1beta1.WorkApplied {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}

func (f *fleetOfParts) uid(name string) types.UID {
	f.t.Helper()
	live := f.member.get(f.t, configMaps, "ns", name)
	if live == nil {
		f.t.Fatalf("%s is not on the member", name)
	}
	return live.GetUID()
}

// removeAll deletes all Works of a placement.
func (f *fleetOfParts) removeAll(namespace, placement string) {
	for _, w := range f.works() {
		if w.Labels[wellknown.ParentPlacementLabel] == placement && w.Labels[wellknown.ParentNamespaceLabel] == namespace {
			f.delete(&w)
		}
	}
}

func TestWhichOfTwoPlacementsHasAnObject(t *testing.T) {
	for _, strategy := range bothStrategies {
		for name, tc := range map[string]struct {
			first, second  types.NamespacedName
			whenToTakeOver v1beta1.WhenToTakeOverType
			coOwnership    bool
			takes          bool
			says           string
		}{
			"the platform's takes it from a namespace's": {
				first: types.NamespacedName{Namespace: "ns", Name: "shop"}, second: types.NamespacedName{Name: "web"},
				takes: true, says: "FailedToTakeOver: The object is placed by ClusterResourcePlacement web already (AppliedWork web-work)",
			},
			"the platform's takes it from one that would share it": {
				first: types.NamespacedName{Namespace: "ns", Name: "shop"}, second: types.NamespacedName{Name: "web"}, coOwnership: true,
				takes: true, says: "FailedToTakeOver: The object is placed by ClusterResourcePlacement web already (AppliedWork web-work)",
			},
			"the platform's is not to take anything over": {
				first: types.NamespacedName{Namespace: "ns", Name: "shop"}, second: types.NamespacedName{Name: "web"},
				whenToTakeOver: v1beta1.WhenToTakeOverTypeNever,
				says:           "NotTakenOver: The object was on the member cluster before, and is not taken over (whenToTakeOver is Never): remove it, or set whenToTakeOver to IfNoDiff or Always",
			},
			"a namespace's takes nothing from the platform's": {
				first: types.NamespacedName{Name: "web"}, second: types.NamespacedName{Namespace: "ns", Name: "shop"},
				says: "FailedToTakeOver: The object is placed by ClusterResourcePlacement web already (AppliedWork web-work)",
			},
			"nor from another one": {
				first: types.NamespacedName{Namespace: "ns", Name: "shop"}, second: types.NamespacedName{Namespace: "ns", Name: "web"},
				says: "FailedToTakeOver: The object is placed by ResourcePlacement ns/shop already (AppliedWork ns.shop-work)",
			},
			"the platform's takes nothing from another one": {
				first: types.NamespacedName{Name: "shop"}, second: types.NamespacedName{Name: "web"},
				says: "FailedToTakeOver: The object is placed by ClusterResourcePlacement shop already (AppliedWork shop-work)",
			},
			"names do not make it the same placement": {
				first: types.NamespacedName{Name: "ns.web"}, second: types.NamespacedName{Namespace: "ns", Name: "web"},
				says: "FailedToTakeOver: The object is placed by ClusterResourcePlacement ns.web already (AppliedWork ns.web-0)",
			},
		} {
			t.Run(string(strategy)+"/"+name, func(t *testing.T) {
				f := newFleetOfRivals(t, strategy)
				f.strategy.AllowCoOwnership = tc.coOwnership
				first, second := wellknown.UpstreamWorkName(tc.first.Namespace, tc.first.Name, ""), wellknown.WorkName(tc.second.Namespace, tc.second.Name, "")
				if first == second {
					// An earlier version of the server called it so.
					first = wellknown.UpstreamWorkName(tc.first.Namespace, tc.first.Name, "0")
				}
				f.writeOf(tc.first.Namespace, tc.first.Name, 1, version{first: {"a"}})
				f.settle()
				uid := f.uid("a")
				f.strategy = f.strategy.DeepCopy()
				if tc.whenToTakeOver != "" {
					f.strategy.WhenToTakeOver = tc.whenToTakeOver
				}
				f.writeOf(tc.second.Namespace, tc.second.Name, 2, version{second: {"a"}})
				f.settle()
				winner, loser, value := first, second, f.prefix(tc.first.Namespace)+"v1"
				if tc.takes {
					winner, loser, value = second, first, f.prefix(tc.second.Namespace)+"v2"
				}
				if diff := cmp.Diff([]string{winner}, f.owners("a")); diff != "" {
					t.Errorf("owners (-want +got):\n%s", diff)
				}
				live := f.member.get(t, configMaps, "ns", "a")
				if got, _, _ := unstructured.NestedString(live.Object, "data", "key"); got != value || live.GetUID() != uid {
					t.Errorf("has %s as %s, want %s as %s", got, live.GetUID(), value, uid)
				}
				if got := f.says(loser); got != tc.says {
					t.Errorf("the other one says %q, want %q", got, tc.says)
				}
				if got := f.says(winner); !strings.HasPrefix(got, "ManifestApplied") && !strings.HasPrefix(got, "Applied") {
					t.Errorf("the one that has it says %q", got)
				}
				// Nobody fights over it.
				before := live.GetResourceVersion()
				f.settle()
				if after := f.member.get(t, configMaps, "ns", "a").GetResourceVersion(); after != before {
					t.Errorf("it is written again and again: version %s, then %s", before, after)
				}
			})
		}
	}
}

// A write that was under way when the object was taken makes both its owners.
func TestOfTwoOwnersTheOneOfTheNamespaceLetsGo(t *testing.T) {
	for _, strategy := range bothStrategies {
		t.Run(string(strategy), func(t *testing.T) {
			f := newFleetOfRivals(t, strategy)
			f.strategy.AllowCoOwnership = true
			f.writeOf("ns", "shop", 1, version{"ns.shop-work": {"a"}})
			f.settle()
			refs := f.member.get(t, configMaps, "ns", "a").GetOwnerReferences()
			f.write(1, version{"web-work": {"a"}})
			f.settle()
			f.member.change(t, configMaps, "ns", "a", func(o *unstructured.Unstructured) {
				o.SetOwnerReferences(append(o.GetOwnerReferences(), refs...))
			})
			f.writeOf("ns", "shop", 2, version{"ns.shop-work": {"a"}})
			f.pass("ns.shop-work")
			live := f.member.get(t, configMaps, "ns", "a")
			if got, _, _ := unstructured.NestedString(live.Object, "data", "key"); got != "v1" {
				t.Errorf("the placement of the namespace has written %q", got)
			}
			if diff := cmp.Diff([]string{"web-work", "ns.shop-work"}, f.owners("a")); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
			if got, want := f.says("ns.shop-work"), "FailedToTakeOver: The object is placed by ClusterResourcePlacement web already (AppliedWork web-work)"; got != want {
				t.Errorf("it says %q, want %q", got, want)
			}
			f.pass("web-work")
			if diff := cmp.Diff([]string{"web-work"}, f.owners("a")); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnObjectThatAnotherPlacementHasIsNeverDeleted(t *testing.T) {
	for _, strategy := range bothStrategies {
		for name, letGo := range map[string]func(f *fleetOfParts, namespace, placement, work string){
			"dropped": func(f *fleetOfParts, namespace, placement, work string) {
				f.writeOf(namespace, placement, 2, version{work: {"b"}})
			},
			"removed": func(f *fleetOfParts, namespace, placement, _ string) { f.removeAll(namespace, placement) },
		} {
			for _, tc := range []struct{ first, second types.NamespacedName }{
				{types.NamespacedName{Name: "web"}, types.NamespacedName{Namespace: "ns", Name: "shop"}},
				{types.NamespacedName{Name: "web"}, types.NamespacedName{Name: "shop"}},
				{types.NamespacedName{Namespace: "ns", Name: "web"}, types.NamespacedName{Namespace: "ns", Name: "shop"}},
			} {
				t.Run(fmt.Sprintf("%s/%s by %s, had by %s", strategy, name, tc.first, tc.second), func(t *testing.T) {
					f := newFleetOfRivals(t, strategy)
					first, second := wellknown.WorkName(tc.first.Namespace, tc.first.Name, ""), wellknown.WorkName(tc.second.Namespace, tc.second.Name, "")
					f.writeOf(tc.first.Namespace, tc.first.Name, 1, version{first: {"a", "b"}})
					f.settle()
					uid := f.uid("a")
					f.writeOf(tc.second.Namespace, tc.second.Name, 1, version{second: {"a"}})
					f.settle()
					if diff := cmp.Diff([]string{first}, f.owners("a")); diff != "" {
						t.Fatalf("owners (-want +got):\n%s", diff)
					}
					letGo(f, tc.first.Namespace, tc.first.Name, first)
					f.settle()
					if got := f.uid("a"); got != uid {
						t.Errorf("it was deleted and recreated")
					}
					if diff := cmp.Diff([]string{second}, f.owners("a")); diff != "" {
						t.Errorf("owners (-want +got):\n%s", diff)
					}
					live := f.member.get(t, configMaps, "ns", "a")
					if got, _, _ := unstructured.NestedString(live.Object, "data", "key"); got != f.prefix(tc.second.Namespace)+"v1" {
						t.Errorf("it has %q", got)
					}
					if name == "removed" && f.member.get(t, configMaps, "ns", "b") != nil {
						t.Error("what nobody else has stays")
					}
					f.removeAll(tc.second.Namespace, tc.second.Name)
					f.settle()
					if f.member.get(t, configMaps, "ns", "a") != nil {
						t.Error("it stays when the last placement goes that has it")
					}
				})
			}
		}
	}
}

// A Work that only reports differences is no reason to keep an object.
func TestWhoOnlyReportsDifferencesGetsNothing(t *testing.T) {
	f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
	f.write(1, version{"web-work": {"a", "b"}})
	f.settle()
	f.strategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	f.writeOf("ns", "shop", 1, version{"ns.shop-work": {"a"}})
	f.settle()
	f.strategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeClientSideApply}
	f.write(2, version{"web-work": {"b"}})
	f.settle()
	if f.member.get(t, configMaps, "ns", "a") != nil {
		t.Error("an object that no version has stays")
	}
}

// A Work that has not been looked at yet has nothing on the member that could own an object: it is waited for.
func TestAnObjectWaitsForTheWorkThatGetsIt(t *testing.T) {
	for name, letGo := range map[string]func(f *fleetOfParts){
		"dropped": func(f *fleetOfParts) { f.write(2, version{"web-work": {"b"}}) },
		"removed": func(f *fleetOfParts) { f.removeAll("", "web") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.write(1, version{"web-work": {"a", "b"}})
			f.settle()
			uid := f.uid("a")
			f.writeOf("ns", "shop", 1, version{"ns.shop-work": {"a"}})
			letGo(f)
			f.pass("web-work")
			f.pass("web-work")
			if got := f.uid("a"); got != uid {
				t.Fatal("it was deleted")
			}
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

var (
	rivalsRuns = flag.Int("rivals.runs", 40, "how many random fleets the test of two placements plays")
	rivalsSeed = flag.Uint64("rivals.seed", 0, "the seed of a failure to repeat, 0 for a random one")
)

// TestTwoPlacementsLoseNothingToEachOther plays random versions of a cluster-scoped placement and one of a namespace that have objects in
// common, with kills of server and applier between any two writes, while the member's namespace takes what the one of a namespace places and
// then does not. An object that a placement goes on having keeps its uid, whoever owns it, and in the end the cluster-scoped one has what
// both have. The one of a namespace goes on having what it owns where the namespace takes nothing, and gets nothing else.
func TestTwoPlacementsLoseNothingToEachOther(t *testing.T) {
	seed := *rivalsSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for run := range randomRuns(*rivalsRuns) {
		strategy := bothStrategies[run%len(bothStrategies)]
		name := fmt.Sprintf("seed %d, run %d, %s", seed, run, strategy)
		playRivals(t, name, rand.New(rand.NewPCG(seed, uint64(run))), strategy)
		if t.Failed() {
			return
		}
	}
}

func playRivals(t *testing.T, name string, random *rand.Rand, strategy v1beta1.ApplyStrategyType) {
	f := newFleetOfRivals(t, strategy)
	defer func() { f.applier.watches.stopAll() }()
	placements := []types.NamespacedName{{Name: "web"}, {Namespace: "ns", Name: "shop"}}
	versions, uids := make([]version, len(placements)), map[string]types.UID{}
	takes := true
	// owned are the objects that the one of a namespace has owned since the namespace takes nothing.
	var owned []string
	ownedNow := func() []string {
		return slices.DeleteFunc(f.objectNames(), func(object string) bool {
			return !slices.ContainsFunc(f.owners(object), func(name string) bool { return strings.HasPrefix(name, "ns.shop-") })
		})
	}
	var story []string
	fail := func(format string, args ...any) {
		t.Fatalf("%s: %s:\n%s", name, fmt.Sprintf(format, args...), strings.Join(story, "\n"))
	}
	// remains are the objects that one in a namespace has whatever the cluster-scoped one does, in its version before and the next one.
	remains := func(objects []string, before, next version) []string {
		return slices.DeleteFunc(objects, func(object string) bool {
			owners := f.owners(object)
			mine := len(owners) == 1 && strings.HasPrefix(owners[0], "ns.shop-")
			return !takes && (!mine || slices.Contains(before.objects(), object) || slices.Contains(next.objects(), object))
		})
	}
	// goesOn are the objects that a placement has had and still has.
	goesOn := func(i int, v version) []string {
		var kept []string
		if versions[i] == nil {
			return nil
		}
		for _, object := range versions[i].objects() {
			if slices.Contains(v.objects(), object) {
				kept = append(kept, object)
			}
		}
		return kept
	}
	check := func(wanted []string) {
		for _, object := range ownedNow() {
			if !takes && !slices.Contains(owned, object) {
				fail("%s was given to one whose things the namespace does not take", object)
			}
		}
		owned = ownedNow()
		for object, uid := range uids {
			if !slices.Contains(wanted, object) {
				continue
			}
			if live := f.member.get(t, configMaps, "ns", object); live == nil || live.GetUID() != uid {
				fail("%s was deleted", object)
			}
		}
	}
	passes := func(wanted []string) {
		for range random.IntN(6) {
			works := f.works()
			if len(works) == 0 {
				return
			}
			work := works[random.IntN(len(works))].Name
			if random.IntN(2) == 0 {
				f.left = random.IntN(4)
			}
			f.pass(work)
			killed := f.left == 0
			f.left = -1
			if killed || random.IntN(4) == 0 {
				f.restart()
			}
			story = append(story, fmt.Sprintf("  pass of %s, killed %t", work, killed))
			check(wanted)
		}
	}
	settled := func() {
		for i, p := range placements {
			for try := 0; versions[i] != nil && !f.writeOf(p.Namespace, p.Name, 100, versions[i]); try++ {
				if try > 50 {
					fail("the version of %s is never written", p)
				}
				f.settle()
			}
		}
		f.settle()
		f.settle()
		check(nil)
		clear(uids)
		for object, want := range winners(placements, versions) {
			if !takes && strings.HasPrefix(want, "ns.shop-") && f.owners(object) == nil {
				if f.member.get(t, configMaps, "ns", object) != nil {
					fail("%s is nobody's", object)
				}
				continue
			}
			if diff := cmp.Diff([]string{want}, f.owners(object)); diff != "" {
				fail("owners of %s (-want +got):\n%s", object, diff)
			}
			uids[object] = f.uid(object)
		}
		for _, object := range f.objectNames() {
			if _, wanted := uids[object]; !wanted {
				fail("%s stays, of %v", object, f.owners(object))
			}
		}
		story = append(story, "  settled")
	}
	for number := range 3 + random.IntN(5) {
		if random.IntN(3) == 0 {
			takes = !takes
			f.consent(takes)
			owned = ownedNow()
			story = append(story, fmt.Sprintf("the namespace takes what one in a namespace places: %t", takes))
		}
		i := random.IntN(len(placements))
		p, v := placements[i], version{}
		for part, objects := range randomVersion(random) {
			_, part, _ = strings.Cut(part, "-")
			if part == "work" {
				part = ""
			}
			v[wellknown.WorkName(p.Namespace, p.Name, part)] = objects
		}
		story = append(story, fmt.Sprintf("version %d of %s: %v", number, p, v))
		wanted := goesOn(i, v)
		if i == 1 {
			wanted = append(remains(wanted, versions[0], nil), versions[0].objects()...)
		} else {
			wanted = append(wanted, remains(versions[1].objects(), versions[0], v)...)
		}
		versions[i] = v
		for try := 0; ; try++ {
			if try < 10 {
				f.left = random.IntN(5)
			}
			done := f.writeOf(p.Namespace, p.Name, number, v)
			f.left = -1
			passes(wanted)
			if done || try > 50 {
				break
			}
		}
		// What is not settled may go and come again.
		for object := range uids {
			if !slices.Contains(wanted, object) {
				delete(uids, object)
			}
		}
		if random.IntN(3) > 0 {
			check(wanted)
			before := map[string]types.UID{}
			for object, uid := range uids {
				before[object] = uid
			}
			settled()
			for object, uid := range before {
				if uids[object] != uid {
					fail("%s was deleted on the way", object)
				}
			}
		}
	}
	settled()
	first := random.IntN(len(placements))
	for _, i := range []int{first, 1 - first} {
		story = append(story, fmt.Sprintf("%s is deleted", placements[i]))
		var wanted []string
		if wanted = versions[1-i].objects(); i == 0 {
			wanted = remains(wanted, versions[0], nil)
		}
		versions[i] = nil
		f.removeAll(placements[i].Namespace, placements[i].Name)
		passes(wanted)
		f.settle()
		f.settle()
		check(wanted)
	}
	if left := f.objectNames(); len(left) > 0 {
		fail("left when all Works are deleted: %v", left)
	}
}

// winners are the Works that own each object in the end.
func winners(placements []types.NamespacedName, versions []version) map[string]string {
	owners := map[string]string{}
	// The cluster-scoped one is the first.
	for i := range slices.Backward(placements) {
		for work, objects := range versions[i] {
			for _, object := range objects {
				owners[object] = work
			}
		}
	}
	return owners
}

// Two writes that were under way at once, or an earlier version of the server, make two placements of the same scope owners of an object.
func TestOfTwoOwnersOfTheSameScopeOneHasTheObject(t *testing.T) {
	for _, strategy := range bothStrategies {
		for _, coOwnership := range []bool{true, false} {
			for _, namespace := range []string{"", "ns"} {
				t.Run(fmt.Sprintf("%s/co-ownership=%t/%s", strategy, coOwnership, namespace), func(t *testing.T) {
					f := newFleetOfRivals(t, strategy)
					f.strategy.AllowCoOwnership = coOwnership
					first, second := wellknown.WorkName(namespace, "web", ""), wellknown.WorkName(namespace, "shop", "")
					f.writeOf(namespace, "shop", 2, version{second: {"b"}})
					f.settle()
					refs := f.member.get(t, configMaps, "ns", "b").GetOwnerReferences()
					f.writeOf(namespace, "web", 1, version{first: {"a"}})
					f.settle()
					uid := f.uid("a")
					f.member.change(t, configMaps, "ns", "a", func(o *unstructured.Unstructured) {
						o.SetOwnerReferences(append(o.GetOwnerReferences(), refs...))
					})
					f.writeOf(namespace, "shop", 2, version{second: {"a"}})
					f.settle()
					if diff := cmp.Diff([]string{first}, f.owners("a")); diff != "" {
						t.Errorf("owners (-want +got):\n%s", diff)
					}
					live := f.member.get(t, configMaps, "ns", "a")
					if got, _, _ := unstructured.NestedString(live.Object, "data", "key"); got != f.prefix(namespace)+"v1" || live.GetUID() != uid {
						t.Errorf("has %s as %s", got, live.GetUID())
					}
					f.settle()
					if after := f.member.get(t, configMaps, "ns", "a").GetResourceVersion(); after != live.GetResourceVersion() {
						t.Errorf("it is written again and again: version %s, then %s", live.GetResourceVersion(), after)
					}
					if got := f.says(first); !strings.HasPrefix(got, "Applied") {
						t.Errorf("the one that has it says %q", got)
					}
					if got := f.says(second); !strings.HasPrefix(got, "FailedToTakeOver: The object is placed by") {
						t.Errorf("the other one says %q", got)
					}
				})
			}
		}
	}
}

// What stayed at an adoption is let go of as well when its Work goes, and somebody else may have it.
func TestWhatWasKeptSinceAnAdoptionGoesToThePlacementThatHasIt(t *testing.T) {
	for _, namespace := range []string{"", "ns"} {
		t.Run("in "+namespace, func(t *testing.T) {
			f := newFleetOfRivals(t, v1beta1.ApplyStrategyTypeClientSideApply)
			f.write(1, version{"web-work": {"a", "b", "c"}})
			f.settle()
			uid := f.uid("a")
			f.loseStore()
			f.write(2, version{"web-work": {"b"}})
			f.settle()
			f.strategy.WhenToTakeOver = v1beta1.WhenToTakeOverTypeNever
			shop := wellknown.WorkName(namespace, "shop", "")
			f.writeOf(namespace, "shop", 1, version{shop: {"a"}})
			f.settle()
			if diff := cmp.Diff([]string{"web-work"}, f.owners("a")); diff != "" {
				t.Fatalf("owners (-want +got):\n%s", diff)
			}
			f.removeAll("", "web")
			f.settle()
			if diff := cmp.Diff([]string{shop}, f.owners("a")); diff != "" || f.uid("a") != uid {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
			if f.member.get(t, configMaps, "ns", "c") == nil || f.member.get(t, configMaps, "ns", "b") != nil {
				t.Error("what was kept for nobody is to stay, and what the Work had to go")
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// historySeeds are how many histories are played; more of them found nothing that these do not.
const historySeeds = 150

// historyVersions are versions between whose Works objects move. In unusableVersion an envelope is no good.
var historyVersions = map[string][]string{
	"web-1-snapshot": {configMapJSON, wrapping("f", configMap("z"))},
	unusableVersion:  {configMapJSON, configMap("z"), wrapping("bad", clusterRole)},
	"web-3-snapshot": {configMapJSON, configMap("y"), wrapping("f", configMap("z")), wrapping("e", configMap("a"))},
	"web-4-snapshot": {configMap("y"), wrapping("e", configMap("z"))},
}

const unusableVersion = "web-2-snapshot"

// historyOverrides are the lists of overrides that a version comes with.
var historyOverrides = [][]string{nil, {"test-namespace/o-0"}, {"test-namespace/o-1"}}

func historyBench(t *testing.T) *bench {
	b := newBench(t, "")
	for name, resources := range historyVersions {
		b.snapshot(name, nil, resources...)
	}
	b.configMapOverride("o-0", rule("", `add /data {"o":"0"}`))
	b.configMapOverride("o-1", rule("", `add /data {"o":"1"}`))
	return b
}

// content is what the Works hold, by their names.
func (b *bench) content() string {
	var all []string
	for _, w := range b.works() {
		line := w.Name + ":"
		for _, m := range w.Spec.Workload.Manifests {
			line += " " + string(m.Raw)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// settleFailing is settle where some Works cannot be written, which the binding's status tells.
func (b *bench) settleFailing() {
	for range 4 {
		b.cacheUp()
		_, _ = b.Controller.reconcile(b.t.Context(), b.key("web-member1"))
		b.clock.Step(patience)
		for len(b.events.Events) > 0 {
			<-b.events.Events
		}
	}
	b.cacheUp()
}

// Whatever a binding asked for before, and whichever Works could not be written, once it says that all Works hold a version they hold what they would
// on a cluster that never had another.
func TestWorksHoldWhatTheBindingSaysWhateverItAskedForBefore(t *testing.T) {
	ask := func(version string, overrides int, way *v1beta1.ApplyStrategy) func(v1beta1.BindingObject) {
		return func(o v1beta1.BindingObject) {
			asking := o.DeepCopyObject().(v1beta1.BindingObject)
			named(historyOverrides[overrides]...)(asking)
			asking.BindingSpec().ResourceSnapshotName, asking.BindingSpec().ApplyStrategy = version, way
			bindingrules.Become(o, asking.BindingSpec())
		}
	}
	expected := map[string]string{}
	want := func(version string, overrides int) string {
		key := fmt.Sprint(version, overrides)
		if expected[key] == "" {
			b := historyBench(t)
			b.binding(ask(version, overrides, nil))
			b.settle()
			expected[key] = b.content()
		}
		return expected[key]
	}
	versions := slices.Sorted(maps.Keys(historyVersions))
	for seed := range uint64(historySeeds) {
		random := rand.New(rand.NewPCG(seed, 0))
		b := historyBench(t)
		failing, allFail := map[string]bool{}, false
		for _, verb := range []string{"create", "update"} {
			b.api.PrependReactor(verb, "works", func(a clienttesting.Action) (bool, runtime.Object, error) {
				work := a.(clienttesting.CreateAction).GetObject().(*v1beta1.Work)
				return allFail || failing[work.Name], nil, errors.New("this Work cannot be written")
			})
		}
		var history []string
		happens := func(what string, args ...any) { history = append(history, fmt.Sprintf(what, args...)) }
		fail := func() {
			clear(failing)
			allFail = random.IntN(8) == 0
			for _, work := range []string{"web-work", b.workOf("e"), b.workOf("f")} {
				if random.IntN(4) == 0 {
					failing[work] = true
				}
			}
		}
		version, overrides := versions[random.IntN(len(versions))], random.IntN(len(historyOverrides))
		first, firstOverrides := version, overrides
		fail()
		b.binding(ask(version, overrides, nil))
		happens("asks for %s with overrides %d, failing %v %t", version, overrides, failing, allFail)
		b.settleFailing()
		for more := 2 + random.IntN(4); more > 0; more-- {
			fail()
			if more == 1 {
				clear(failing)
				allFail = false
			} else if random.IntN(4) == 0 {
				for _, state := range []v1beta1.BindingState{v1beta1.BindingStateUnscheduled, v1beta1.BindingStateBound} {
					b.edit(func(o v1beta1.BindingObject) {
						spec := o.BindingSpec().DeepCopy()
						spec.State = state
						bindingrules.Become(o, spec)
						o.SetGeneration(o.GetGeneration() + 1)
					})
					b.settleFailing()
				}
				happens("is let go of and picked again, failing %v %t", failing, allFail)
				continue
			}
			version, overrides = versions[random.IntN(len(versions))], random.IntN(len(historyOverrides))
			if random.IntN(2) == 0 {
				// To go back is what most goes wrong with.
				version, overrides = first, firstOverrides
			}
			var way *v1beta1.ApplyStrategy
			if more > 1 && random.IntN(3) == 0 {
				way = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
			}
			b.change(ask(version, overrides, way))
			happens("asks for %s with overrides %d, compares %t, failing %v %t", version, overrides, way != nil, failing, allFail)
			b.settleFailing()
		}
		if version == unusableVersion {
			continue
		}
		if got := b.content(); b.synchronized() != version || got != want(version, overrides) {
			t.Fatalf("seed %d: %s\nThe record says %q, the binding says %v, the Works hold\n%s\nwant\n%s", seed, strings.Join(history, "\n"), b.synchronized(), b.said(), got,
				want(version, overrides))
		}
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// configMap is a manifest in the test namespace.
func configMap(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"test-namespace"}}`, name)
}

const (
	clusterRole = `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"r"}}`
	pod         = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"test-namespace"}}`
)

// wrapping is an envelope of the test namespace with manifests, under keys in that order.
func wrapping(name string, manifests ...string) string {
	return wrappingAs("ResourceEnvelope", fmt.Sprintf(`"name":%q,"namespace":"test-namespace"`, name), manifests...)
}

func wrappingAs(kind, metadata string, manifests ...string) string {
	var data []string
	for i, m := range manifests {
		data = append(data, fmt.Sprintf(`"k%03d":%s`, i, m))
	}
	return fmt.Sprintf(`{"apiVersion":"placement.kubernetes-fleet.io/v1","kind":%q,"metadata":{%s},"data":{%s}}`, kind, metadata, strings.Join(data, ","))
}

// workOf is the name of the Work of an envelope of the test namespace.
func (b *bench) workOf(name string) string {
	return wellknown.WorkName(b.namespace, "web", wellknown.EnvelopePart("ResourceEnvelope", "test-namespace", name))
}

// holding are the manifests of each Work, by what it is called: "work", the name of its envelope or the number of its part.
func (b *bench) holding() map[string][]string {
	found := map[string][]string{}
	for _, work := range b.works() {
		key := work.Name[strings.LastIndexByte(work.Name, '-')+1:]
		if id := envelopeOf(&work); id != nil {
			key = id.Name
		}
		found[key] = []string{}
		for _, m := range work.Spec.Workload.Manifests {
			id, ok := identityOf(m.Raw)
			if !ok {
				b.t.Errorf("Work %s has %s", work.Name, m.Raw)
			}
			found[key] = append(found[key], id.name.Name)
		}
	}
	return found
}

func (b *bench) wantHolding(want map[string][]string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.holding()); diff != "" {
		b.t.Errorf("Works (-want +got):\n%s", diff)
	}
}

// version has the cluster get another version.
func (b *bench) version(number int, resources ...string) {
	b.t.Helper()
	name := fmt.Sprintf("web-%d-snapshot", number)
	b.snapshot(name, nil, resources...)
	b.change(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = name })
	b.settle()
}

func (b *bench) last() string {
	said := b.said()
	return said[len(said)-1]
}

func TestAnEnvelopeHasAWorkOfItsOwn(t *testing.T) {
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			long := strings.Repeat("l", 64)
			b.snapshot("web-1-snapshot", nil, configMap("plain"), wrapping("e", configMap("b"), configMap("a")), wrapping(long, configMap("c")), wrapping("empty"))
			b.binding(nil)
			b.settle()
			b.wantHolding(map[string][]string{"work": {"plain"}, "e": {"b", "a"}, long: {"c"}, "empty": {}})
			first, hashes := b.works()[0], ""
			for _, work := range b.works() {
				if work.Annotations[wellknown.NumberOfWorksAnnotation] != "4" || work.Annotations[wellknown.ParentSnapshotNameAnnotation] != "web-1-snapshot" ||
					work.Labels[wellknown.ParentBindingLabel] != "web-member1" || work.Labels[wellknown.ParentSnapshotIndexLabel] != "1" {
					t.Errorf("Work %s says %v, %v", work.Name, work.Labels, work.Annotations)
				}
				if hash := wellknown.EnvelopeHash(scope.namespace, "web", work.Name); hash != "" {
					hashes += "," + hash
				}
			}
			if first.Name != scope.prefix+"-work" || first.Annotations[wellknown.EnvelopeWorksAnnotation] != strings.TrimPrefix(hashes, ",") {
				t.Errorf("the first Work %s has the envelopes %s, want %s", first.Name, first.Annotations[wellknown.EnvelopeWorksAnnotation], hashes)
			}
			for _, tc := range []struct{ name, label, annotation string }{{"e", "e", ""}, {long, "", long}} {
				i := slices.IndexFunc(b.works(), func(w v1beta1.Work) bool { return w.Name == b.workOf(tc.name) })
				if i < 0 {
					t.Fatalf("%s has no Work %s", tc.name, b.workOf(tc.name))
				}
				labels := b.works()[i].Labels
				if labels["kubernetes-fleet.io/envelope-work"] != "ResourceEnvelope" || labels["kubernetes-fleet.io/envelope-namespace"] != "test-namespace" ||
					labels["kubernetes-fleet.io/envelope-name"] != tc.label || b.works()[i].Annotations["kubernetes-fleet.io/envelope-name"] != tc.annotation {
					t.Errorf("Work of %s says %v, %v", tc.name, labels, b.works()[i].Annotations)
				}
			}

			// Like a part that is no longer there.
			b.version(2, configMap("plain"), configMap("a"))
			b.wantHolding(map[string][]string{"work": {"plain", "a"}})
			if work := b.works()[0]; work.Annotations[wellknown.NumberOfWorksAnnotation] != "1" || work.Annotations[wellknown.EnvelopeWorksAnnotation] != "" {
				t.Errorf("Work %s says %v", work.Name, work.Annotations)
			}
		})
	}
	t.Run("of no namespace", func(t *testing.T) {
		b := newBench(t, "")
		b.snapshot("web-1-snapshot", nil, wrappingAs("ClusterResourceEnvelope", `"name":"e"`, clusterRole))
		b.binding(nil)
		b.settle()
		b.wantHolding(map[string][]string{"work": {}, "e": {"r"}})
		work := b.works()[1]
		if _, has := work.Labels[wellknown.EnvelopeNamespaceLabel]; has || work.Labels[wellknown.EnvelopeTypeLabel] != "ClusterResourceEnvelope" ||
			work.Name != "web-work-envelope-219e199518acb7c8" {
			t.Errorf("Work %s says %v", work.Name, work.Labels)
		}
	})
}

func TestAnEnvelopeOfAPartHasOneWorkWhereverItMoves(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2", wellknown.ResourceHashAnnotation: "h"}, configMap("a"), wrapping("e", configMap("b")))
	b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, configMap("c"), wrapping("f", configMap("d")),
		strings.Replace(wrapping("e", configMap("x")), "/v1", "/v1beta1", 1))
	b.binding(nil)
	b.settle()
	b.wantHolding(map[string][]string{"work": {"a"}, "0": {"c"}, "e": {"b"}, "f": {"d"}})
}

func TestAnEnvelopeThatCannotBeUsedKeepsNothingElseBack(t *testing.T) {
	for _, scope := range bothScopes {
		t.Run(scope.name, func(t *testing.T) {
			b := newBench(t, scope.namespace)
			b.snapshot("web-1-snapshot", nil, configMap("a"), configMap("moved"), wrapping("e", configMap("b")), wrapping("gone", configMap("c")))
			b.binding(nil)
			b.settle()
			before := b.works()

			b.version(2, configMap("a"), configMap("d"), wrapping("e", configMap("moved"), pod), wrapping("bad", clusterRole), wrapping("f", configMap("g")))
			b.wantHolding(map[string][]string{"work": {"a", "d"}, "e": {"b"}, "gone": {"c"}, "f": {"g"}})
			for _, work := range b.works() {
				held := slices.ContainsFunc(before, func(w v1beta1.Work) bool { return w.Name == work.Name && w.Name != scope.prefix+"-work" })
				// As long as one is missing, the applier takes nothing for dropped.
				want := "web-2-snapshot 4"
				if held {
					want = "web-1-snapshot 3"
				}
				if got := work.Annotations[wellknown.ParentSnapshotNameAnnotation] + " " + work.Annotations[wellknown.NumberOfWorksAnnotation]; got != want || work.DeletionTimestamp != nil {
					t.Errorf("Work %s is of %s, want %s", work.Name, got, want)
				}
			}
			const why = "k001 in envelope test-namespace/e: Pod test-namespace/p is of a kind that is never placed: leave it out"
			if want := "WorkSynchronized=False SyncWorkFailed: Failed to synchronize the work to the latest: " + why +
				" (and 1 more envelope). All else is placed, and nothing is removed from the cluster until the envelope can be used"; b.last() != want {
				t.Errorf("the binding says\n%s, want\n%s", b.last(), want)
			}
			status := b.current().BindingStatus()
			synced := meta.FindStatusCondition(status.Conditions, v1beta1.BindingWorkSynchronized)
			envelope := func(name string) *v1beta1.EnvelopeIdentifier {
				return &v1beta1.EnvelopeIdentifier{Type: "ResourceEnvelope", Namespace: "test-namespace", Name: name}
			}
			condition := metav1.Condition{Type: "Applied", Status: "False", Reason: "EnvelopeUnusable", ObservedGeneration: 3, LastTransitionTime: synced.LastTransitionTime}
			ofPod, ofRole := condition, condition
			ofPod.Message = why
			ofRole.Message = "a cluster scope object k000 (r) has been wrapped in a resource envelope test-namespace/bad: set metadata.namespace to test-namespace, " +
				"or use a ClusterResourceEnvelope for an object without a namespace"
			want := []v1beta1.FailedResourcePlacement{
				{ResourceIdentifier: v1beta1.ResourceIdentifier{Version: "v1", Kind: "Pod", Namespace: "test-namespace", Name: "p", Envelope: envelope("e")}, Condition: ofPod},
				{ResourceIdentifier: v1beta1.ResourceIdentifier{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "r", Envelope: envelope("bad")}, Condition: ofRole},
			}
			if diff := cmp.Diff(want, status.FailedPlacements); diff != "" {
				t.Errorf("failed placements (-want +got):\n%s", diff)
			}
			generation := b.works()[0].Generation
			b.settle()
			if b.works()[0].Generation != generation {
				t.Error("a Work is written again and again")
			}

			b.version(3, configMap("a"), configMap("d"), wrapping("e", configMap("moved")), wrapping("f", configMap("g")))
			b.wantHolding(map[string][]string{"work": {"a", "d"}, "e": {"moved"}, "f": {"g"}})
			for _, work := range b.works() {
				if got := work.Annotations[wellknown.ParentSnapshotNameAnnotation] + " " + work.Annotations[wellknown.NumberOfWorksAnnotation]; got != "web-3-snapshot 3" {
					t.Errorf("Work %s is of %s", work.Name, got)
				}
			}
			if failed := b.current().BindingStatus().FailedPlacements; len(failed) > 0 {
				t.Errorf("failed still: %v", failed)
			}
		})
	}
}

func TestAnEnvelopeThatCannotBeReadIsNamedByItself(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMap("a"), wrapping("e", `{"Kind":"Secret","data":{"p":"hunter2"}}`))
	b.binding(nil)
	b.settle()
	b.wantHolding(map[string][]string{"work": {"a"}})
	failed := b.current().BindingStatus().FailedPlacements
	if len(failed) != 1 || failed[0].Kind != "ResourceEnvelope" || failed[0].Name != "e" || failed[0].Envelope.Name != "e" {
		t.Errorf("failed: %+v", failed)
	}
	if text := fmt.Sprint(b.said(), failed); strings.Contains(text, "hunter2") {
		t.Errorf("what a Secret holds is shown: %s", text)
	}
}

// Two Works that hold an object both would wait for each other, and neither would be applied.
func TestWhatIsTakenOutOfAnEnvelopeThatCannotBeUsedIsNotHeldTwice(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMap("a"), wrapping("e", configMap("b"), configMap("c")))
	b.binding(nil)
	b.settle()
	b.version(2, configMap("a"), configMap("b"), wrapping("e", pod))
	b.wantHolding(map[string][]string{"work": {"a", "b"}, "e": {"c"}})
}

func TestNothingIsWrittenForAnUnusableEnvelopeBeforeWhatGoesIsGone(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMap("a"), wrapping("gone", configMap("b")))
	b.binding(nil)
	b.settle()
	works := b.api.PlacementV1beta1().Works("fleet-member-member1")
	going, err := works.Get(t.Context(), b.workOf("gone"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	going.DeletionTimestamp = &metav1.Time{Time: testTime}
	if _, err := works.Update(t.Context(), going, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.version(2, configMap("a"), configMap("c"), wrapping("e", pod))
	if work := b.works()[0]; work.Annotations[wellknown.ParentSnapshotNameAnnotation] != "web-1-snapshot" {
		t.Error("a version that never has all its Works is written, and the Work that goes waits for them")
	}
	if err := b.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("works"), going.Namespace, going.Name); err != nil {
		t.Fatal(err)
	}
	b.settle()
	b.wantHolding(map[string][]string{"work": {"a", "c"}})
}

func TestAVersionHasABoundOfEnvelopes(t *testing.T) {
	b := newBench(t, "")
	var resources []string
	for i := range 1001 {
		resources = append(resources, wrapping("e"+strconv.Itoa(i), configMap("a"+strconv.Itoa(i))))
	}
	b.snapshot("web-1-snapshot", nil, resources...)
	b.binding(nil)
	b.settle()
	if works := b.works(); len(works) > 0 {
		t.Errorf("%d Works", len(works))
	}
	if want := `resource snapshot "web-1-snapshot" has 1001 envelopes, and no version may have more than 1000: divide them among several placements`; !strings.HasSuffix(b.last(), want) {
		t.Errorf("the binding says %s, want %s", b.last(), want)
	}
}

func TestOverridesChangeWhatEnvelopesCarry(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMap("plain"), wrapping("e", configMapJSON, configMap("other")))
	b.clusterOverride("a-0", rule("", `add /metadata/labels {"by":"platform"}`))
	b.configMapOverride("b-0", rule("", `add /data {"a":"b"}`))
	b.binding(named("a-0", "test-namespace/b-0"))
	b.settle()
	labeled := func(name, rest string) string {
		return fmt.Sprintf(`{"apiVersion":"v1",%s"kind":"ConfigMap","metadata":{"labels":{"by":"platform"},"name":%q,"namespace":"test-namespace"}}`, rest, name)
	}
	b.wantManifests(labeled("plain", ""), labeled("test-cm", `"data":{"a":"b"},`), labeled("other", ""))
	b.wantOverridden(overridden)

	b.configMapOverride("b-1", drop(""))
	b.change(named("test-namespace/b-1"))
	b.settle()
	b.wantHolding(map[string][]string{"work": {"plain"}, "e": {"other"}})
}

func TestAnOverrideOfAnEnvelopeItselfDoesNothing(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, wrapping("e", configMapJSON))
	s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: "b-0"}}
	s.Spec.OverrideSpec.ResourceSelectors = []v1beta1.ResourceSelector{{Group: v1beta1.GroupName, Version: "v1", Kind: "ResourceEnvelope", Name: "e"}}
	s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{drop("")}}
	b.add(s)
	b.binding(named("test-namespace/b-0"))
	b.settle()
	b.wantHolding(map[string][]string{"work": {}, "e": {"test-cm"}})
}

func TestAnOverrideThatDoesNotFitKeepsBackItsEnvelopeAlone(t *testing.T) {
	b := newBench(t, "test-namespace")
	b.snapshot("web-1-snapshot", nil, configMap("plain"), wrapping("e", configMapJSON), wrapping("f", configMap("other")))
	b.configMapOverride("b-0", rule("", `add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region}"}`))
	b.binding(named("test-namespace/b-0"))
	b.settle()
	b.wantHolding(map[string][]string{"work": {"plain"}, "f": {"other"}})
	want := failed + `failed to apply overrides to ConfigMap "test-cm" in namespace "test-namespace" from envelope test-namespace/e: ` +
		`ResourceOverrideSnapshot "test-namespace/b-0" on ConfigMap "test-namespace/test-cm" in cluster member1: add /data: the cluster has no label "region"` +
		`. All else is placed, and nothing is removed from the cluster until the envelope can be used`
	if b.last() != want {
		t.Errorf("the binding says\n%s, want\n%s", b.last(), want)
	}
	if failed := b.current().BindingStatus().FailedPlacements; len(failed) != 1 || failed[0].Name != "test-cm" || failed[0].Envelope.Name != "e" {
		t.Errorf("failed: %+v", failed)
	}

	b.label(map[string]string{"region": "eu"})
	b.settle()
	b.wantHolding(map[string][]string{"work": {"plain"}, "f": {"other"}, "e": {"test-cm"}})
	b.wantOverridden(overridden)
}

func TestWhatComesOfAnEnvelopeSaysSoInTheStatus(t *testing.T) {
	failing := metav1.Condition{Type: "Applied", Status: "False", Reason: "ManifestApplyFailed"}
	manifest := v1beta1.ManifestCondition{
		Identifier: v1beta1.WorkResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: "ns", Name: "c"}, Conditions: []metav1.Condition{failing},
		DriftDetails: &v1beta1.DriftDetails{}, DiffDetails: &v1beta1.DiffDetails{},
	}
	work := func(labels map[string]string) *v1beta1.Work {
		return carrying(&v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Generation: 1, Labels: labels}, Status: v1beta1.WorkStatus{
			Conditions:         []metav1.Condition{{Type: "Applied", Status: "False", ObservedGeneration: 1}},
			ManifestConditions: []v1beta1.ManifestCondition{manifest},
		}})
	}
	of := func(name string) map[string]string {
		return map[string]string{wellknown.EnvelopeTypeLabel: "ResourceEnvelope", wellknown.EnvelopeNamespaceLabel: "ns", wellknown.EnvelopeNameLabel: name}
	}
	var status v1beta1.ResourceBindingStatus
	collect(&status, []*v1beta1.Work{work(of("f")), work(of("e")), work(nil)})
	var got []string
	for i := range status.FailedPlacements {
		ids := []*v1beta1.EnvelopeIdentifier{status.FailedPlacements[i].Envelope, status.DriftedPlacements[i].Envelope, status.DiffedPlacements[i].Envelope}
		for _, id := range ids {
			if id == nil {
				got = append(got, "none")
			} else {
				got = append(got, fmt.Sprintf("%s %s/%s", id.Type, id.Namespace, id.Name))
			}
		}
	}
	e, f := "ResourceEnvelope ns/e", "ResourceEnvelope ns/f"
	if diff := cmp.Diff([]string{"none", "none", "none", e, e, e, f, f, f}, got); diff != "" {
		t.Errorf("envelopes (-want +got):\n%s", diff)
	}
}

// What a Work has let go of, since another one had it meanwhile, is in it again once its version is asked for again.
func TestAWorkThatHasLetGoOfAnObjectHasItAgainWithItsVersion(t *testing.T) {
	for name, overridden := range map[string]bool{"without overrides": false, "with overrides": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			b.snapshot("web-1-snapshot", nil, configMapJSON, wrapping("f", configMap("z")))
			b.snapshot("web-2-snapshot", nil, configMapJSON, configMap("z"), wrapping("bad", clusterRole))
			b.configMapOverride("o-0", rule("", `add /data {"o":"1"}`))
			b.binding(func(o v1beta1.BindingObject) {
				if overridden {
					named("test-namespace/o-0")(o)
				}
			})
			b.settle()
			if b.synchronized() != "web-1-snapshot" {
				t.Fatalf("the binding says %v", b.said())
			}
			b.change(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-2-snapshot" })
			b.settle()
			if !strings.Contains(b.last(), "WorkSynchronized=False SyncWorkFailed") || len(b.holding()["f"]) != 0 {
				t.Fatalf("the Works are %v, and the binding says %v", b.holding(), b.said())
			}
			b.change(func(o v1beta1.BindingObject) { o.BindingSpec().ResourceSnapshotName = "web-1-snapshot" })
			b.settle()
			if got := b.holding()["f"]; len(got) != 1 || got[0] != "z" {
				t.Errorf("the Works are %v, and the binding says %v", b.holding(), b.said())
			}
		})
	}
}

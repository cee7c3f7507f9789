// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// rule is one for all clusters, or for those of a region.
func rule(region string, steps ...string) v1beta1.OverrideRule {
	r := v1beta1.OverrideRule{ClusterSelector: &v1beta1.ClusterSelector{}, OverrideType: v1beta1.JSONPatchOverrideType}
	if region != "" {
		r.ClusterSelector.ClusterSelectorTerms = []v1beta1.ClusterSelectorTerm{{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"region": region}}}}
	}
	for _, s := range steps {
		op, rest, _ := strings.Cut(s, " ")
		path, value, _ := strings.Cut(rest, " ")
		step := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOperator(op), Path: path}
		step.Value.Raw = []byte(value)
		r.JSONPatchOverrides = append(r.JSONPatchOverrides, step)
	}
	return r
}

func drop(region string) v1beta1.OverrideRule {
	r := rule(region)
	r.OverrideType = v1beta1.DeleteOverrideType
	return r
}

// clusterOverride makes a version of an override of the Namespace.
func (b *bench) clusterOverride(name string, rules ...v1beta1.OverrideRule) {
	s := &v1beta1.ClusterResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.OverrideSpec.ClusterResourceSelectors = []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: "test-namespace"}}
	s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: rules}
	b.add(s)
}

// configMapOverride makes a version of an override of the ConfigMap.
func (b *bench) configMapOverride(name string, rules ...v1beta1.OverrideRule) {
	s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: name}}
	s.Labels = map[string]string{wellknown.ParentOverrideLabel: name[:strings.LastIndexByte(name, '-')]}
	s.Spec.OverrideSpec.ResourceSelectors = []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "test-cm"}}
	s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: rules}
	b.add(s)
}

// named has a binding name overrides, those with a slash namespaced.
func named(names ...string) func(v1beta1.BindingObject) {
	return func(b v1beta1.BindingObject) {
		spec := b.BindingSpec()
		spec.ClusterResourceOverrideSnapshots, spec.ResourceOverrideSnapshots = nil, nil
		for _, name := range names {
			if namespace, name, ok := strings.Cut(name, "/"); ok {
				spec.ResourceOverrideSnapshots = append(spec.ResourceOverrideSnapshots, v1beta1.NamespacedName{Namespace: namespace, Name: name})
			} else {
				spec.ClusterResourceOverrideSnapshots = append(spec.ClusterResourceOverrideSnapshots, namespace)
			}
		}
	}
}

func (b *bench) label(labels map[string]string) {
	b.t.Helper()
	clusters := b.api.ClusterV1beta1().MemberClusters()
	member, err := clusters.Get(b.t.Context(), "member1", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	member.Labels = labels
	if _, err := clusters.Update(b.t.Context(), member, metav1.UpdateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// change edits the binding as a rollout does.
func (b *bench) change(f func(v1beta1.BindingObject)) {
	b.t.Helper()
	binding := b.current()
	f(binding)
	binding.SetGeneration(binding.GetGeneration() + 1)
	if started := find(binding.BindingStatus().Conditions, v1beta1.BindingRolloutStarted); started != nil {
		started.ObservedGeneration = binding.GetGeneration()
	}
	if _, err := b.fleet.Bindings.Client(b.namespace).Update(b.t.Context(), binding, metav1.UpdateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) manifests() []string {
	b.t.Helper()
	found := []string{}
	for _, w := range b.works() {
		for _, m := range w.Spec.Workload.Manifests {
			found = append(found, string(m.Raw))
		}
	}
	return found
}

func (b *bench) wantManifests(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(sortedKeys(want), sortedKeys(b.manifests())); diff != "" {
		b.t.Errorf("manifests (-want +got):\n%s", diff)
	}
}

func (b *bench) wantOverridden(want string) {
	b.t.Helper()
	for _, said := range b.said() {
		if strings.HasPrefix(said, "Overridden=") {
			if said != want {
				b.t.Errorf("the binding says %q, want %q", said, want)
			}
			return
		}
	}
	b.t.Errorf("the binding says %q, want %q", b.said(), want)
}

const (
	overridden = "Overridden=True OverriddenSucceeded: Successfully applied the override rules on the resources"
	failed     = "Overridden=False OverriddenFailed: Failed to apply the override rules on the resources: "
)

// sortedKeys are manifests that say the same in one way, numbers as they are.
func sortedKeys(manifests []string) []string {
	sorted := []string{}
	for _, m := range manifests {
		decoder := json.NewDecoder(strings.NewReader(m))
		decoder.UseNumber()
		var object any
		_ = decoder.Decode(&object)
		raw, _ := json.Marshal(object)
		sorted = append(sorted, string(raw))
	}
	return sorted
}

// namespaceWith and configMapWith are the manifests as a patch leaves them, with something added.
func namespaceWith(data, rest string) string {
	return fmt.Sprintf(`{"apiVersion":"v1",%s"kind":"Namespace","metadata":{"name":"test-namespace"}%s}`, data, rest)
}

func configMapWith(data, rest string) string {
	return fmt.Sprintf(`{"apiVersion":"v1",%s"kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"test-namespace"}%s}`, data, rest)
}

func TestOverridesChangeManifests(t *testing.T) {
	for name, tc := range map[string]struct {
		cluster   []v1beta1.OverrideRule
		configMap []v1beta1.OverrideRule
		want      []string
	}{
		"one that selects a Namespace changes all that is in it": {
			cluster: []v1beta1.OverrideRule{rule("", `add /x 1`)},
			want:    []string{namespaceWith("", `,"x":1`), configMapWith("", `,"x":1`)},
		},
		"one of an object comes after one of its Namespace": {
			cluster:   []v1beta1.OverrideRule{rule("", `add /data {"a":"cluster"}`)},
			configMap: []v1beta1.OverrideRule{rule("", `replace /data/a "namespaced"`)},
			want:      []string{namespaceWith(`"data":{"a":"cluster"},`, ""), configMapWith(`"data":{"a":"namespaced"},`, "")},
		},
		"rules go in their order": {
			configMap: []v1beta1.OverrideRule{rule("", `add /data {"a":"1"}`), rule("eu", `replace /data/a "2"`), rule("us", `replace /data/a "3"`)},
			want:      []string{namespaceJSON, configMapWith(`"data":{"a":"2"},`, "")},
		},
		"one that deletes leaves an object out": {
			configMap: []v1beta1.OverrideRule{rule("", `add /data {"a":"1"}`), drop("eu"), rule("", `remove /none`)},
			want:      []string{namespaceJSON},
		},
		"everything is left out": {
			cluster: []v1beta1.OverrideRule{drop("")},
		},
		"nothing is for this cluster": {
			configMap: []v1beta1.OverrideRule{rule("us", `add /data {"a":"1"}`), drop("us")},
			want:      []string{namespaceJSON, configMapJSON},
		},
		"what stands for the cluster is filled in": {
			configMap: []v1beta1.OverrideRule{rule("", `add /data {"${MEMBER-CLUSTER-NAME}":"${MEMBER-CLUSTER-NAME}.${MEMBER-CLUSTER-LABEL-KEY-region}.example",`+
				`"list":["${MEMBER-CLUSTER-LABEL-KEY-example.com/zone}"]}`)},
			want: []string{namespaceJSON, configMapWith(`"data":{"list":["eu-1"],"member1":"member1.eu.example"},`, "")},
		},
		"numbers stay exact": {
			configMap: []v1beta1.OverrideRule{rule("", `add /n 12345678901234567890`)},
			want:      []string{namespaceJSON, configMapWith("", `,"n":12345678901234567890`)},
		},
		"labels have slashes in their keys": {
			configMap: []v1beta1.OverrideRule{rule("", `add /metadata/labels {}`, `add /metadata/labels/example.com~1a "b"`)},
			want: []string{namespaceJSON,
				`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"labels":{"example.com/a":"b"},"name":"test-cm","namespace":"test-namespace"}}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "")
			b.label(map[string]string{"region": "eu", "example.com/zone": "eu-1"})
			b.snapshot("web-1-snapshot", nil, namespaceJSON, configMapJSON)
			b.clusterOverride("a-0", tc.cluster...)
			b.configMapOverride("b-0", tc.configMap...)
			b.binding(named("a-0", "test-namespace/b-0"))
			b.settle()
			b.wantManifests(tc.want...)
			b.wantOverridden(overridden)
			if n := len(b.works()); n != 1 {
				t.Errorf("%d Works", n)
			}
		})
	}
}

func TestOverridesOfANamespacedPlacement(t *testing.T) {
	b := newBench(t, "test-namespace")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.clusterOverride("a-0", rule("", `add /data {"a":"1"}`))
	b.configMapOverride("b-0", rule("", `add /data/b "2"`))
	b.binding(named("a-0", "test-namespace/b-0"))
	b.settle()
	b.wantManifests(configMapWith(`"data":{"a":"1","b":"2"},`, ""))
	b.wantOverridden(overridden)
}

func TestWhatCannotBeOverridden(t *testing.T) {
	const of = `ResourceOverrideSnapshot "test-namespace/b-0" `
	for name, tc := range map[string]struct {
		step, want string
	}{
		"a path that is not there":       {`replace /data/a "1"`, of + `on ConfigMap "test-namespace/test-cm" in cluster member1: replace /data/a: the object has no /data`},
		"nothing to remove":              {`remove /none`, of + `on ConfigMap "test-namespace/test-cm" in cluster member1: remove /none: the object has no /none`},
		"a label that the cluster lacks": {`add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region}"}`, of + `on ConfigMap "test-namespace/test-cm" in cluster member1: add /data: the cluster has no label "region"`},
		"an open brace":                  {`add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region"}`, of + `on ConfigMap "test-namespace/test-cm" in cluster member1: add /data: a value has ${MEMBER-CLUSTER-LABEL-KEY- without a closing brace`},
		// Validation refuses these.
		"another name":      {`replace /metadata/name "other"`, of + `makes another object of ConfigMap "test-namespace/test-cm"`},
		"another namespace": {`replace /metadata/namespace "kube-system"`, of + `makes another object of ConfigMap "test-namespace/test-cm"`},
		"another kind":      {`replace /kind "Secret"`, of + `makes another object of ConfigMap "test-namespace/test-cm"`},
		"no object":         {`replace /metadata 1`, of + `makes another object of ConfigMap "test-namespace/test-cm"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "test-namespace")
			b.snapshot("web-1-snapshot", nil, configMapJSON)
			b.configMapOverride("b-0", rule("", tc.step))
			b.binding(named("test-namespace/b-0"))
			b.settle()
			b.wantOverridden(failed + tc.want)
			if said := b.said(); !strings.HasPrefix(said[len(said)-1], "Overridden=") {
				t.Errorf("more is said: %q", said)
			}
			b.wantManifests()
			select {
			case event := <-b.events.Events:
				if !strings.Contains(event, tc.want) {
					t.Errorf("Event: %s", event)
				}
			default:
				t.Error("no Event")
			}
		})
	}
}

func TestAnOverrideOfANamespaceDoesNotStopWhatThePlatformPlaces(t *testing.T) {
	const message = `ResourceOverrideSnapshot "test-namespace/b-0" on ConfigMap "test-namespace/test-cm" in cluster member1: add /data: the cluster has no label "region"`
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, namespaceJSON, configMapJSON)
	b.add(&v1beta1.ResourceOverride{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: "b"}})
	// Of a version that does not fit nothing is applied, not what comes before the step either, nor is the object left out.
	b.configMapOverride("b-0", rule("", `add /before 1`), rule("", `add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region}"}`), drop(""))
	b.configMapOverride("c-0", rule("", `add /after 1`))
	b.binding(named("test-namespace/b-0", "test-namespace/c-0"))
	b.settle()
	without := []string{namespaceJSON, configMapWith(`"after":1,`, "")}
	b.wantManifests(without...)
	left := overridden + ". One that does not fit is left out: " + message
	b.wantOverridden(left)
	if diff := cmp.Diff([]string{"Warning OverrideLeftOut ClusterResourcePlacement web is rolled out without it: " + message}, b.told()); diff != "" {
		t.Errorf("Events (-want +got):\n%s", diff)
	}
	// That is decided with the rest of what the cluster has, and told once.
	b.label(map[string]string{"region": "eu"})
	b.settle()
	b.wantManifests(without...)
	b.wantOverridden(left)
	if told := b.told(); len(told) > 0 {
		t.Errorf("told again: %q", told)
	}

	b.configMapOverride("b-1", rule("", `add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region}"}`))
	b.change(named("test-namespace/b-1", "test-namespace/c-0"))
	b.settle()
	b.wantManifests(namespaceJSON, configMapWith(`"after":1,"data":{"a":"eu"},`, ""))
	b.wantOverridden(overridden)
}

// A Work that is too large to be stored would stop what the platform places on every cluster, and many such Works the server. What a namespace does to its
// own placement stops that.
func TestOverridesDoNotMakeAWorkTooLarge(t *testing.T) {
	const objects = 12
	large := rule("", `add /data {"a":"`+strings.Repeat("x", 100<<10)+`"}`)
	for _, namespace := range []string{"", "test-namespace"} {
		t.Run("of a placement in "+namespace, func(t *testing.T) {
			b := newBench(t, namespace)
			manifests, names := []string{}, []string{}
			for i := range objects {
				object, name := fmt.Sprintf("cm%02d", i), fmt.Sprintf("o%02d-0", i)
				manifests = append(manifests, strings.ReplaceAll(configMapJSON, "test-cm", object))
				s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: name}}
				s.Spec.OverrideSpec.ResourceSelectors = []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: object}}
				s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{large}}
				b.add(s)
				names = append(names, "test-namespace/"+name)
			}
			b.snapshot("web-1-snapshot", nil, manifests...)
			b.binding(named(names...))
			b.settle()
			size := 0
			for _, m := range b.manifests() {
				size += len(m)
			}
			const message = "Overridden=False OverriddenFailed: Failed to apply the override rules on the resources: "
			switch placed, said := len(b.manifests()), b.last(); {
			case namespace == "" && (placed != objects || size > 1<<20):
				t.Errorf("%d manifests with %d bytes", placed, size)
			case namespace != "" && (placed > 0 || !strings.HasPrefix(said, message) || !strings.Contains(said, "and overrides may add 12208 more")):
				t.Errorf("%d manifests with %d bytes; the binding says %s", placed, size, said)
			}
		})
	}
}

func TestTheOverridesThatAreLeftOutAreCounted(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	var names []string
	for i := range maxLeftOut + 1 {
		name := fmt.Sprintf("o%02d-0", i)
		b.configMapOverride(name, rule("", `remove /none`))
		names = append(names, "test-namespace/"+name)
	}
	b.binding(named(names...))
	b.settle()
	b.wantOverridden(overridden + fmt.Sprintf(". %d that do not fit are left out, the first: ", maxLeftOut) +
		`ResourceOverrideSnapshot "test-namespace/o00-0" on ConfigMap "test-namespace/test-cm" in cluster member1: remove /none: ` +
		`the object has no /none`)
	b.change(named())
	b.settle()
	for _, work := range b.works() {
		if left, ok := work.Annotations[wellknown.LeftOutOverridesAnnotation]; ok {
			t.Errorf("a version without overrides has left out %s", left)
		}
	}
}

func TestAnOverrideOfThePlatformStopsWhatANamespacePlaces(t *testing.T) {
	b := newBench(t, "test-namespace")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.clusterOverride("a-0", rule("", `replace /data/a "1"`))
	b.binding(named("a-0"))
	b.settle()
	b.wantOverridden(failed + `ClusterResourceOverrideSnapshot "a-0" on ConfigMap "test-namespace/test-cm" in cluster member1: replace /data/a: ` +
		`the object has no /data`)
	b.wantManifests()
}

// What a cluster has is decided when it is moved. Whoever edits its labels changes what the next version is there, and nothing else.
func TestOverridesAreFrozenOnceTheyAreWritten(t *testing.T) {
	b := newBench(t, "")
	b.label(map[string]string{"region": "eu"})
	b.snapshot("web-1-snapshot", map[string]string{wellknown.NumberOfSnapshotsAnnotation: "2"}, namespaceJSON)
	b.snapshot("web-1-0", map[string]string{wellknown.SubindexAnnotation: "0"}, configMapJSON)
	b.configMapOverride("b-0", rule("eu", `add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region}"}`))
	b.configMapOverride("b-1", rule("", `add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region}"}`))
	b.binding(named("test-namespace/b-0"))
	b.settle()
	frozen := []string{configMapWith(`"data":{"a":"eu"},`, ""), namespaceJSON}
	b.wantManifests(frozen...)

	b.label(map[string]string{"region": "us"})
	b.settle()
	b.wantManifests(frozen...)
	// A way to apply is no version.
	b.change(func(o v1beta1.BindingObject) {
		o.BindingSpec().ApplyStrategy.Type = v1beta1.ApplyStrategyTypeServerSideApply
	})
	b.settle()
	b.wantManifests(frozen...)
	b.wantOverridden(overridden)
	// Nor is what somebody asks of it, or what an earlier server has not written yet.
	b.applied(testTime)
	b.prune(asked("web-1-snapshot"))
	for _, work := range b.works() {
		delete(work.Annotations, wellknown.NumberOfWorksAnnotation)
		if _, err := b.api.PlacementV1beta1().Works(work.Namespace).Update(t.Context(), &work, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.settle()
	if diff := cmp.Diff([]string{"web-1-snapshot", "web-1-snapshot"}, b.pruned()); diff != "" {
		t.Errorf("prune annotations (-want +got):\n%s", diff)
	}
	b.wantManifests(frozen...)
	// The version itself is not needed any more.
	if err := b.api.Tracker().Delete(v1beta1.SchemeGroupVersion.WithResource("resourceoverridesnapshots"), "test-namespace", "b-0"); err != nil {
		t.Fatal(err)
	}
	b.settle()
	b.wantManifests(frozen...)
	b.wantOverridden(overridden)

	b.change(named("test-namespace/b-1"))
	b.settle()
	b.wantManifests(configMapWith(`"data":{"a":"us"},`, ""), namespaceJSON)
	b.change(named())
	b.settle()
	b.wantManifests(configMapJSON, namespaceJSON)
	b.wantOverridden("Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources")
}

func TestAVersionOfAnOverrideIsWaitedFor(t *testing.T) {
	b := newBench(t, "")
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.configMapOverride("b-0", rule("", `add /data {"a":"1"}`))
	b.binding(named("test-namespace/b-0"))
	b.settle()
	had := configMapWith(`"data":{"a":"1"},`, "")
	b.wantManifests(had)

	b.change(named("test-namespace/b-0", "c-0"))
	b.settle()
	b.wantOverridden(failed + `ClusterResourceOverrideSnapshot "c-0" is not found`)
	b.wantManifests(had)

	b.clusterOverride("c-0", drop("us"))
	b.cacheUp()
	snapshot, err := b.fleet.OverrideSnapshots.Get(reconcile.Key{Name: "c-0"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]reconcile.Key{b.key("web-member1")}, b.bindingsOfOverride(nil, snapshot)); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	b.settle()
	b.wantOverridden(overridden)
	b.wantManifests(had)
}

func TestALabelThatAnOverrideNeedsIsWaitedFor(t *testing.T) {
	b := newBench(t, "test-namespace")
	b.label(map[string]string{"zone": "a"})
	b.snapshot("web-1-snapshot", nil, configMapJSON)
	b.configMapOverride("b-0", rule("", `add /data {"a":"${MEMBER-CLUSTER-LABEL-KEY-region}"}`))
	b.binding(named("test-namespace/b-0"))
	b.settle()
	b.wantOverridden(failed + `ResourceOverrideSnapshot "test-namespace/b-0" on ConfigMap "test-namespace/test-cm" in cluster member1: add /data: the cluster has no label "region"`)

	before, err := b.fleet.MemberClusters.Lister().Get("member1")
	if err != nil {
		t.Fatal(err)
	}
	b.label(map[string]string{"region": "eu"})
	b.cacheUp()
	after, err := b.fleet.MemberClusters.Lister().Get("member1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]reconcile.Key{b.key("web-member1")}, b.bindingsOfMember(before, after)); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if woken := b.bindingsOfMember(after, after); len(woken) > 0 {
		t.Errorf("a heartbeat wakes %v", woken)
	}
	b.settle()
	b.wantOverridden(overridden)
	b.wantManifests(configMapWith(`"data":{"a":"eu"},`, ""))
}

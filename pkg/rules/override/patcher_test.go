// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const configMapJSON = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"test-cm","namespace":"test-namespace"}}`

func TestVariablesStandForTheCluster(t *testing.T) {
	c := &cluster{name: "member1", labels: labels.Set{"a": "${MEMBER-CLUSTER-NAME}", "ab": "2", "example.com/zone": "eu-1"}}
	for value, want := range map[string]string{
		"":                       "",
		"$MEMBER-CLUSTER-NAME":   "$MEMBER-CLUSTER-NAME",
		"${MEMBER-CLUSTER-NAME}": "member1",
		"a${MEMBER-CLUSTER-NAME}b${MEMBER-CLUSTER-NAME}c":                     "amember1bmember1c",
		"${MEMBER-CLUSTER-LABEL-KEY-ab}${MEMBER-CLUSTER-NAME}":                "2member1",
		"${MEMBER-CLUSTER-NAME}-${MEMBER-CLUSTER-LABEL-KEY-example.com/zone}": "member1-eu-1",
		// A label says what it says.
		"${MEMBER-CLUSTER-LABEL-KEY-a}": "${MEMBER-CLUSTER-NAME}",
	} {
		if got, err := c.substitute(value); err != nil || got != want {
			t.Errorf("%s: got %q %v, want %q", value, got, err, want)
		}
	}
	for value, want := range map[string]string{
		"${MEMBER-CLUSTER-LABEL-KEY-}":                                "a value has ${MEMBER-CLUSTER-LABEL-KEY- with what is no key of a label",
		"${MEMBER-CLUSTER-LABEL-KEY-abc}":                             `the cluster has no label "abc"`,
		"${MEMBER-CLUSTER-LABEL-KEY-${MEMBER-CLUSTER-NAME}}":          "a value has ${MEMBER-CLUSTER-LABEL-KEY- with what is no key of a label",
		"${MEMBER-CLUSTER-LABEL-KEY-ab} ${MEMBER-CLUSTER-LABEL-KEY-a": "a value has ${MEMBER-CLUSTER-LABEL-KEY- without a closing brace",
		"${MEMBER-CLUSTER-LABEL-KEY-a secret}":                        "a value has ${MEMBER-CLUSTER-LABEL-KEY- with what is no key of a label",
	} {
		if got, err := c.substitute(value); err == nil || err.Error() != want {
			t.Errorf("%s: got %q %v, want %q", value, got, err, want)
		}
	}
}

func TestStepsAreThoseOfTheStandard(t *testing.T) {
	const doc = `{"a":{"b":[1,2]},"n":12345678901234567890}`
	for step, want := range map[string]string{
		`add /a/c 1`:     `{"a":{"b":[1,2],"c":1},"n":12345678901234567890}`,
		`add /a/b/- 3`:   `{"a":{"b":[1,2,3]},"n":12345678901234567890}`,
		`add /a/b/0 0`:   `{"a":{"b":[0,1,2]},"n":12345678901234567890}`,
		`add /a/b null`:  `{"a":{"b":null},"n":12345678901234567890}`,
		`replace /a 1`:   `{"a":1,"n":12345678901234567890}`,
		`remove /a/b/0 `: `{"a":{"b":[2]},"n":12345678901234567890}`,
		// What is not there cannot be replaced, nor removed, nor does anything get made for what is added to it.
		`replace /a/c 1`:   "",
		`replace /a/b/2 1`: "",
		`remove /a/c `:     "",
		`add /x/y 1`:       "",
		`add /a/b/3 1`:     "",
	} {
		fields := strings.SplitN(step, " ", 3)
		s := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOperator(fields[0]), Path: fields[1]}
		s.Value.Raw = []byte(fields[2])
		got, err := (&cluster{}).patch([]byte(doc), []v1beta1.JSONPatchOverride{s})
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %s %v, want %q", step, got, err, want)
		}
	}
}

// stepsOf are n that add a label each.
func stepsOf(n int) []v1beta1.JSONPatchOverride {
	steps := make([]v1beta1.JSONPatchOverride, n)
	for i := range steps {
		steps[i] = v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOpAdd, Path: fmt.Sprintf("/a/k%d", i)}
		steps[i].Value.Raw = []byte(`"v"`)
	}
	return steps
}

func TestTheFirstStepThatDoesNotFitIsNamed(t *testing.T) {
	const n = 20
	for broken := range n {
		steps := stepsOf(n)
		steps[broken].Path = fmt.Sprintf("/missing/%d", broken)
		steps[n-1].Path = "/missing/last"
		want := "add " + steps[broken].Path + ": "
		if _, err := (&cluster{}).patch([]byte(`{"a":{}}`), steps); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s...", err, want)
		}
	}
}

func TestAStepNamesWhatItMisses(t *testing.T) {
	const doc = `{"metadata":{"name":"a"},"spec":{"ports":[{"port":1}],"a/b":{}}}`
	for step, want := range map[string]string{
		`add /metadata/labels/region "eu"`:     "add /metadata/labels/region: the object has no /metadata/labels: add it first, in a step before",
		`add /spec/template/spec/nodeName "a"`: "add /spec/template/spec/nodeName: the object has no /spec/template: add it first, in a step before",
		`replace /spec/replica 1`:              "replace /spec/replica: the object has no /spec/replica",
		`replace /spec/ports/0/portt 1`:        "replace /spec/ports/0/portt: the object has no /spec/ports/0/portt",
		`remove /spec/a~1b/c `:                 "remove /spec/a~1b/c: the object has no /spec/a~1b/c",
		`remove /` + strings.Repeat("x", 1000): "remove /" + strings.Repeat("x", 1000) + ": the object has no /" + strings.Repeat("x", 125) + "..." + strings.Repeat("x", 126),
		`add /metadata/labels {} add /metadata/labels/a "b" remove /metadata/labels/c `: "remove /metadata/labels/c: the object has no /metadata/labels/c",
	} {
		var steps []v1beta1.JSONPatchOverride
		for fields := strings.Split(step, " "); len(fields) >= 2; fields = fields[min(3, len(fields)):] {
			s := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOperator(fields[0]), Path: fields[1]}
			if len(fields) > 2 {
				s.Value.Raw = []byte(fields[2])
			}
			steps = append(steps, s)
		}
		if _, err := (&cluster{}).patch([]byte(doc), steps); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestPatchesAreBounded(t *testing.T) {
	manifest := func(size int) []byte { return fmt.Appendf(nil, `{"a":{},"b":%q}`, strings.Repeat("x", size)) }
	large := stepsOf(1)
	large[0].Value.Raw = manifest(3 << 20)
	for name, test := range map[string]struct {
		raw   []byte
		steps []v1beta1.JSONPatchOverride
		want  string
	}{
		"very many on a small one": {manifest(1000), stepsOf(10_000), ""},
		"many on a large one":      {manifest(1 << 20), stepsOf(200), ""},
		"very many on a large one": {manifest(1 << 20), stepsOf(300), "300 steps are too many for a manifest of 1048591 bytes, which may have 255: put what they add into one value"},
		"what makes it very large": {manifest(1000), large, "the manifest would have 3146763 bytes, and may have 3145728"},
		"nothing":                  {[]byte(`{}`), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := (&cluster{}).patch(test.raw, test.steps)
			if got := fmt.Sprint(err); err != nil && got != test.want || (err != nil) != (test.want != "") {
				t.Errorf("got %v, want %q", err, test.want)
			}
			runtime.ReadMemStats(&after)
			// Parsed once for each step, 200 on a mebibyte take several times as much.
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 100 {
				t.Errorf("it allocates %d MiB", allocated)
			}
		})
	}
}

func FuzzPatch(f *testing.F) {
	f.Add("add", "/data", `{"a":"${MEMBER-CLUSTER-NAME}"}`)
	f.Add("replace", "/metadata/labels", `"\"}${MEMBER-CLUSTER-LABEL-KEY-a}"`)
	f.Add("replace", "/metadata~1name", `"${MEMBER-CLUSTER-LABEL-KEY-${MEMBER-CLUSTER-NAME}}"`)
	f.Add("remove", "", ``)
	f.Add("add", "/metadata/-", `[[]]`)
	f.Fuzz(func(t *testing.T, op, path, value string) {
		step := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOperator(op), Path: path}
		step.Value.Raw = []byte(value)
		s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: "b-0"}}
		s.Spec.OverrideSpec.ResourceSelectors = []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "test-cm"}}
		s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
			ClusterSelector: &v1beta1.ClusterSelector{}, JSONPatchOverrides: []v1beta1.JSONPatchOverride{step},
		}}}
		o, err := NewPatcher("test-namespace", "member1", labels.Set{"a": `"}\`}, []v1beta1.OverrideSnapshotObject{s})
		if err != nil {
			t.Fatal(err)
		}
		raw, _, err := o.Manifest(0, []byte(configMapJSON))
		if err != nil {
			return
		}
		if id, err := Identify(raw); err != nil || id.Name != "test-cm" || id.Namespace != "test-namespace" || id.Kind != "ConfigMap" {
			t.Errorf("%s %s %s makes %s", op, path, value, raw)
		}
	})
}

// Whoever writes an override, a Work must be one that can be stored, and no part of a version may take more memory than the server has.
func TestOverridesAddABoundedAmountToAWork(t *testing.T) {
	for _, of := range []string{"", "test-namespace", "another"} {
		var snapshot v1beta1.OverrideSnapshotObject
		policy := &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{ClusterSelector: &v1beta1.ClusterSelector{}}}}
		step := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOpAdd, Path: "/data"}
		step.Value.Raw = fmt.Appendf(nil, `{"a":%q}`, strings.Repeat("x", 200<<10))
		policy.OverrideRules[0].JSONPatchOverrides = []v1beta1.JSONPatchOverride{step}
		if of == "" {
			s := &v1beta1.ClusterResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "o-0"}}
			s.Spec.OverrideSpec.ClusterResourceSelectors = []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: "test-namespace"}}
			s.Spec.OverrideSpec.Policy = policy
			snapshot = s
		} else {
			s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: "o-0"}}
			s.Spec.OverrideSpec.ResourceSelectors = []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "test-cm"}}
			s.Spec.OverrideSpec.Policy = policy
			snapshot = s
		}
		placement := of
		if of == "" {
			placement = "test-namespace"
		}
		o, err := NewPatcher(placement, "member1", nil, []v1beta1.OverrideSnapshotObject{snapshot})
		if err != nil {
			t.Fatal(err)
		}
		for i, work := range []int{0, 0, 1, 0, 1, -1} {
			raw, leftOut, err := o.Manifest(work, []byte(configMapJSON))
			switch fits, hasSay := i != 3, of != "another"; {
			case fits && (err != nil || len(leftOut) > 0 || len(raw) < 200<<10):
				t.Errorf("of %q: manifest %d of Work %d has %d bytes, left out %v: %v", of, i, work, len(raw), leftOut, err)
			case !fits && hasSay && (err == nil || !strings.Contains(err.Error(), "and overrides may add 114")):
				t.Errorf("of %q: manifest %d of Work %d has %d bytes: %v", of, i, work, len(raw), err)
			case !fits && !hasSay && (err != nil || len(leftOut) != 1 || len(raw) > 10<<10):
				t.Errorf("of %q: manifest %d of Work %d has %d bytes, left out %v: %v", of, i, work, len(raw), leftOut, err)
			}
		}
	}
}

// Overrides of a namespace must not take the time of what the platform places: what they may work on is bounded, even where nothing of it fits.
func TestOverridesWithoutASayAreTriedOnSoMuch(t *testing.T) {
	s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: "o-0"}}
	s.Spec.OverrideSpec.ResourceSelectors = []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "test-cm"}}
	step := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOpAdd, Path: "/data"}
	step.Value.Raw = fmt.Appendf(nil, `{"a":%q}`, strings.Repeat("x", 700<<10))
	s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{ClusterSelector: &v1beta1.ClusterSelector{}, JSONPatchOverrides: []v1beta1.JSONPatchOverride{step}}}}
	o, err := NewPatcher("", "member1", nil, []v1beta1.OverrideSnapshotObject{s})
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i := range 100 {
		raw, leftOut, err := o.Manifest(i, []byte(configMapJSON))
		if err != nil || string(raw) != configMapJSON || len(leftOut) != 1 {
			t.Fatalf("%d bytes, left out %v: %v", len(raw), leftOut, err)
		}
		if !strings.Contains(leftOut[0].Message, "is not tried on") {
			tried++
		}
	}
	if tried != 46 {
		t.Errorf("tried on %d objects", tried)
	}
}

// A plan tries what two clusters get only once if it is alike. A value that depends on the cluster is not, however the variable is written.
func TestWhatDependsOnTheClusterIsNotAlike(t *testing.T) {
	for value, alike := range map[string]bool{`"x"`: true, `"${MEMBER-CLUSTER-NAME}"`: false, `"\u0024{MEMBER-CLUSTER-NAME}"`: false} {
		s := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "test-namespace", Name: "o-0"}}
		step := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOpAdd, Path: "/data"}
		step.Value.Raw = []byte(value)
		s.Spec.OverrideSpec.Policy = &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{ClusterSelector: &v1beta1.ClusterSelector{}, JSONPatchOverrides: []v1beta1.JSONPatchOverride{step}}}}
		var likeness []string
		for _, cluster := range []string{"member1", "member2"} {
			o, err := NewPatcher("test-namespace", cluster, nil, []v1beta1.OverrideSnapshotObject{s})
			if err != nil {
				t.Fatal(err)
			}
			likeness = append(likeness, o.Likeness())
		}
		if got := likeness[0] == likeness[1] && likeness[0] != ""; got != alike {
			t.Errorf("%s: alike on two clusters: %t, want %t", value, got, alike)
		}
	}
}

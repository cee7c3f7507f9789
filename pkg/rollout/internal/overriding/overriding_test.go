// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package overriding

import (
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
		"${MEMBER-CLUSTER-LABEL-KEY-}":                                `the cluster has no label ""`,
		"${MEMBER-CLUSTER-LABEL-KEY-abc}":                             `the cluster has no label "abc"`,
		"${MEMBER-CLUSTER-LABEL-KEY-${MEMBER-CLUSTER-NAME}}":          `the cluster has no label "${MEMBER-CLUSTER-NAME"`,
		"${MEMBER-CLUSTER-LABEL-KEY-ab} ${MEMBER-CLUSTER-LABEL-KEY-a": "${MEMBER-CLUSTER-LABEL-KEY-a is not closed by a brace",
	} {
		if got, err := c.substitute(value); err == nil || err.Error() != want {
			t.Errorf("%s: got %q %v, want %q", value, got, err, want)
		}
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
		o, err := New("member1", labels.Set{"a": `"}\`}, []v1beta1.OverrideSnapshotObject{s})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := o.Manifest([]byte(configMapJSON))
		if err != nil {
			return
		}
		if id, err := Identify(raw); err != nil || id.Name != "test-cm" || id.Namespace != "test-namespace" || id.Kind != "ConfigMap" {
			t.Errorf("%s %s %s makes %s", op, path, value, raw)
		}
	})
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// FuzzLabelSelectors holds that validation accepts exactly the selectors that clusters can be matched with, and says whose a refused
// one is.
func FuzzLabelSelectors(f *testing.F) {
	for _, selector := range []string{
		`null`, `{}`,
		`{"matchLabels": {"environment": "staging"}}`,
		`{"matchLabels": {"fleet.example.com/zone": ""}}`,
		`{"matchLabels": {"environment": "not a value"}}`,
		`{"matchLabels": {"a/b/c": "d"}}`,
		`{"matchExpressions": [{"key": "order", "operator": "In", "values": ["1", "2"]}]}`,
		`{"matchExpressions": [{"key": "order", "operator": "NotIn", "values": ["1"]}]}`,
		`{"matchExpressions": [{"key": "order", "operator": "Exists"}, {"key": "drained", "operator": "DoesNotExist"}]}`,
		`{"matchExpressions": [{"key": "order", "operator": "In"}]}`,
		`{"matchExpressions": [{"key": "order", "operator": "Exists", "values": ["1"]}]}`,
		`{"matchExpressions": [{"key": "", "operator": "Gt", "values": ["-1", "x y"]}]}`,
	} {
		f.Add([]byte(selector), "environment", "staging")
	}
	f.Fuzz(func(t *testing.T, data []byte, key, value string) {
		var selector *metav1.LabelSelector
		if json.Unmarshal(data, &selector) != nil {
			return
		}
		errs := ValidateLabelSelector(selector, field.NewPath("spec"), "the stage label selector is invalid")
		for _, err := range errs {
			if !strings.HasPrefix(err.Field, "spec.match") || !strings.Contains(err.Detail, "the stage label selector is invalid") {
				t.Errorf("the error does not say what is wrong: %v", err)
			}
		}
		compiled, err := metav1.LabelSelectorAsSelector(selector)
		if accepted := len(errs) == 0; accepted != (err == nil) {
			t.Errorf("accepted is %v, but matching says %v", accepted, err)
		}
		if err != nil {
			return
		}
		if compiled.Matches(labels.Set{key: value}) && selector == nil {
			t.Error("no selector selects a cluster")
		}
	})
}

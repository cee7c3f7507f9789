// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package conditions

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAConditionOfAnotherGenerationSaysNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		conditions []metav1.Condition
		want       metav1.ConditionStatus
	}{
		"absent":                {nil, ""},
		"of another type":       {[]metav1.Condition{{Type: "B", Status: "True", ObservedGeneration: 2}}, ""},
		"of this generation":    {[]metav1.Condition{{Type: "A", Status: "True", ObservedGeneration: 2}}, "True"},
		"False":                 {[]metav1.Condition{{Type: "A", Status: "False", ObservedGeneration: 2}}, "False"},
		"Unknown":               {[]metav1.Condition{{Type: "A", Status: "Unknown", ObservedGeneration: 2}}, "Unknown"},
		"of an earlier one":     {[]metav1.Condition{{Type: "A", Status: "True", ObservedGeneration: 1}}, ""},
		"of a later one":        {[]metav1.Condition{{Type: "A", Status: "True", ObservedGeneration: 3}}, ""},
		"without a generation":  {[]metav1.Condition{{Type: "A", Status: "True"}}, ""},
		"False of another spec": {[]metav1.Condition{{Type: "A", Status: "False", ObservedGeneration: 1}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Status(tt.conditions, "A", 2); got != tt.want {
				t.Errorf("status %q, want %q", got, tt.want)
			}
			if got, want := IsTrue(tt.conditions, "A", 2), tt.want == metav1.ConditionTrue; got != want {
				t.Errorf("true: %t", got)
			}
			if got, want := IsFalse(tt.conditions, "A", 2), tt.want == metav1.ConditionFalse; got != want {
				t.Errorf("false: %t", got)
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// expect wants exactly these errors in this order.
func expect(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors, -want +got:\n%s", diff)
	}
}

// rule is a broken object and what is said about it.
type rule[O any] struct {
	name  string
	spoil func(O)
	want  []string
}

// object is what every kind is.
type object interface {
	metav1.Object
	runtime.Object
}

// check spoils a fresh copy of every sound object by every rule. A sound object must be found sound.
func check[O object](t *testing.T, sound []O, validate func(O) field.ErrorList, rules []rule[O]) {
	t.Helper()
	for _, original := range sound {
		scope := "cluster-scoped"
		if original.GetNamespace() != "" {
			scope = "namespaced"
		}
		t.Run(scope+"/sound", func(t *testing.T) { expect(t, validate(original)) })
		for _, rule := range rules {
			t.Run(scope+"/"+rule.name, func(t *testing.T) {
				spoilt := original.DeepCopyObject().(O)
				rule.spoil(spoilt)
				expect(t, validate(spoilt), rule.want...)
			})
		}
	}
}

// checkUpdate changes a fresh copy of every object by every rule.
func checkUpdate[O object](t *testing.T, stored []O, validate func(changed, old O) field.ErrorList, rules []rule[O]) {
	t.Helper()
	for _, old := range stored {
		check(t, []O{old}, func(changed O) field.ErrorList { return validate(changed, old) }, rules)
	}
}

// complete is a condition that may be stored.
func complete(conditionType string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: "Done", LastTransitionTime: metav1.Unix(1, 0)}
}

// incomplete is one without a reason.
func incomplete(conditionType string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, LastTransitionTime: metav1.Unix(1, 0)}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// NamespaceLabels returns the labels of a Namespace on the hub, nil where they are not known.
func (f *Fleet) NamespaceLabels(name string) labels.Set {
	if f.Namespaces == nil {
		return nil
	}
	namespace, err := f.Namespaces.Lister().Get(name)
	if err != nil {
		return nil
	}
	if namespace.Labels == nil {
		return labels.Set{}
	}
	return namespace.Labels
}

// WhomPolicyBinds returns the namespace whose rollouts a changed policy may bind, empty for all. matters is false where the policy demands
// what it did before: its status matters to nobody.
func WhomPolicyBinds(oldObj, newObj any) (namespace string, matters bool) {
	before, _ := oldObj.(v1alpha1.RolloutPolicyObject)
	after, _ := newObj.(v1alpha1.RolloutPolicyObject)
	switch {
	case before == nil:
		return after.GetNamespace(), true
	case after == nil:
		return before.GetNamespace(), true
	}
	return after.GetNamespace(), before.GetUID() != after.GetUID() || before.GetGeneration() != after.GetGeneration()
}

// RelabeledNamespace returns the name of a Namespace that has other labels now, by which policies select. With one that is gone, so are
// the objects in it.
func RelabeledNamespace(oldObj, newObj any) (name string, relabeled bool) {
	before, _ := oldObj.(*corev1.Namespace)
	after, _ := newObj.(*corev1.Namespace)
	if after == nil || before != nil && maps.Equal(before.Labels, after.Labels) {
		return "", false
	}
	return after.Name, true
}

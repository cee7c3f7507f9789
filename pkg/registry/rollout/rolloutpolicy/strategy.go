// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/validation"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// categories are those of every resource of the group.
var categories = []string{"fleet"}

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[v1alpha1.RolloutPolicyObject, v1alpha1.RolloutPolicySpec, v1alpha1.RolloutPolicyStatus]{
		Spec:                 v1alpha1.RolloutPolicyObject.PolicySpec,
		Status:               v1alpha1.RolloutPolicyObject.PolicyStatus,
		Validate:             validation.ValidateRolloutPolicy,
		ValidateUpdate:       validation.ValidateRolloutPolicyUpdate,
		ValidateStatusUpdate: validation.ValidateRolloutPolicyStatusUpdate,
		Warnings:             warnings,
		Columns:              columns(),
	}
	return []store.Resource{
		store.NewResource[v1alpha1.ClusterRolloutPolicy, v1alpha1.ClusterRolloutPolicyList](v1alpha1.GroupName,
			store.Names{Plural: "clusterrolloutpolicies", ShortNames: []string{"crpol"}, Categories: categories}, family),
		store.NewResource[v1alpha1.RolloutPolicy, v1alpha1.RolloutPolicyList](v1alpha1.GroupName,
			store.Names{Plural: "rolloutpolicies", ShortNames: []string{"rpol"}, Categories: categories, Namespaced: true}, family),
	}
}

// warnings names what keeps a policy from binding anything.
func warnings(o v1alpha1.RolloutPolicyObject) []string {
	if why := policy.New(o).BindsNothing(); why != "" {
		return []string{why}
	}
	return nil
}

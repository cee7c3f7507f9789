// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// reviewPolicy warns of a policy whose selectors pick none of the clusters there are: it protects nothing, and nobody notices. It refuses
// nothing: the clusters may come later, which is also why an empty fleet is no reason to warn.
func (p *Plugin) reviewPolicy(ctx context.Context, a admission.Attributes, written v1alpha1.RolloutPolicyObject) {
	old, updated := a.GetOldObject().(v1alpha1.RolloutPolicyObject)
	if updated && apiequality.Semantic.DeepEqual(written.PolicySpec(), old.PolicySpec()) || !written.GetDeletionTimestamp().IsZero() || !p.isReady() {
		return
	}
	members, err := p.listMembers()
	if err != nil {
		// A warning that cannot be made is no reason to refuse.
		return
	}
	var sets []labels.Set
	for _, member := range members {
		if member.DeletionTimestamp == nil {
			sets = append(sets, member.Labels)
		}
	}
	if len(sets) == 0 {
		return
	}
	for _, text := range policy.New(written).Misses(sets) {
		warning.AddWarning(ctx, "", text)
	}
}

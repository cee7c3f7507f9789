// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
)

// validateEviction refuses to take a placement off a protected cluster at once, as its deletion would.
func (p *Plugin) validateEviction(ctx context.Context, a admission.Attributes, eviction *v1beta1.ClusterResourcePlacementEviction) error {
	if a.GetOperation() != admission.Create {
		return nil
	}
	s, err := p.scopeOf(ctx, a)
	if err != nil || len(s.mayBind) == 0 {
		return err
	}
	placement, err := p.client.PlacementV1beta1().ClusterResourcePlacements().Get(ctx, eviction.Spec.PlacementName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		// There is nothing to evict, and the controller will say so.
		return nil
	case err != nil:
		return unavailable(fmt.Errorf("reading ClusterResourcePlacement %s: %w", eviction.Spec.PlacementName, err))
	}
	binding := s.binding(placement.Labels)
	if len(binding) == 0 {
		return nil
	}
	held, members, err := p.heldNow(ctx, placement)
	if err != nil {
		return err
	}
	held = slices.DeleteFunc(held, func(c strategy.Cluster) bool {
		return c.Name != eviction.Spec.ClusterName || members[c.Name].DeletionTimestamp != nil
	})
	return answer(ctx, a, eviction.Name, policy.JudgeRemoval(binding, placement, held))
}

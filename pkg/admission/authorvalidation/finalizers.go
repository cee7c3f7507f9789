// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// validateFinalizers refuses to take the server's finalizers off a placement that is being deleted. What it has on clusters would stay there without
// anybody to remove it, or to answer for it: another placement could take it over, past every policy. A placement that is not being deleted keeps
// them whatever is written.
func (p *Plugin) validateFinalizers(ctx context.Context, a admission.Attributes) error {
	placement, ok := a.GetObject().(v1beta1.PlacementObject)
	old, wasOne := a.GetOldObject().(v1beta1.PlacementObject)
	if !ok || !wasOne || a.GetOperation() != admission.Update || old.GetDeletionTimestamp().IsZero() {
		return nil
	}
	taken := slices.DeleteFunc(slices.Clone(wellknown.PlacementFinalizers), func(finalizer string) bool {
		return !slices.Contains(old.GetFinalizers(), finalizer) || slices.Contains(placement.GetFinalizers(), finalizer)
	})
	if len(taken) == 0 {
		return nil
	}
	if a.GetUserInfo() == nil {
		return apierrors.NewInternalError(errors.New("no user in the context of the request"))
	}
	r := &review{authorizer: p.authorizer, user: a.GetUserInfo()}
	if missing, err := r.missing(ctx, everything(metav1.NamespaceAll)); err != nil || len(missing) == 0 {
		return err
	}
	return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), fmt.Errorf(
		"the server takes the finalizer %s off once nothing of the placement is left on its clusters: see its conditions for what it waits for. "+
			"Taken off before, the resources stay there and nobody removes them: only a user who may do everything in the cluster can do that", taken[0]))
}

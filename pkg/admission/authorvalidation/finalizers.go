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

// validateFinalizers refuses to take the server's finalizers off an object that is being deleted. What a placement has on clusters would stay there
// without anybody to remove it, or to answer for it: another placement could take it over, past every policy. And the next run would begin while the
// server still writes what the one before had begun. An object that is not being deleted keeps them whatever is written.
func (p *Plugin) validateFinalizers(ctx context.Context, a admission.Attributes) error {
	object, ok := a.GetObject().(metav1.Object)
	old, wasOne := a.GetOldObject().(metav1.Object)
	if !ok || !wasOne || a.GetOperation() != admission.Update || old.GetDeletionTimestamp().IsZero() {
		return nil
	}
	var server []string
	var waits string
	switch a.GetOldObject().(type) {
	case v1beta1.PlacementObject:
		server = wellknown.PlacementFinalizers
		waits = "nothing of the placement is left on its clusters: see its conditions for what it waits for. Taken off before, the resources stay there and nobody removes them"
	case v1beta1.UpdateRunObject:
		server = wellknown.UpdateRunFinalizers
		waits = "the approval requests of the run are gone"
	}
	taken := slices.DeleteFunc(slices.Clone(server), func(finalizer string) bool {
		return !slices.Contains(old.GetFinalizers(), finalizer) || slices.Contains(object.GetFinalizers(), finalizer)
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
		"the server takes the finalizer %s off once %s. Only a user who may do everything in the cluster can take it off before", taken[0], waits))
}

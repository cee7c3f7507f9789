// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// withdraw removes from a member what Stagegate itself has there, and leaves what was placed on it. The kind AppliedWork stays, since
// its end would be the end of whatever else is owned by objects of it.
func (c *Controller) withdraw(ctx context.Context, cluster string, member *clients) error {
	crd, err := member.crds.ApiextensionsV1().CustomResourceDefinitions().Get(ctx, appliedWorksName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		served, err := servesAppliedWorks(ctx, member)
		if err != nil || !served {
			return err
		}
		// A hub keeps its store's id: it is that of the whole hub.
		if err := storeid.Verify(ctx, member.kube, wellknown.SystemNamespace, storeid.Ruler{Store: c.storeID}); err != nil {
			return err
		}
		return orphan(ctx, cluster, member)
	}
	if err != nil {
		return err
	}
	holder := crd.Annotations[wellknown.StoreIDAnnotation]
	if holder != "" && holder != c.storeID {
		return otherStore(holder, c.storeID)
	}
	if err := orphan(ctx, cluster, member); err != nil || holder == "" {
		return err
	}
	_, err = annotate(ctx, member, crd, "")
	return err
}

// orphan deletes the AppliedWorks of a member, so that what they own stays and is nobody's. Those of other members, as there may be
// where several are one cluster, are not touched.
func orphan(ctx context.Context, cluster string, member *clients) error {
	client := member.fleet.PlacementV1beta1().AppliedWorks()
	works, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	policy := metav1.DeletePropagationOrphan
	var failed []error
	for i := range works.Items {
		work := &works.Items[i]
		if work.Spec.WorkNamespace != wellknown.MemberNamespace(cluster) || !work.DeletionTimestamp.IsZero() {
			continue
		}
		err := client.Delete(ctx, work.Name, metav1.DeleteOptions{
			PropagationPolicy: &policy,
			Preconditions:     metav1.NewUIDPreconditions(string(work.UID)),
		})
		if err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("deleting AppliedWork %s: %w", work.Name, err))
		}
	}
	return errors.Join(failed...)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// On a member that is the hub nothing has an owner in the fleet's own store, so the applier does itself what the garbage collector does
// on other members.

// disownOwned takes the owner references to AppliedWorks off all that was placed on a hub by an earlier version, before anything else
// is done there. The annotation takes their place.
func (a *Applier) disownOwned(ctx context.Context) error {
	if !a.ownership.annotated {
		return nil
	}
	list, err := a.member.resource(appliedWorks, "").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing AppliedWorks: %w", err)
	}
	var failures []error
	for i := range list.Items {
		owner, err := toAppliedWork(&list.Items[i])
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if owner.Spec.WorkNamespace != wellknown.MemberNamespace(a.options.Cluster) {
			continue
		}
		for _, r := range owner.Status.AppliedResources {
			if err := a.disownOne(ctx, owner, r); err != nil {
				failures = append(failures, fmt.Errorf("taking AppliedWork %s out of the owners of %s %s/%s: %w", owner.Name, r.Kind, r.Namespace, r.Name, err))
			}
		}
	}
	return errors.Join(failures...)
}

func (a *Applier) disownOne(ctx context.Context, owner *v1beta1.AppliedWork, r v1beta1.AppliedResourceMeta) error {
	if r.Resource == "" {
		return nil
	}
	client := a.member.resource(resourceOf(r), r.Namespace)
	live, err := get(ctx, client, r.Name)
	if err != nil || live == nil {
		return err
	}
	if refs := live.GetOwnerReferences(); len(withoutOwners(refs, owner.Name)) == len(refs) {
		return nil
	}
	_, err = a.ownership.reown(ctx, client, live, []string{owner.Name}, owner)
	return err
}

// removeAnnotated removes what an AppliedWork alone owns, or leaves it as nobody's, and deletes the AppliedWork once nothing names it
// any more.
func (a *Applier) removeAnnotated(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, remove bool) error {
	var failures []error
	left := 0
	wanted := wish{}
	wanted.add(appliedWorks, keyOf(work.Name))
	done := sets.New[types.UID]()
	for _, r := range listedFor(work, owner) {
		if r.Resource == "" {
			continue
		}
		// The wish comes before the look, so that its going is not missed.
		wanted.add(resourceOf(r), types.NamespacedName{Namespace: r.Namespace, Name: r.Name})
		a.watches.set(work.Name, wanted)
		client := a.member.resource(resourceOf(r), r.Namespace)
		live, err := get(ctx, client, r.Name)
		if err == nil && live != nil && !done.Has(live.GetUID()) {
			owners := ownersOf(live, work.Name)
			done.Insert(live.GetUID())
			switch {
			case !owners.ours:
			case live.GetDeletionTimestamp() != nil:
				left++
			case !remove || len(owners.placements)+len(owners.others) > 0:
				_, err = a.ownership.reown(ctx, client, live, []string{work.Name}, nil)
			default:
				left++
				uid, foreground := live.GetUID(), metav1.DeletePropagationForeground
				err = client.Delete(ctx, r.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &foreground})
			}
		}
		if err != nil && !apierrors.IsNotFound(err) {
			failures = append(failures, fmt.Errorf("removing %s %s/%s from the member cluster: %w", r.Kind, r.Namespace, r.Name, ofMember(err)))
		}
	}
	if len(failures) > 0 || left > 0 {
		// What goes is an event that brings the Work back.
		return errors.Join(failures...)
	}
	err := a.member.resource(appliedWorks, "").Delete(ctx, owner.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &owner.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return ofMember(fmt.Errorf("deleting AppliedWork %s: %w", owner.Name, err))
	}
	return nil
}

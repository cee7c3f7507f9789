// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// handOverPatience is how long a removal waits for Works of other placements that are to get something and are not ready. Whoever has
// those must not keep it from ever ending. What they did not get is left on the member, and is nobody's until they take it over.
const handOverPatience = 10 * time.Minute

// remove takes from the member what was applied for a Work that is being deleted, where its deletion asks for that: a Work that only
// disappears, with its namespace or by a mistake, leaves everything. What another Work of the placement holds is handed over first.
// Deleting the AppliedWork in the foreground takes everything along that it alone owns; the Work goes when the AppliedWork is gone.
//
// It returns when to look again although nothing changes, 0 for never.
func (a *Applier) remove(ctx context.Context, work *v1beta1.Work) (time.Duration, error) {
	if !reconcile.HasFinalizer(work, wellknown.WorkCleanupFinalizer) {
		return 0, nil
	}
	a.watchRemoval(work.Name)

	owner, err := a.owner(ctx, work.Name)
	if err != nil {
		return 0, err
	}
	live, err := a.current(ctx, work)
	switch {
	case errors.Is(err, errStale):
		return 0, nil
	case err != nil:
		return 0, err
	}
	switch {
	case a.isHub:
	case owner != nil && owner.DeletionTimestamp != nil && isHeld(owner) && standsFor(owner, live) && (hasLost(live) || !isCollected(owner)):
		// Somebody else deletes it. What it owns is removed by one that is recreated: the garbage collector would not know of all of it.
		_, err := a.surrender(ctx, live, owner)
		return 0, err
	case hasLost(live) && (owner == nil || owner.DeletionTimestamp == nil):
		if live, owner, err = a.recreate(ctx, live, owner); err != nil {
			return 0, err
		}
	}
	switch {
	case owner == nil:
	case standsFor(owner, live):
		return a.removeApplied(ctx, live, owner)
	case !a.isHub && owner.DeletionTimestamp == nil && a.mayClaim(owner, live) == nil && marksRemoval(live):
		// It is of an earlier Work, and the first Work keeps and names what it has.
		a.waitsForParts(work.Name, true)
		all, err := a.readParts(ctx, live)
		if err != nil {
			return 0, err
		}
		if all.first != nil {
			if done, err := a.handOver(ctx, live, owner, all); err != nil || !done {
				return 0, err
			}
			if done, err := a.bequeath(ctx, live, owner, all.first); err != nil || !done {
				return 0, err
			}
		}
	}
	reconcile.RemoveFinalizer(live, wellknown.WorkCleanupFinalizer)
	_, err = a.works.Update(ctx, live, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("removing the finalizer of Work %s: %w", work.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Work removed from the member")
	return 0, nil
}

// standsFor reports whether an AppliedWork was made for this very Work. One without a note of its Work's uid was made by another
// implementation.
func standsFor(owner *v1beta1.AppliedWork, work *v1beta1.Work) bool {
	uid := owner.Annotations[workUIDAnnotation]
	return owner.Spec.WorkNamespace == work.Namespace && (uid == "" || uid == string(work.UID))
}

// marksRemoval reports whether what was applied for a Work is to go with it.
func marksRemoval(work *v1beta1.Work) bool {
	return work.Annotations[wellknown.DeletePropagationAnnotation] == string(v1beta1.DeletePropagationPolicyDelete)
}

func (a *Applier) removeApplied(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (time.Duration, error) {
	if owner.DeletionTimestamp != nil {
		if err := a.release(ctx, owner); err != nil {
			return 0, err
		}
		return a.tellRemaining(ctx, work, owner)
	}
	if a.isHub {
		return a.deleteOwner(ctx, work, owner, metav1.DeletePropagationOrphan)
	}
	a.waitsForParts(work.Name, true)
	all, err := a.readParts(ctx, work)
	if err != nil {
		return 0, err
	}
	if done, err := a.handOver(ctx, work, owner, all); err != nil || !done {
		return 0, err
	}
	remove := marksRemoval(work)
	if remove {
		switch all.fateOf(work) {
		case fateWait:
			// The Works that are written next bring this one back.
			return 0, nil
		case fateStay:
			klog.FromContext(ctx).Info("Leaving on the member what a Work has placed, since the next version has a Work of that name and is not written yet")
			remove = false
		}
	}
	// An adoption may not have been seen yet: the Work goes before it was applied once since. What was placed before it is not just let go
	// of, so that somebody names it.
	adopted := marksRemoval(work) && (isAdopted(owner) || a.adopts(owner, work))
	if adopted && all.first != nil {
		// The placement goes on, with fewer parts.
		if done, err := a.bequeath(ctx, work, owner, all.first); err != nil || !done {
			return 0, err
		}
	}
	if remove {
		others, err := a.readHeirs(ctx, work)
		if err != nil {
			return 0, err
		}
		waiting, err := a.handOverTo(ctx, work, owner, others.of)
		switch {
		case err != nil:
			return 0, err
		case len(waiting) > 0 && a.options.Clock.Now().Sub(work.DeletionTimestamp.Time) < handOverPatience:
			// Nothing tells when the other Work goes instead of getting it.
			return 0, fmt.Errorf("removing what Work %s has placed: another placement has an object of it too, and its Work is not ready to get it", work.Name)
		case len(waiting) > 0:
			klog.FromContext(ctx).Info("Leaving on the member what another placement has too and was not ready to get", "objects", len(waiting), "since", work.DeletionTimestamp)
			if err := a.disownAll(ctx, work.Name, waiting); err != nil {
				return 0, err
			}
		}
	}
	if adopted && all.first == nil {
		if err := a.disownLeftovers(ctx, work, owner); err != nil {
			return 0, err
		}
	}
	policy := metav1.DeletePropagationForeground
	if !remove {
		policy = metav1.DeletePropagationOrphan
	} else if err := a.disownStaying(ctx, work, owner); err != nil {
		return 0, err
	}
	return a.deleteOwner(ctx, work, owner, policy)
}

func (a *Applier) deleteOwner(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, policy metav1.DeletionPropagation) (time.Duration, error) {
	err := a.member.resource(appliedWorks, "").Delete(ctx, owner.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &owner.UID},
		PropagationPolicy: &policy,
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, ofMember(fmt.Errorf("deleting AppliedWork %s: %w", owner.Name, err))
	}
	klog.FromContext(ctx).V(2).Info("Removing from the member", "propagation", policy)
	if err == nil && !a.isHub {
		// Now the garbage collector has it.
		return 0, a.release(ctx, owner)
	}
	if apierrors.IsNotFound(err) {
		// Its going was no event any more.
		return a.remove(ctx, work)
	}
	return 0, nil
}

// disownLeftovers makes nobody's what stayed at an adoption, so that it does not go with the AppliedWork.
func (a *Applier) disownLeftovers(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) error {
	return a.disownAll(ctx, work.Name, leftoversOf(work, owner, decode(work.Spec.Workload.Manifests)))
}

// disownAll makes objects that an AppliedWork owns nobody's.
func (a *Applier) disownAll(ctx context.Context, owner string, resources []v1beta1.AppliedResourceMeta) error {
	var failures []error
	for _, r := range resources {
		if err := a.disown(ctx, owner, r); err != nil && !apierrors.IsNotFound(err) {
			failures = append(failures, fmt.Errorf("leaving %s %s/%s on the member cluster: %w", r.Kind, r.Namespace, r.Name, err))
		}
	}
	return errors.Join(failures...)
}

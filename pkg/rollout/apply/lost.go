// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// Somebody on a member may delete an AppliedWork, or its CustomResourceDefinition and so all of them. The member's garbage collector would
// then delete what they own, and all that is in its Namespaces. So an AppliedWork has a finalizer, and one that is being deleted while its
// Work is not lets go of what it owns before it goes: the Work notes what the AppliedWork said, then each object loses its owner and bears
// the AppliedWork's name instead, then the finalizer goes. The AppliedWork that is created after it says what the Work noted and owns the
// objects again, and the note goes last. Each step can be done again, and until the last one is done the note says that there are more.
//
// A deletion in the foreground is different: the garbage collector does not wait for finalizers of others, and begins at once.

// lostPause is when to look again for the kind AppliedWork, though an event should tell that it is there.
const lostPause = 5 * time.Second

const (
	// maxLost is how many bytes the note on an AppliedWork may have. All annotations of a Work share 256 KiB.
	maxLost = 128 << 10
	// maxUnpacked bounds what such a note is unpacked to: whoever may write to Works could make it any size.
	maxUnpacked = 8 << 20
)

// unknownKindError is that the member does not have the kind AppliedWork, or is about to lose it: somebody has deleted its
// CustomResourceDefinition.
type unknownKindError struct{ err error }

func (e *unknownKindError) Error() string {
	return fmt.Sprintf("the member cluster does not know the kind AppliedWork: its CustomResourceDefinition %s is recreated when the deletion of it is over: %v",
		storeid.MemberCRD, e.err)
}
func (e *unknownKindError) Unwrap() error { return e.err }

func isKindUnknown(err error) bool {
	var unknown *unknownKindError
	return errors.As(err, &unknown)
}

// isHeld reports whether an AppliedWork does not go before it has let go of what it owns.
func isHeld(owner *v1beta1.AppliedWork) bool {
	return reconcile.HasFinalizer(owner, wellknown.AppliedWorkFinalizer)
}

// isCollected reports whether the member's garbage collector has to do with an AppliedWork that is being deleted, before that goes.
func isCollected(owner *v1beta1.AppliedWork) bool {
	return reconcile.HasFinalizer(owner, metav1.FinalizerOrphanDependents) || reconcile.HasFinalizer(owner, metav1.FinalizerDeleteDependents)
}

// lost is what a Work notes of its AppliedWork.
type lost struct {
	Annotations map[string]string             `json:"annotations,omitempty"`
	Resources   []v1beta1.AppliedResourceMeta `json:"resources,omitempty"`
}

func (l *lost) pack() (string, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if err := errors.Join(json.NewEncoder(w).Encode(l), w.Close()); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

func unpackLost(text string) (*lost, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	l := &lost{}
	return l, json.NewDecoder(io.LimitReader(r, maxUnpacked)).Decode(l)
}

// hasLost reports whether a Work's AppliedWork was deleted on the member, and what it owned is not all owned again.
func hasLost(work *v1beta1.Work) bool {
	return work.Annotations[wellknown.LostAppliedWorkAnnotation] != ""
}

// lostOwner is a Work's AppliedWork as it was when it was deleted on the member, nil for a Work that notes none. A note that cannot be read
// says nothing: the objects bear the AppliedWork's name all the same.
func lostOwner(work *v1beta1.Work) *v1beta1.AppliedWork {
	if !hasLost(work) {
		return nil
	}
	l, err := unpackLost(work.Annotations[wellknown.LostAppliedWorkAnnotation])
	if err != nil {
		return nil
	}
	return &v1beta1.AppliedWork{
		ObjectMeta: metav1.ObjectMeta{Name: work.Name, Annotations: l.Annotations},
		Spec:       v1beta1.AppliedWorkSpec{WorkName: work.Name, WorkNamespace: work.Namespace},
		Status:     v1beta1.AppliedWorkStatus{AppliedResources: l.Resources},
	}
}

// secure has the AppliedWork not go before it has let go of what it owns, and has one that somebody deletes let go.
func (p *pass) secure(ctx context.Context) error {
	owner := p.record.owner
	if p.isHub || owner == nil || owner.Spec.WorkNamespace != p.work.Namespace || isHeld(owner) != (owner.DeletionTimestamp != nil) {
		return nil
	}
	live, err := p.current(ctx, p.work)
	if err != nil {
		return err
	}
	if owner.DeletionTimestamp == nil {
		if p.mayClaim(owner, live) != nil {
			// The claim says why.
			return nil
		}
		p.record.owner, err = p.setFinalizers(ctx, owner, append(slices.Clone(owner.Finalizers), wellknown.AppliedWorkFinalizer))
		if err != nil {
			p.record.owner = owner
		}
		return err
	}
	klog.FromContext(ctx).Info("AppliedWork is being deleted on the member: it lets go of what it owns, and is recreated")
	if p.work, err = p.surrender(ctx, live, owner); err != nil {
		return err
	}
	// It may wait for others.
	p.record.owner, err = p.owner(ctx, owner.Name)
	clear(p.record.results)
	p.ready = false
	return err
}

// surrender has an AppliedWork that somebody deletes on the member let go of what it owns, so that it goes alone. It returns the Work,
// which notes what the AppliedWork said.
func (a *Applier) surrender(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.Work, error) {
	if !isOfScope(owner, work) {
		// It is of a placement that is gone, and stands in the way of this one.
		return work, a.letGo(ctx, owner, owner.Status.AppliedResources, a.disown)
	}
	undeleted := owner.DeepCopy()
	undeleted.DeletionTimestamp = nil
	if err := a.mayClaim(undeleted, work); err != nil {
		return work, err
	}
	noted, err := a.noteLost(ctx, work, owner)
	if err != nil {
		return work, err
	}
	return noted, a.letGo(ctx, owner, listedFor(noted, owner), a.keep)
}

// surrenderUnknown is surrender for an AppliedWork whose Work the hub does not have: what it owns becomes nobody's.
func (a *Applier) surrenderUnknown(ctx context.Context, name string) error {
	owner, err := a.owner(ctx, name)
	if err != nil || owner == nil || owner.DeletionTimestamp == nil || !isHeld(owner) || owner.Spec.WorkNamespace != wellknown.MemberNamespace(a.options.Cluster) {
		return err
	}
	_, err = a.works.Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		// The cache is about to have it.
		return nil
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading Work %s: %w", name, err)
	}
	klog.FromContext(ctx).Info("AppliedWork without a Work is being deleted on the member: what it owns stays and is nobody's", "appliedWork", name)
	return a.letGo(ctx, owner, owner.Status.AppliedResources, a.disown)
}

// letGo takes an AppliedWork that is being deleted out of the owners of objects, and lets it go when that is done for all of them. Those
// whose end takes most along come first: a deletion in the foreground does not wait.
func (a *Applier) letGo(ctx context.Context, owner *v1beta1.AppliedWork, resources []v1beta1.AppliedResourceMeta,
	disown func(ctx context.Context, owner string, r v1beta1.AppliedResourceMeta) error) error {
	rank := func(r v1beta1.AppliedResourceMeta) int {
		if slices.Contains(keepsData, schema.GroupKind{Group: r.Group, Kind: r.Kind}) {
			return 0
		}
		return 1
	}
	resources = slices.Clone(resources)
	slices.SortStableFunc(resources, func(x, y v1beta1.AppliedResourceMeta) int { return cmp.Compare(rank(x), rank(y)) })
	err := reconcile.InParallel(ctx, parallelism, len(resources), func(i int) error {
		r := resources[i]
		// Objects change all the time, and the others are not to be looked at again for one that has.
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return disown(ctx, owner.Name, r) })
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("taking AppliedWork %s, which is being deleted on the member cluster, out of the owners of %s %s: %w",
				owner.Name, r.Kind, types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, err)
		}
		return nil
	})
	if err == nil {
		// What was not done before the context ended is no error of InParallel.
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return a.release(ctx, owner)
}

// keep takes an AppliedWork out of the owners of an object, which bears its name instead.
func (a *Applier) keep(ctx context.Context, owner string, r v1beta1.AppliedResourceMeta) error {
	client, live, err := a.member.lookUp(ctx, r)
	if err != nil || live == nil || !slices.ContainsFunc(live.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return isAppliedWork(ref) && ref.Name == owner }) {
		return err
	}
	return keepFor(ctx, client, live, owner)
}

// release takes the finalizer from an AppliedWork.
func (a *Applier) release(ctx context.Context, owner *v1beta1.AppliedWork) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := a.owner(ctx, owner.Name)
		if err != nil || live == nil || live.UID != owner.UID || !reconcile.RemoveFinalizer(live, wellknown.AppliedWorkFinalizer) {
			return err
		}
		_, err = a.setFinalizers(ctx, live, live.Finalizers)
		return reconcile.IgnoreNotFound(err)
	})
}

func (a *Applier) setFinalizers(ctx context.Context, owner *v1beta1.AppliedWork, finalizers []string) (*v1beta1.AppliedWork, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": finalizers, "resourceVersion": owner.ResourceVersion}})
	if err != nil {
		return nil, err
	}
	patched, err := a.member.resource(appliedWorks, "").Patch(ctx, owner.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return nil, ofMember(fmt.Errorf("writing the finalizers of AppliedWork %s: %w", owner.Name, err))
	}
	return toAppliedWork(patched)
}

// noteLost has a Work note what its AppliedWork says. Where there is no room for all that this lists, the rest stays on the member if the
// Work does not have it any more.
func (a *Applier) noteLost(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.Work, error) {
	note := &lost{Annotations: maps.Clone(owner.Annotations)}
	if note.Annotations == nil {
		note.Annotations = map[string]string{}
	}
	if !saysKeptNamespaces(owner, work) {
		note.Annotations[keptNamespacesAnnotation] = strings.Join(keptNamespaces(owner), ",")
	}
	var text string
	for _, resources := range [][]v1beta1.AppliedResourceMeta{
		listedFor(work, owner), leftoversOf(work, owner, decode(work.Spec.Workload.Manifests)), nil,
	} {
		note.Resources = slices.Clone(resources)
		for i := range note.Resources {
			note.Resources[i].UID, note.Resources[i].Ordinal = "", 0
		}
		var err error
		if text, err = note.pack(); err != nil {
			return nil, err
		}
		if len(text) <= maxLost {
			break
		}
		klog.FromContext(ctx).Info("A Work has no room for all that its AppliedWork lists", "objects", len(resources), "bytes", len(text))
	}
	if work.Annotations[wellknown.LostAppliedWorkAnnotation] == text {
		return work, nil
	}
	work = work.DeepCopy()
	metav1.SetMetaDataAnnotation(&work.ObjectMeta, wellknown.LostAppliedWorkAnnotation, text)
	updated, err := a.works.Update(ctx, work, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return nil, fmt.Errorf("noting in Work %s that its AppliedWork is being deleted on the member cluster: %w", work.Name, err)
	}
	return updated, nil
}

// recreate brings back the AppliedWork of a Work that notes the loss of it. owner is nil where the member has none yet.
func (a *Applier) recreate(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.Work, *v1beta1.AppliedWork, error) {
	owner, err := a.claim(ctx, work, owner)
	if err != nil {
		return work, nil, err
	}
	return a.restore(ctx, work, owner)
}

// restore has an AppliedWork list and own what the one before it listed and owned, after which the Work notes no loss any more.
func (a *Applier) restore(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.Work, *v1beta1.AppliedWork, error) {
	resources := listedFor(work, owner)
	// They are listed before they are owned: what is owned and not listed would be forgotten.
	if len(resources) > len(owner.Status.AppliedResources) {
		listing := owner.DeepCopy()
		listing.Status.AppliedResources = resources
		object, err := fromAppliedWork(listing)
		if err != nil {
			return work, owner, err
		}
		object, err = a.member.resource(appliedWorks, "").UpdateStatus(ctx, object, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
		if err != nil {
			return work, owner, ofMember(fmt.Errorf("writing the status of AppliedWork %s: %w", owner.Name, err))
		}
		if listing, err = toAppliedWork(object); err != nil {
			return work, owner, err
		}
		owner = listing
	}
	err := reconcile.InParallel(ctx, parallelism, len(resources), func(i int) error {
		r := resources[i]
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			client, live, err := a.member.lookUp(ctx, r)
			if err != nil || live == nil || !slices.Contains(keptFor(live), owner.Name) {
				return err
			}
			_, err = reown(ctx, client, live, []string{owner.Name}, owner)
			return err
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("giving %s %s back to AppliedWork %s: %w", r.Kind, types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, owner.Name, err)
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return work, owner, err
	}
	restored := work.DeepCopy()
	delete(restored.Annotations, wellknown.LostAppliedWorkAnnotation)
	if restored, err = a.works.Update(ctx, restored, metav1.UpdateOptions{FieldManager: wellknown.FieldManager}); err != nil {
		return work, owner, fmt.Errorf("noting in Work %s that its AppliedWork is back: %w", work.Name, err)
	}
	klog.FromContext(ctx).Info("AppliedWork is back and owns what it owned before", "appliedWork", owner.Name, "objects", len(resources))
	return restored, owner, nil
}

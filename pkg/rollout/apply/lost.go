// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
	"github.com/stagegate/stagegate/pkg/rules/loss"
)

// Somebody on a member may delete an AppliedWork, or its CustomResourceDefinition and so all of them. The member's garbage collector would
// then delete what they own, and all that is in its Namespaces. So an AppliedWork has a finalizer, and one that is being deleted while its
// Work is not lets go of what it owns before it goes: the Work notes what the AppliedWork said, then each object loses its owner and bears
// the AppliedWork's name instead, then the finalizer goes. The AppliedWork that is created after it lists what the Work noted and owns the
// objects again, and the note goes last. Each step can be done again, and until the last one is done the note says that there are more.
//
// Others may write the note too: whoever has the token of the member's agent. So it lists only where to look. What is the AppliedWork's, whether
// its namespace takes more, and since when it is kept, is what the objects on the member bear. No Work waits for good for what a note lists.
//
// A deletion in the foreground is different: the garbage collector does not wait for finalizers of others, and begins at once.

// lostPause is when to look again for the kind AppliedWork, though an event should tell that it is there.
const lostPause = 5 * time.Second

// restorePatience is how long a Work looks for what its AppliedWork listed, where the member refuses to show or change an object. That stays
// on the member, and belongs to no placement that does not have it.
const restorePatience = 10 * time.Minute

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

// hasLost reports whether a Work's AppliedWork was deleted on the member, and what it owned is not all owned again.
func hasLost(work *v1beta1.Work) bool {
	return work.Annotations[wellknown.LostAppliedWorkAnnotation] != ""
}

// readLost is what a Work notes, nothing where it notes nothing that can be: the objects bear the AppliedWork's name all the same.
func readLost(ctx context.Context, work *v1beta1.Work) *loss.Note {
	note, err := loss.Read(work)
	switch {
	case err != nil:
		klog.FromContext(ctx).Info("Ignoring what a Work notes of its AppliedWork that was deleted on the member", "work", klog.KObj(work), "reason", err)
	case note != nil:
		return note
	}
	return &loss.Note{}
}

// isRestoring reports whether the AppliedWork does not own yet all that the one before it owned.
func (p *pass) isRestoring() bool {
	if p.live != nil {
		return hasLost(p.live)
	}
	return hasLost(p.work)
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
	if !hasLost(work) {
		// Of a loss before this one nothing may have told that it was over.
		a.restored(work.Name)
	}
	adopted := a.adoptedAt(owner, work)
	keeps := keptNamespaces(owner)
	return noted, a.letGo(ctx, owner, listedFor(noted, owner), func(ctx context.Context, owner string, r v1beta1.AppliedResourceMeta) error {
		return a.keep(ctx, r, kept{owner: owner, adopted: adopted, namespace: isOfANamespace(work) && slices.Contains(keeps, r.Namespace)})
	})
}

// adoptedAt is since when what an AppliedWork lists is kept, as objects and AppliedWorks say it; empty for an AppliedWork that was not adopted.
func (a *Applier) adoptedAt(owner *v1beta1.AppliedWork, work *v1beta1.Work) string {
	now := a.options.Clock.Now().UTC().Format(time.RFC3339)
	switch since, err := time.Parse(time.RFC3339, owner.Annotations[wellknown.AdoptedAnnotation]); {
	case isAdopted(owner) && err == nil:
		return since.UTC().Format(time.RFC3339)
	case isAdopted(owner), len(owner.Status.AppliedResources) > 0 && a.adopts(owner, work):
		return now
	}
	return ""
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
	var containers, others []v1beta1.AppliedResourceMeta
	for _, r := range resources {
		if slices.Contains(keepsData, schema.GroupKind{Group: r.Group, Kind: r.Kind}) {
			containers = append(containers, r)
		} else {
			others = append(others, r)
		}
	}
	var err error
	for _, some := range [][]v1beta1.AppliedResourceMeta{containers, others} {
		err = errors.Join(err, reconcile.InParallel(ctx, parallelism, len(some), func(i int) error {
			r := some[i]
			// Objects change all the time, and the others are not to be looked at again for one that has.
			err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return disown(ctx, owner.Name, r) })
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("taking AppliedWork %s, which is being deleted on the member cluster, out of the owners of %s %s: %w",
					owner.Name, r.Kind, types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, err)
			}
			return nil
		}))
	}
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
func (a *Applier) keep(ctx context.Context, r v1beta1.AppliedResourceMeta, k kept) error {
	client, live, err := a.member.lookUp(ctx, r)
	if err != nil || live == nil || !slices.ContainsFunc(live.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return isAppliedWork(ref) && ref.Name == k.owner }) {
		return err
	}
	return keepFor(ctx, client, live, k)
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

// noteLost has a Work note what its AppliedWork lists, and what it has noted before. Where there is no room for all of it, the rest stays on
// the member if the Work does not have it any more.
func (a *Applier) noteLost(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.Work, error) {
	manifests := decode(work.Spec.Workload.Manifests)
	before := readLost(ctx, work)
	listed := listedFor(work, owner)
	all := objectsOf(work, listed, before.Objects)
	leftovers := objectsOf(work, leftoversOf(work, owner, manifests), nil)
	jobs := map[string]string{}
	for _, m := range manifests {
		if key := completedKey(m); m.isJob() {
			job := strings.TrimPrefix(key, completedPrefix)
			if hash := cmp.Or(owner.Annotations[key], before.Jobs[job]); len(hash) == maxCompletedHash {
				jobs[job] = hash
			}
		}
	}
	text, err := "", error(nil)
	// What others may have noted goes first.
	for _, note := range []loss.Note{
		{Jobs: jobs, Objects: all}, {Jobs: jobs, Objects: objectsOf(work, listed, nil)}, {Jobs: jobs, Objects: leftovers}, {Jobs: jobs}, {},
	} {
		if text, err = note.Pack(); !errors.Is(err, loss.ErrTooLarge) {
			break
		}
		klog.FromContext(ctx).Info("A Work has no room for all that its AppliedWork lists", "objects", len(note.Objects), "jobs", len(note.Jobs))
	}
	if err != nil {
		return nil, fmt.Errorf("noting in Work %s what its AppliedWork says, which is being deleted on the member cluster: %w", work.Name, err)
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

// objectsOf are the objects that are listed or noted and can be those of a Work's placement, each once.
func objectsOf(work *v1beta1.Work, listed []v1beta1.AppliedResourceMeta, noted []v1beta1.WorkResourceIdentifier) []v1beta1.WorkResourceIdentifier {
	var all []v1beta1.WorkResourceIdentifier
	seen := sets.New[identity]()
	add := func(id v1beta1.WorkResourceIdentifier) {
		if !seen.Has(identityOf(id)) && loss.IsPlaceable(work, id) {
			seen.Insert(identityOf(id))
			id.Ordinal = 0
			all = append(all, id)
		}
	}
	for _, r := range listed {
		add(r.WorkResourceIdentifier)
	}
	for _, id := range noted {
		add(id)
	}
	return all
}

// recreate brings back the AppliedWork of a Work that notes the loss of it. owner is nil where the member has none yet.
func (a *Applier) recreate(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.Work, *v1beta1.AppliedWork, error) {
	owner, err := a.claim(ctx, work, owner)
	if err != nil {
		return work, nil, err
	}
	return a.restore(ctx, work, owner)
}

// keptObject is an object that an AppliedWork owned until that was deleted on the member.
type keptObject struct {
	v1beta1.AppliedResourceMeta
	kept
}

// restore has an AppliedWork list and own what the one before it listed and owned, after which the Work notes no loss any more.
func (a *Applier) restore(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.Work, *v1beta1.AppliedWork, error) {
	patient := a.isPatient(work.Name)
	found, err := a.lookForKept(ctx, work, owner, patient)
	if err != nil {
		return work, owner, err
	}
	// What is kept, and what is listed, is known before anything is owned: what is owned and not listed would be forgotten.
	if owner, err = a.inheritMarks(ctx, work, owner, found); err != nil {
		return work, owner, err
	}
	if owner, err = a.listKept(ctx, owner, found); err != nil {
		return work, owner, err
	}
	err = reconcile.InParallel(ctx, parallelism, len(found), func(i int) error {
		r := found[i].AppliedResourceMeta
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			client, live, err := a.member.lookUp(ctx, r)
			if err != nil || live == nil || !slices.Contains(keptFor(live), owner.Name) {
				return err
			}
			_, err = reown(ctx, client, live, []string{owner.Name}, owner)
			return err
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return a.unrestored(ctx, owner, r, err, patient)
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
	a.restored(work.Name)
	klog.FromContext(ctx).Info("AppliedWork is back and owns what it owned before", "appliedWork", owner.Name, "objects", len(found))
	return restored, owner, nil
}

// isPatient reports whether the AppliedWork of a Work may take longer to get back what the one before it owned.
func (a *Applier) isPatient(work string) bool {
	now := a.options.Clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	since, known := a.restoring[work]
	if !known {
		since = now
		a.restoring[work] = now
	}
	return now.Sub(since) < restorePatience
}

// restored has a Work be patient again at the next loss.
func (a *Applier) restored(work string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.restoring, work)
}

// unrestored is what follows from an object that could not be given back: after a while nothing, so that nobody who writes the note, or
// holds the object, keeps the Work from going on. A member that does not answer says nothing about the object.
func (a *Applier) unrestored(ctx context.Context, owner *v1beta1.AppliedWork, r v1beta1.AppliedResourceMeta, err error, patient bool) error {
	err = fmt.Errorf("giving %s %s back to AppliedWork %s: %w", r.Kind, types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, owner.Name, err)
	if patient || isUnreachable(err) {
		return err
	}
	klog.FromContext(ctx).Info("Leaving on the member what an AppliedWork listed that was deleted there", "reason", err)
	return nil
}

// lookForKept finds the objects on the member that bear the name of an AppliedWork, among those that may.
func (a *Applier) lookForKept(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, patient bool) ([]keptObject, error) {
	listed := listedFor(work, owner)
	for _, m := range decode(work.Spec.Workload.Manifests) {
		if m.isListed() {
			listed = append(listed, v1beta1.AppliedResourceMeta{WorkResourceIdentifier: m.identifier()})
		}
	}
	all := objectsOf(work, listed, readLost(ctx, work).Objects)
	found := make([]*keptObject, len(all))
	err := reconcile.InParallel(ctx, parallelism, len(all), func(i int) error {
		r := v1beta1.AppliedResourceMeta{WorkResourceIdentifier: all[i]}
		gvr, live, err := a.member.find(ctx, r)
		switch {
		case err != nil:
			return a.unrestored(ctx, owner, r, err, patient)
		case live == nil:
			return nil
		}
		for _, k := range keptAs(live) {
			if k.owner == owner.Name {
				r.Resource, r.UID = gvr.Resource, live.GetUID()
				found[i] = &keptObject{AppliedResourceMeta: r, kept: k}
			}
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	var objects []keptObject
	for _, f := range found {
		if f != nil {
			objects = append(objects, *f)
		}
	}
	return objects, err
}

// inheritMarks has an AppliedWork say what the objects bear that it is about to own: that they are kept since an adoption, and that their
// namespace takes more.
func (a *Applier) inheritMarks(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork, found []keptObject) (*v1beta1.AppliedWork, error) {
	marked := owner.DeepCopy()
	now := a.options.Clock.Now().UTC().Format(time.RFC3339)
	for _, f := range found {
		if f.adopted != "" {
			since := f.adopted
			// They sort as times do.
			if _, err := time.Parse(time.RFC3339, since); err != nil || since > now {
				since = now
			}
			metav1.SetMetaDataAnnotation(&marked.ObjectMeta, wellknown.AdoptedAnnotation, max(since, marked.Annotations[wellknown.AdoptedAnnotation]))
		}
		if names := keptNamespaces(marked); f.namespace && isOfANamespace(work) && !slices.Contains(names, f.Namespace) {
			names = slices.DeleteFunc(append(names, f.Namespace), func(name string) bool { return name == "" })
			metav1.SetMetaDataAnnotation(&marked.ObjectMeta, keptNamespacesAnnotation, strings.Join(names, ","))
		}
	}
	if maps.Equal(marked.Annotations, owner.Annotations) {
		return owner, nil
	}
	object, err := fromAppliedWork(marked)
	if err != nil {
		return owner, err
	}
	object, err = a.member.resource(appliedWorks, "").Update(ctx, object, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return owner, ofMember(fmt.Errorf("writing AppliedWork %s: %w", owner.Name, err))
	}
	return toAppliedWork(object)
}

// listKept has an AppliedWork list the objects that it is about to own.
func (a *Applier) listKept(ctx context.Context, owner *v1beta1.AppliedWork, found []keptObject) (*v1beta1.AppliedWork, error) {
	listing := owner.DeepCopy()
	for _, f := range found {
		if !lists(owner, identityOf(f.WorkResourceIdentifier)) {
			listing.Status.AppliedResources = append(listing.Status.AppliedResources, f.AppliedResourceMeta)
		}
	}
	if len(listing.Status.AppliedResources) == len(owner.Status.AppliedResources) {
		return owner, nil
	}
	object, err := fromAppliedWork(listing)
	if err != nil {
		return owner, err
	}
	object, err = a.member.resource(appliedWorks, "").UpdateStatus(ctx, object, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return owner, ofMember(fmt.Errorf("writing the status of AppliedWork %s: %w", owner.Name, err))
	}
	return toAppliedWork(object)
}

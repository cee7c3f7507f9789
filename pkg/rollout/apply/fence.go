// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

// workUIDAnnotation on an AppliedWork is the uid of the Work that WorkGenerationAnnotation counts generations of: the generations of
// two Works of one name cannot be compared. workCreatedAnnotation is when that Work was created, by the clock of its store: of two
// Works of one name the one that was created later is the one that counts.
const (
	workUIDAnnotation     = wellknown.Prefix + "work-uid"
	workCreatedAnnotation = wellknown.Prefix + "work-created"
)

// errStale ends a pass whose Work has changed: the change is on its way.
var errStale = errors.New("the Work has changed")

// current reads a Work from the API and reports whether it still is what the caller has, deletion included. Nothing is written to a
// member on the word of a cache alone, which may belong to a leader that is none any more.
func (a *Applier) current(ctx context.Context, work *v1beta1.Work) (*v1beta1.Work, error) {
	live, err := a.works.Get(ctx, work.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, errStale
	case err != nil:
		return nil, fmt.Errorf("reading Work %s: %w", work.Name, err)
	case live.UID != work.UID || live.Generation != work.Generation,
		(live.DeletionTimestamp == nil) != (work.DeletionTimestamp == nil):
		return nil, errStale
	}
	return live, nil
}

// owner reads the AppliedWork of a Work, nil where there is none.
func (a *Applier) owner(ctx context.Context, name string) (*v1beta1.AppliedWork, error) {
	live, err := get(ctx, a.member.resource(appliedWorks, ""), name)
	if err != nil {
		return nil, fmt.Errorf("reading AppliedWork %s: %w", name, err)
	}
	if live == nil {
		return nil, nil
	}
	return toAppliedWork(live)
}

// claim makes the AppliedWork say that this generation of the Work is being applied. It fails where the AppliedWork is another
// member's, and where the member has seen a later state of the Work.
func (a *Applier) claim(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.AppliedWork, error) {
	claimed := &v1beta1.AppliedWork{
		ObjectMeta: metav1.ObjectMeta{Name: work.Name},
		Spec:       v1beta1.AppliedWorkSpec{WorkName: work.Name, WorkNamespace: work.Namespace},
	}
	if owner != nil {
		if err := a.mayClaim(owner, work); err != nil {
			return nil, err
		}
		if a.claims(owner, work) {
			return owner, nil
		}
		claimed = owner.DeepCopy()
	}
	if !a.isHub {
		reconcile.AddFinalizer(claimed, wellknown.AppliedWorkFinalizer)
	}
	annotate := func(key, value string) {
		if value != "" {
			metav1.SetMetaDataAnnotation(&claimed.ObjectMeta, key, value)
		}
	}
	if owner == nil {
		for key, value := range completedBeforeLoss(ctx, work) {
			annotate(key, value)
		}
	} else if !isAdopted(owner) {
		annotate(wellknown.AdoptedAnnotation, a.adoptedAt(owner, work))
	}
	annotate(wellknown.WorkGenerationAnnotation, strconv.FormatInt(work.Generation, 10))
	annotate(workUIDAnnotation, string(work.UID))
	annotate(workCreatedAnnotation, createdAt(work))
	annotate(wellknown.StoreIDAnnotation, a.options.Ruler.Store)
	annotate(wellknown.HubUIDAnnotation, a.options.Ruler.Hub)
	if !saysKeptNamespaces(claimed, work) {
		metav1.SetMetaDataAnnotation(&claimed.ObjectMeta, keptNamespacesAnnotation, strings.Join(keptNamespaces(owner), ","))
	}

	object, err := fromAppliedWork(claimed)
	if err != nil {
		return nil, err
	}
	client := a.member.resource(appliedWorks, "")
	if owner == nil {
		object, err = client.Create(ctx, object, metav1.CreateOptions{FieldManager: wellknown.FieldManager})
	} else {
		object, err = client.Update(ctx, object, metav1.UpdateOptions{FieldManager: wellknown.FieldManager})
	}
	switch {
	case owner == nil && (apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)):
		return nil, &unknownKindError{err}
	case err != nil:
		return nil, ofMember(fmt.Errorf("writing AppliedWork %s: %w", work.Name, err))
	}
	return toAppliedWork(object)
}

// mayClaim reports why an AppliedWork is not the Work's to claim, nil where it is.
func (a *Applier) mayClaim(owner *v1beta1.AppliedWork, work *v1beta1.Work) error {
	switch {
	case owner.Spec.WorkNamespace != work.Namespace:
		return storeid.OtherMemberOf(owner.Name, owner.Spec.WorkNamespace, work.Namespace)
	case !isOfScope(owner, work):
		return fmt.Errorf("AppliedWork %s on the member cluster is of a placement of the other scope, whose Works had the same names, and owns what that has "+
			"placed: if nothing has it any more, delete the AppliedWork with --cascade=orphan", owner.Name)
	}
	if seen := generationSeen(owner, work); seen > work.Generation {
		return fmt.Errorf("the member cluster has generation %d of the Work already, and this is generation %d: "+
			"if the Work was restored from a backup, remove the annotation %s from AppliedWork %s on the member cluster",
			seen, work.Generation, wellknown.WorkGenerationAnnotation, owner.Name)
	}
	// Both are times of one store in a format that sorts.
	if seen := owner.Annotations[workCreatedAnnotation]; owner.Annotations[workUIDAnnotation] != string(work.UID) &&
		owner.Annotations[wellknown.StoreIDAnnotation] == a.options.Ruler.Store && seen > createdAt(work) {
		return fmt.Errorf("the member cluster has a Work of this name that was created at %s, and this one was created at %s: "+
			"if the Work was restored from a backup, remove the annotation %s from AppliedWork %s on the member cluster",
			seen, createdAt(work), workCreatedAnnotation, owner.Name)
	}
	if owner.DeletionTimestamp != nil {
		return fmt.Errorf("AppliedWork %s is being deleted on the member cluster", owner.Name)
	}
	return nil
}

// claims reports whether an AppliedWork names this very generation of the Work.
func (a *Applier) claims(owner *v1beta1.AppliedWork, work *v1beta1.Work) bool {
	return owner.Spec.WorkNamespace == work.Namespace && generationSeen(owner, work) == work.Generation &&
		owner.Annotations[workCreatedAnnotation] == createdAt(work) && saysKeptNamespaces(owner, work) &&
		(a.options.Ruler.Store == "" || owner.Annotations[wellknown.StoreIDAnnotation] == a.options.Ruler.Store) &&
		(a.options.Ruler.Hub == "" || owner.Annotations[wellknown.HubUIDAnnotation] == a.options.Ruler.Hub)
}

// adopts reports whether an AppliedWork was last claimed by another than this Work of this store and hub. What it lists was then placed
// by somebody else, or from what a hub was before it was lost: that this Work does not have it means nothing.
func (a *Applier) adopts(owner *v1beta1.AppliedWork, work *v1beta1.Work) bool {
	hub := owner.Annotations[wellknown.HubUIDAnnotation]
	return owner.Annotations[workUIDAnnotation] != string(work.UID) ||
		owner.Annotations[wellknown.StoreIDAnnotation] != a.options.Ruler.Store ||
		// Earlier versions have not written it.
		hub != "" && hub != a.options.Ruler.Hub
}

// isAdopted reports whether nothing that an AppliedWork lists may be removed by itself.
func isAdopted(owner *v1beta1.AppliedWork) bool {
	return owner.Annotations[wellknown.AdoptedAnnotation] != ""
}

// generationSeen is the generation of this Work that the member has seen, 0 where it has seen none.
func generationSeen(owner *v1beta1.AppliedWork, work *v1beta1.Work) int64 {
	if owner.Annotations[workUIDAnnotation] != string(work.UID) {
		return 0
	}
	// An annotation that is not a number counts as none.
	seen, _ := strconv.ParseInt(owner.Annotations[wellknown.WorkGenerationAnnotation], 10, 64)
	return seen
}

func createdAt(work *v1beta1.Work) string {
	if work.CreationTimestamp.IsZero() {
		return ""
	}
	return work.CreationTimestamp.UTC().Format(time.RFC3339)
}

func toAppliedWork(object *unstructured.Unstructured) (*v1beta1.AppliedWork, error) {
	owner := &v1beta1.AppliedWork{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, owner); err != nil {
		return nil, fmt.Errorf("reading AppliedWork %s: %w", object.GetName(), err)
	}
	return owner, nil
}

func fromAppliedWork(owner *v1beta1.AppliedWork) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(owner)
	if err != nil {
		return nil, fmt.Errorf("writing AppliedWork %s: %w", owner.Name, err)
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(v1beta1.SchemeGroupVersion.WithKind(appliedWorkKind))
	return object, nil
}

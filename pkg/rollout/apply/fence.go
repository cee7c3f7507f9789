// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// workUIDAnnotation on an AppliedWork is the uid of the Work that WorkGenerationAnnotation counts generations of: the generations of
// two Works of one name cannot be compared.
const workUIDAnnotation = wellknown.Prefix + "work-uid"

// errStale ends a pass whose Work has changed: the change is on its way.
var errStale = errors.New("the Work has changed")

// current reads a Work from the API and says whether it still is what the caller has, deletion included. Nothing is written to a
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

// claim makes the AppliedWork say that this generation of the Work is being applied. It fails where the member has seen a later one.
func (a *Applier) claim(ctx context.Context, work *v1beta1.Work, owner *v1beta1.AppliedWork) (*v1beta1.AppliedWork, error) {
	claimed := &v1beta1.AppliedWork{
		ObjectMeta: metav1.ObjectMeta{Name: work.Name},
		Spec:       v1beta1.AppliedWorkSpec{WorkName: work.Name, WorkNamespace: work.Namespace},
	}
	if owner != nil {
		if owner.DeletionTimestamp != nil {
			return nil, fmt.Errorf("AppliedWork %s is being deleted on the member cluster", owner.Name)
		}
		if seen := generationSeen(owner, work); seen > work.Generation {
			return nil, fmt.Errorf("the member cluster has generation %d of the Work already, and this is generation %d: "+
				"if the Work was restored from a backup, remove the annotation %s from AppliedWork %s on the member cluster",
				seen, work.Generation, wellknown.WorkGenerationAnnotation, owner.Name)
		}
		if a.claims(owner, work) {
			return owner, nil
		}
		claimed = owner.DeepCopy()
	}
	if claimed.Annotations == nil {
		claimed.Annotations = map[string]string{}
	}
	claimed.Annotations[wellknown.WorkGenerationAnnotation] = strconv.FormatInt(work.Generation, 10)
	claimed.Annotations[workUIDAnnotation] = string(work.UID)
	if a.options.StoreID != "" {
		claimed.Annotations[wellknown.StoreIDAnnotation] = a.options.StoreID
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
	case apierrors.IsNotFound(err) && owner == nil:
		return nil, fmt.Errorf("the member cluster does not know the kind AppliedWork: %w", err)
	case err != nil:
		return nil, ofMember(fmt.Errorf("writing AppliedWork %s: %w", work.Name, err))
	}
	return toAppliedWork(object)
}

// claims says whether an AppliedWork names this very generation of the Work.
func (a *Applier) claims(owner *v1beta1.AppliedWork, work *v1beta1.Work) bool {
	return generationSeen(owner, work) == work.Generation &&
		(a.options.StoreID == "" || owner.Annotations[wellknown.StoreIDAnnotation] == a.options.StoreID)
}

// generationSeen is the generation of this Work that the member has seen, 0 where it has seen none.
func generationSeen(owner *v1beta1.AppliedWork, work *v1beta1.Work) int64 {
	if owner.Annotations[workUIDAnnotation] != string(work.UID) {
		return 0
	}
	// An annotation that is no number is as good as none.
	seen, _ := strconv.ParseInt(owner.Annotations[wellknown.WorkGenerationAnnotation], 10, 64)
	return seen
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

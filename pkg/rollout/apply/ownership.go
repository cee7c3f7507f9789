// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

const appliedWorkKind = "AppliedWork"

// owners of an object on a member, as an AppliedWork sees them.
type owners struct {
	// ours reports whether the AppliedWork of that name is among them.
	ours bool
	// placements are other AppliedWorks, others everything else.
	placements, others []string
}

func isAppliedWork(ref metav1.OwnerReference) bool {
	return ref.Kind == appliedWorkKind && strings.HasPrefix(ref.APIVersion, v1beta1.GroupName+"/")
}

// ownersOf goes by the names of AppliedWorks: there is one of each, and a reference with another uid is left over from an earlier one.
func ownersOf(live *unstructured.Unstructured, owner string) owners {
	var o owners
	add := func(appliedWork string) {
		switch {
		case appliedWork == owner:
			o.ours = true
		case appliedWork != "" && !slices.Contains(o.placements, appliedWork):
			o.placements = append(o.placements, appliedWork)
		}
	}
	for _, ref := range live.GetOwnerReferences() {
		if isAppliedWork(ref) {
			add(ref.Name)
		} else {
			o.others = append(o.others, ref.Kind+" "+ref.Name)
		}
	}
	add(live.GetAnnotations()[wellknown.AppliedWorkAnnotation])
	return o
}

// ownership is how an object is marked as an AppliedWork's. An owner reference is the rule: the object goes when the AppliedWork goes,
// unless somebody else owns it too. On a hub AppliedWorks are objects of the fleet's own store: with that store they would be gone,
// and the hub's garbage collector would delete all that was placed. So there an annotation names the AppliedWork.
type ownership struct{ annotated bool }

// refs are the owner references that an object of the AppliedWork has, of those that it has already.
func (o ownership) refs(existing []metav1.OwnerReference, owner *v1beta1.AppliedWork) []metav1.OwnerReference {
	refs := withoutOwners(existing, owner.Name)
	if o.annotated {
		return refs
	}
	return append(refs, metav1.OwnerReference{
		APIVersion:         v1beta1.SchemeGroupVersion.String(),
		Kind:               appliedWorkKind,
		Name:               owner.Name,
		UID:                owner.UID,
		BlockOwnerDeletion: ptr.To(true),
	})
}

// annotation is the value of AppliedWorkAnnotation on an object of the AppliedWork, empty for none.
func (o ownership) annotation(owner *v1beta1.AppliedWork) string {
	if o.annotated {
		return owner.Name
	}
	return ""
}

func withoutOwners(refs []metav1.OwnerReference, appliedWorks ...string) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(refs), func(ref metav1.OwnerReference) bool {
		return isAppliedWork(ref) && slices.Contains(appliedWorks, ref.Name)
	})
}

// reown takes AppliedWorks out of the owners of an object as it was read, and puts another in their place; nil for none. Nothing else
// of the object changes.
func (o ownership) reown(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured, from []string, to *v1beta1.AppliedWork) (*unstructured.Unstructured, error) {
	refs := withoutOwners(live.GetOwnerReferences(), from...)
	var annotation any
	if a := live.GetAnnotations()[wellknown.AppliedWorkAnnotation]; a != "" && !slices.Contains(from, a) {
		annotation = a
	}
	if to != nil {
		refs = o.refs(refs, to)
		if a := o.annotation(to); a != "" {
			annotation = a
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"ownerReferences": refs,
		"annotations":     map[string]any{wellknown.AppliedWorkAnnotation: annotation},
		"resourceVersion": live.GetResourceVersion(),
	}})
	if err != nil {
		return nil, err
	}
	changed, err := client.Patch(ctx, live.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: wellknown.FieldManager})
	return changed, ofMember(err)
}

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
	for _, ref := range live.GetOwnerReferences() {
		switch {
		case !isAppliedWork(ref):
			o.others = append(o.others, ref.Kind+" "+ref.Name)
		case ref.Name == owner:
			o.ours = true
		default:
			o.placements = append(o.placements, ref.Name)
		}
	}
	return o
}

// ownerReference makes an object the AppliedWork's: it goes when the AppliedWork goes, unless somebody else owns it too.
func ownerReference(owner *v1beta1.AppliedWork) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion:         v1beta1.SchemeGroupVersion.String(),
		Kind:               appliedWorkKind,
		Name:               owner.Name,
		UID:                owner.UID,
		BlockOwnerDeletion: ptr.To(true),
	}
}

// withOwner adds the AppliedWork, nil for none, to the owners of an object and drops what is left of an earlier one.
func withOwner(refs []metav1.OwnerReference, owner *v1beta1.AppliedWork) []metav1.OwnerReference {
	if owner == nil {
		return refs
	}
	return append(withoutOwners(refs, owner.Name), ownerReference(owner))
}

func withoutOwners(refs []metav1.OwnerReference, appliedWorks ...string) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(refs), func(ref metav1.OwnerReference) bool {
		return isAppliedWork(ref) && slices.Contains(appliedWorks, ref.Name)
	})
}

// reown takes AppliedWorks out of the owners of an object as it was read, and puts another in their place; nil for none. Nothing else
// of the object changes.
func reown(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured, from []string, to *v1beta1.AppliedWork) (*unstructured.Unstructured, error) {
	refs := withOwner(withoutOwners(live.GetOwnerReferences(), from...), to)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"ownerReferences": refs,
		"resourceVersion": live.GetResourceVersion(),
	}})
	if err != nil {
		return nil, err
	}
	changed, err := client.Patch(ctx, live.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: wellknown.FieldManager})
	return changed, ofMember(err)
}

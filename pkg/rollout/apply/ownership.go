// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

const appliedWorkKind = "AppliedWork"

// owners of an object on a member, as an AppliedWork sees them.
type owners struct {
	// ours says whether the AppliedWork of that name is among them.
	ours bool
	// placements are other AppliedWorks, others everything else.
	placements, others []string
}

func isAppliedWork(ref metav1.OwnerReference) bool {
	return ref.Kind == appliedWorkKind && strings.HasPrefix(ref.APIVersion, v1beta1.GroupName+"/")
}

// isOurs goes by the name: there is one AppliedWork of it, and a reference with another uid is left over from an earlier one.
func isOurs(ref metav1.OwnerReference, owner string) bool {
	return isAppliedWork(ref) && ref.Name == owner
}

func ownersOf(live *unstructured.Unstructured, owner string) owners {
	var o owners
	for _, ref := range live.GetOwnerReferences() {
		switch {
		case isOurs(ref, owner):
			o.ours = true
		case isAppliedWork(ref):
			o.placements = append(o.placements, ref.Name)
		default:
			o.others = append(o.others, ref.Kind+" "+ref.Name)
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

// withOwner adds the AppliedWork to the owners of an object and drops what is left of an earlier one.
func withOwner(refs []metav1.OwnerReference, owner *v1beta1.AppliedWork) []metav1.OwnerReference {
	return append(withoutOwner(refs, owner.Name), ownerReference(owner))
}

func withoutOwner(refs []metav1.OwnerReference, owner string) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(refs), func(ref metav1.OwnerReference) bool { return isOurs(ref, owner) })
}

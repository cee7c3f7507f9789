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

// kept is what an object bears of an AppliedWork that owned it when it was deleted on the member. It is said there and not on the hub, where
// whoever has the token of the member's agent could say it.
type kept struct {
	// owner is the name of the AppliedWork.
	owner string
	// adopted is since when the AppliedWork kept what it listed, empty where it did not.
	adopted string
	// namespace reports whether the AppliedWork said of the object's namespace that it takes more without being asked.
	namespace bool
}

// keptNamespaceMark says so in an annotation. What else is after the name is a time.
const keptNamespaceMark = "namespace"

func (k kept) String() string {
	text := k.owner
	if k.adopted != "" {
		text += "/" + k.adopted
	}
	if k.namespace {
		text += "/" + keptNamespaceMark
	}
	return text
}

// keptAs are what an object bears.
func keptAs(live *unstructured.Unstructured) []kept {
	text := live.GetAnnotations()[wellknown.KeptForAnnotation]
	if text == "" {
		return nil
	}
	var all []kept
	for entry := range strings.SplitSeq(text, ",") {
		name, marks, _ := strings.Cut(entry, "/")
		k := kept{owner: name}
		for mark := range strings.SplitSeq(marks, "/") {
			if mark == keptNamespaceMark {
				k.namespace = true
			} else if mark != "" {
				k.adopted = mark
			}
		}
		all = append(all, k)
	}
	return all
}

// keptFor are the AppliedWorks that owned an object when they were deleted on the member.
func keptFor(live *unstructured.Unstructured) []string {
	var names []string
	for _, k := range keptAs(live) {
		names = append(names, k.owner)
	}
	return names
}

// isPlaced reports whether some AppliedWork owns an object, or did until it was deleted on the member.
func isPlaced(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetOwnerReferences(), isAppliedWork) || len(keptFor(live)) > 0
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
	for _, name := range keptFor(live) {
		if name == owner {
			o.ours = true
		} else if !slices.Contains(o.placements, name) {
			o.placements = append(o.placements, name)
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
	left := slices.DeleteFunc(keptAs(live), func(k kept) bool { return slices.Contains(from, k.owner) || to != nil && k.owner == to.Name })
	return setOwners(ctx, client, live, withOwner(withoutOwners(live.GetOwnerReferences(), from...), to), left)
}

// keepFor takes an AppliedWork that goes out of the owners of an object as it was read, such that the object is still known as its own.
func keepFor(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured, owner kept) error {
	all := append(slices.DeleteFunc(keptAs(live), func(k kept) bool { return k.owner == owner.owner }), owner)
	_, err := setOwners(ctx, client, live, withoutOwners(live.GetOwnerReferences(), owner.owner), all)
	return err
}

func setOwners(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured,
	refs []metav1.OwnerReference, all []kept) (*unstructured.Unstructured, error) {
	metadata := map[string]any{"ownerReferences": refs, "resourceVersion": live.GetResourceVersion()}
	if !slices.Equal(all, keptAs(live)) {
		var said any
		if len(all) > 0 {
			entries := make([]string, len(all))
			for i := range all {
				entries[i] = all[i].String()
			}
			said = strings.Join(entries, ",")
		}
		metadata["annotations"] = map[string]any{wellknown.KeptForAnnotation: said}
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return nil, err
	}
	changed, err := client.Patch(ctx, live.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: wellknown.FieldManager})
	return changed, ofMember(err)
}

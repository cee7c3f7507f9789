// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/pager"

	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// dependent is an object of another group that an object of the fleet owns, such as the namespace of a member. The garbage collector of the hub
// deletes it once it is told that there is no such owner: that of a member's namespace takes all Works along.
type dependent struct {
	resource schema.GroupVersionResource
	object   *metav1.PartialObjectMetadata
}

func (d dependent) String() string {
	return describe(d.resource.GroupResource().String(), d.object.Namespace, d.object.Name)
}

// owners divides the owners of an object in those of the fleet and all others.
func (d dependent) owners() (fleet, others []metav1.OwnerReference) {
	for _, ref := range d.object.OwnerReferences {
		gv, err := schema.ParseGroupVersion(ref.APIVersion)
		if err == nil && slices.Contains(groups, gv.Group) {
			fleet = append(fleet, ref)
		} else {
			others = append(others, ref)
		}
	}
	return fleet, others
}

// dependents returns the objects of the hub that are owned by objects of the fleet, or were before an import.
func (h *hub) dependents(ctx context.Context) ([]dependent, error) {
	lists, err := discovery.ServerPreferredResources(h.kube.Discovery())
	if err != nil && !isOfServer(err) {
		return nil, fmt.Errorf("a part of the hub's API does not answer, and might have objects that members own: %w", err)
	}
	var found []dependent
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "patch"}}, lists) {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		if isServed(gv.Group) {
			continue
		}
		for _, r := range list.APIResources {
			resource := gv.WithResource(r.Name)
			if r.Name == "events" {
				continue
			}
			pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return h.metadata.Resource(resource).List(ctx, options)
			})
			pages.PageSize = pageSize
			err := pages.EachListItem(ctx, metav1.ListOptions{}, func(obj runtime.Object) error {
				d := dependent{resource: resource, object: obj.(*metav1.PartialObjectMetadata)}
				fleet, _ := d.owners()
				if _, was := d.object.Annotations[wellknown.ImportedOwnersAnnotation]; was || len(fleet) > 0 {
					found = append(found, d)
				}
				return nil
			})
			// A definition can go while its objects are listed.
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("looking for what members own among %s: %w", resource.GroupResource(), err)
			}
		}
	}
	return found, nil
}

// isOfServer reports whether nothing but groups of the server fail to answer: it does not run during an import, and has nothing that is looked for.
func isOfServer(err error) bool {
	failed, ok := discovery.GroupDiscoveryFailedErrorGroups(err)
	for gv := range failed {
		ok = ok && isServed(gv.Group)
	}
	return ok
}

// isServed reports whether the server has the objects of a group. They are what is moved, or are not there yet, and it does not answer meanwhile.
func isServed(group string) bool {
	return slices.Contains(groups, group) || group == rolloutv1alpha1.GroupName
}

// release takes the owners of the fleet off an object, and notes them on it for the way back: both in one write.
func (h *hub) release(ctx context.Context, d dependent) error {
	fleet, others := d.owners()
	if len(fleet) == 0 {
		return nil
	}
	noted, err := notedOwners(d.object)
	if err != nil {
		return err
	}
	for _, ref := range fleet {
		if !slices.ContainsFunc(noted, sameOwner(ref)) {
			noted = append(noted, ref)
		}
	}
	data, err := json.Marshal(noted)
	if err != nil {
		return err
	}
	return h.write(ctx, d, others, string(data))
}

// restore gives an object the owners of the fleet back that were taken off it, as far as they are there. It returns those that are not.
func (h *hub) restore(ctx context.Context, d dependent, there func(types.UID) bool) (missing []metav1.OwnerReference, err error) {
	noted, err := notedOwners(d.object)
	if err != nil || len(noted) == 0 {
		return nil, err
	}
	owners := d.object.OwnerReferences
	for _, ref := range noted {
		switch {
		case !there(ref.UID):
			missing = append(missing, ref)
		case !slices.ContainsFunc(owners, sameOwner(ref)):
			owners = append(owners, ref)
		}
	}
	return missing, h.write(ctx, d, owners, nil)
}

func (h *hub) write(ctx context.Context, d dependent, owners []metav1.OwnerReference, noted any) error {
	if owners == nil {
		owners = []metav1.OwnerReference{}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		// Another object of that name, or one that was changed since, is looked at again by the next import.
		"uid": d.object.UID, "resourceVersion": d.object.ResourceVersion,
		"ownerReferences": owners,
		"annotations":     map[string]any{wellknown.ImportedOwnersAnnotation: noted},
	}})
	if err != nil {
		return err
	}
	_, err = h.metadata.Resource(d.resource).Namespace(d.object.Namespace).Patch(ctx, d.object.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("owners of %s: %w", d, err)
	}
	return nil
}

func notedOwners(object *metav1.PartialObjectMetadata) ([]metav1.OwnerReference, error) {
	data, ok := object.Annotations[wellknown.ImportedOwnersAnnotation]
	if !ok {
		return nil, nil
	}
	var noted []metav1.OwnerReference
	if err := json.Unmarshal([]byte(data), &noted); err != nil {
		return nil, errors.Join(fmt.Errorf("annotation %s of %s cannot be read: correct or remove it", wellknown.ImportedOwnersAnnotation, object.Name), err)
	}
	return noted, nil
}

func sameOwner(a metav1.OwnerReference) func(metav1.OwnerReference) bool {
	return func(b metav1.OwnerReference) bool { return a.UID == b.UID }
}

// describe names an object in messages.
func describe(resource, namespace, name string) string {
	if namespace == "" {
		return resource + " " + name
	}
	return resource + " " + namespace + "/" + name
}

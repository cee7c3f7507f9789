// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/cluster/membercluster"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	placement "github.com/stagegate/stagegate/pkg/registry/placement/rest"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// groups are KubeFleet's.
var groups = []string{v1beta1.GroupName, clusterv1beta1.GroupName}

// resources are what is served of the groups, by group and plural.
func resources() map[schema.GroupResource]store.Resource {
	found := map[schema.GroupResource]store.Resource{}
	for _, r := range slices.Concat(placement.Table(), membercluster.Resources()) {
		found[r.GroupResource()] = r
	}
	return found
}

// imported is an object as it was read and as it is to be stored.
type imported struct {
	resource store.Resource
	object   store.Object
	// version is the resourceVersion of the hub at which it was read.
	version string
}

func (i imported) String() string {
	return describe(i.resource.GroupResource().String(), i.object.GetNamespace(), i.object.GetName())
}

// source is all that was read of a hub.
type source struct {
	objects []imported
	// definitions are the uids of the CustomResourceDefinitions that were read, by name.
	definitions map[string]types.UID
	// refused says of each object that cannot be taken which it is and why.
	refused []string
	// notes say what an administrator should know.
	notes []string
}

// read reads the objects of all definitions, and finds those that cannot be taken.
func (h *hub) read(ctx context.Context, maxBytes int) (*source, error) {
	definitions, err := h.definitions(ctx)
	if err != nil {
		return nil, err
	}
	s := &source{definitions: map[string]types.UID{}}
	served := resources()
	compressed := sets.New(placement.CompressedResources()...)
	for _, d := range definitions {
		s.definitions[d.name()] = d.uid
		if d.version() == "" {
			s.refused = append(s.refused, fmt.Sprintf("CustomResourceDefinition %s serves no version, so that its objects cannot be read: have it serve v1beta1", d.name()))
			continue
		}
		r, known := served[d.resource().GroupResource()]
		known = known && r.Namespaced == d.namespaced && slices.Contains(store.Versions(d.group), d.version())
		err := h.objects(ctx, d, func(u *unstructured.Unstructured) error {
			name := describe(d.name(), u.GetNamespace(), u.GetName())
			if !known {
				s.refused = append(s.refused, fmt.Sprintf("%s: Stagegate has no %s in version %s; delete it if it is not needed", name, d.name(), d.version()))
				return nil
			}
			object, err := decode(r, u)
			if err == nil {
				limit := maxBytes
				if compressed.Has(r.GroupResource()) {
					limit = 0
				}
				err = check(r, object, limit)
			}
			if err != nil {
				s.refused = append(s.refused, fmt.Sprintf("%s: %v", name, err))
				return nil
			}
			s.objects = append(s.objects, imported{resource: r, object: object, version: u.GetResourceVersion()})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// decode reads an object strictly: a field that Stagegate does not know would be lost.
func decode(r store.Resource, u *unstructured.Unstructured) (store.Object, error) {
	data, err := json.Marshal(u.Object)
	if err != nil {
		return nil, err
	}
	strict := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, jsonserializer.SerializerOptions{Strict: true})
	internal := schema.GroupVersion{Group: r.Group, Version: runtime.APIVersionInternal}
	decoded, err := runtime.Decode(scheme.Codecs.CodecForVersions(nil, strict, nil, internal), data)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read as Stagegate's %s: %w", r.Kind, err)
	}
	object, ok := decoded.(store.Object)
	if !ok {
		return nil, fmt.Errorf("it was read as %T", decoded)
	}
	object.SetResourceVersion("")
	object.SetSelfLink("")
	return object, nil
}

// request is the context in which the registry looks at an object: that of the server's own controllers, who are asked for no permission.
func request(ctx context.Context, r store.Resource, namespace, subresource string) context.Context {
	ctx = genericapirequest.WithNamespace(ctx, namespace)
	ctx = genericapirequest.WithUser(ctx, registry.Controllers())
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true, Verb: "create", APIGroup: r.Group, APIVersion: storageVersion(r.Group).Version, Namespace: namespace, Resource: r.Plural, Subresource: subresource,
	})
}

// storageVersion is that in which the objects of a group are stored: its hub version.
func storageVersion(group string) schema.GroupVersion {
	return schema.GroupVersion{Group: group, Version: v1beta1.SchemeGroupVersion.Version}
}

// check returns why an object could not be created and its status not be written, by the rules of its kind, or why it cannot be stored.
func check(r store.Resource, object store.Object, limit int) error {
	ctx := request(context.Background(), r, object.GetNamespace(), "")
	created := object.DeepCopyObject().(store.Object)
	// One that is being deleted is not created any more, but may go on.
	created.SetDeletionTimestamp(nil)
	created.SetDeletionGracePeriodSeconds(nil)
	if err := rest.BeforeCreate(r.Strategy, ctx, created); err != nil {
		return err
	}
	if r.StatusStrategy != nil {
		now, was := object.DeepCopyObject().(store.Object), object.DeepCopyObject().(store.Object)
		now.SetResourceVersion("1")
		was.SetResourceVersion("1")
		if err := rest.BeforeUpdate(r.StatusStrategy, request(ctx, r, object.GetNamespace(), "status"), now, was); err != nil {
			return err
		}
	}
	data, err := runtime.Encode(scheme.Codecs.LegacyCodec(storageVersion(r.Group)), object)
	if err != nil {
		return err
	}
	if limit > 0 && len(data) > limit {
		return fmt.Errorf("it has %d bytes of JSON, and at most %d can be stored: divide it into several objects, or remove what it does not need", len(data), limit)
	}
	return nil
}

// counts is how many objects there are of each resource.
func (s *source) counts() map[string]int {
	counts := map[string]int{}
	for _, i := range s.objects {
		counts[i.resource.GroupResource().String()]++
	}
	return counts
}

// countsText is counts for people, in the order of the names.
func countsText(counts map[string]int) string {
	var lines []string
	for _, resource := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%6d %s", counts[resource], resource))
	}
	return strings.Join(lines, "\n")
}

// digest stands for the names and uids of all objects.
func (s *source) digest() string {
	return digestOf(s.objects, func(i imported) string { return string(i.object.GetUID()) })
}

// state stands for the names, uids and resourceVersions of all objects, which tells whether anybody has written meanwhile.
func (s *source) state() string {
	return digestOf(s.objects, func(i imported) string { return string(i.object.GetUID()) + " " + i.version })
}

func digestOf(objects []imported, of func(imported) string) string {
	var lines []string
	for _, i := range objects {
		lines = append(lines, i.String()+" "+of(i)+"\n")
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}

// changed names objects that are not the same in two readings.
func (s *source) changed(later *source) []string {
	was := map[string]string{}
	for _, i := range s.objects {
		was[i.String()] = string(i.object.GetUID()) + " " + i.version
	}
	var names []string
	for _, i := range later.objects {
		if was[i.String()] != string(i.object.GetUID())+" "+i.version {
			names = append(names, i.String())
		}
		delete(was, i.String())
	}
	names = append(names, slices.Sorted(maps.Keys(was))...)
	return names
}

func (s *source) uids() sets.Set[types.UID] {
	uids := sets.New[types.UID]()
	for _, i := range s.objects {
		uids.Insert(i.object.GetUID())
	}
	return uids
}

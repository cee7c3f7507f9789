// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

var (
	appliedWorks = v1beta1.SchemeGroupVersion.WithResource("appliedworks")
	namespaces   = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	definitions  = schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	}
)

// member is the API of a member cluster.
type member struct {
	objects dynamic.Interface
	mapper  meta.ResettableRESTMapper
	// undiscovered returns why it is not known what the member serves of a group, nil where it is.
	undiscovered func(group string) error
	// informer makes one of a kind's metadata, in all namespaces. It is not running.
	informer func(schema.GroupVersionResource) cache.SharedIndexInformer
	// identify holds that the cluster is the member of the options, and reports whether it is the hub itself.
	identify func(ctx context.Context, options Options) (isHub bool, err error)
}

func connect(config *rest.Config) (*member, error) {
	config = rest.CopyConfig(config)
	if config.QPS == 0 && config.RateLimiter == nil {
		config.QPS = -1
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return connectWith(config, client)
}

func connectWith(config *rest.Config, client *http.Client) (*member, error) {
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	metadatas, err := metadata.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("making a client of metadata: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("making a client of discovery: %w", err)
	}
	kube, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	discovered := memory.NewMemCacheClient(kinds)
	m := &member{
		objects:      objects,
		mapper:       restmapper.NewDeferredDiscoveryRESTMapper(discovered),
		undiscovered: func(group string) error { return undiscovered(discovered, group) },
		informer: func(gvr schema.GroupVersionResource) cache.SharedIndexInformer {
			informer := metadatainformer.NewFilteredMetadataInformer(metadatas, gvr, metav1.NamespaceAll, 0, cache.Indexers{}, inPages)
			return informer.Informer()
		},
	}
	m.identify = func(ctx context.Context, options Options) (bool, error) { return identify(ctx, m, kube, options) }
	return m, nil
}

// identify holds that a cluster is the member that it is taken for: a kubeconfig may have been copied or swapped. It is joined, and
// says as what, by whoever looks after memberships.
func identify(ctx context.Context, m *member, kube kubernetes.Interface, options Options) (isHub bool, err error) {
	want := storeid.Membership{Ruler: options.Ruler, Member: options.Cluster, ClusterUID: options.ClusterUID}
	clusterUID, err := storeid.ClusterUID(ctx, kube)
	if err != nil {
		return false, ofMember(err)
	}
	if clusterUID == options.Ruler.Hub {
		if err := storeid.Verify(ctx, kube, wellknown.SystemNamespace, options.Ruler); err != nil {
			return false, err
		}
		return true, storeid.Mismatch(nil, clusterUID, want)
	}
	definition, err := get(ctx, m.resource(definitions, ""), storeid.MemberCRD)
	switch {
	case err != nil:
		return false, fmt.Errorf("reading CustomResourceDefinition %s: %w", storeid.MemberCRD, err)
	case definition == nil:
		return false, fmt.Errorf("the cluster has not joined: it has no CustomResourceDefinition %s", storeid.MemberCRD)
	}
	if err := storeid.Mismatch(definition.GetAnnotations(), clusterUID, want); err != nil {
		return false, err
	}
	if storeid.Undecided(definition.GetAnnotations()) {
		return false, fmt.Errorf("CustomResourceDefinition %s does not name the store, the hub and the member yet", storeid.MemberCRD)
	}
	return false, nil
}

// resolve finds the resource of a manifest's kind. A kind that is unknown is looked for once more in fresh discovery if the caller
// wants that.
func (m *member) resolve(man *manifest, refresh bool) error {
	kind := man.object.GroupVersionKind()
	mapping, err := m.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) && refresh {
		m.mapper.Reset()
		mapping, err = m.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	switch {
	case meta.IsNoMatchError(err):
		return err
	case err != nil:
		return ofMember(fmt.Errorf("looking for %s: %w", kind, err))
	case len(validation.IsDNS1035Label(mapping.Resource.Resource)) > 0:
		// It goes into statuses and into the paths of requests.
		return fmt.Errorf("discovery on the member cluster gives %s a resource of a name that none has", kind)
	}
	man.resolved(mapping)
	return nil
}

// lookUp reads an object that an AppliedWork lists, and returns a client for it. It returns no object where the member has none, or does
// not know the kind: then it was never applied.
func (m *member) lookUp(ctx context.Context, r v1beta1.AppliedResourceMeta) (dynamic.ResourceInterface, *unstructured.Unstructured, error) {
	gvr, live, err := m.find(ctx, r)
	if err != nil || live == nil {
		return nil, nil, err
	}
	return m.resource(gvr, r.Namespace), live, nil
}

// find is lookUp with the resource. A kind that was unknown when the list was made may have been defined since, and be served in other versions. What no
// object can be called, and a resource that is not read, was never applied: lists are read from statuses, which others write as well, and no removal
// waits for that.
func (m *member) find(ctx context.Context, r v1beta1.AppliedResourceMeta) (schema.GroupVersionResource, *unstructured.Unstructured, error) {
	gvr := schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Resource}
	if !isPossible(r.WorkResourceIdentifier) {
		return gvr, nil, nil
	}
	kind := schema.GroupKind{Group: r.Group, Kind: r.Kind}
	if r.Resource == "" {
		var err error
		if gvr, err = m.served(kind, r.Version); err != nil || gvr.Empty() {
			return gvr, nil, err
		}
	}
	live, err := m.resource(gvr, r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
	if isUnserved(err) {
		// The version is not served any more, which says nothing of the object.
		if gvr, err = m.served(kind, ""); err != nil || gvr.Empty() {
			return gvr, nil, err
		}
		live, err = m.resource(gvr, r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
		if isUnserved(err) {
			return gvr, nil, ofMember(fmt.Errorf("the member cluster lists %s, and does not serve it: %w", gvr, err))
		}
	}
	switch {
	case apierrors.IsMethodNotSupported(err), apierrors.IsNotFound(err):
		return gvr, nil, nil
	case err != nil:
		return gvr, nil, ofMember(err)
	case live.GroupVersionKind().GroupKind() != kind:
		// Whoever writes a status can list a Namespace as another kind, by which nobody would know what must stay. It is listed as what it is, or not
		// at all.
		return gvr, nil, nil
	}
	return gvr, live, nil
}

// served returns the resource of a kind, in a version if it is served in that, or an empty one where the member does not serve the kind. Discovery is asked
// afresh where no version is given, and before a kind counts as unserved. A group of which it cannot be told is an error: objects of an aggregated API
// that is away are there still.
func (m *member) served(kind schema.GroupKind, version string) (schema.GroupVersionResource, error) {
	mapping, err := m.mapper.RESTMapping(kind, version)
	if version == "" || meta.IsNoMatchError(err) {
		m.mapper.Reset()
		mapping, err = m.mapper.RESTMapping(kind)
	}
	if meta.IsNoMatchError(err) {
		if err = m.undiscovered(kind.Group); err == nil {
			return schema.GroupVersionResource{}, nil
		}
	}
	if err != nil {
		return schema.GroupVersionResource{}, ofMember(fmt.Errorf("looking for %s: %w", kind, err))
	}
	return mapping.Resource, nil
}

// undiscovered returns why discovery does not tell what is served of a group.
func undiscovered(discovered discovery.CachedDiscoveryInterface, group string) error {
	_, _, err := discovered.ServerGroupsAndResources()
	failed, isPartial := discovery.GroupDiscoveryFailedErrorGroups(err)
	if !isPartial {
		return err
	}
	for gv, err := range failed {
		if gv.Group == group {
			return fmt.Errorf("discovery of %s: %w", gv, err)
		}
	}
	return nil
}

// isUnserved reports whether a request has met no API: the answer is not one about an object.
func isUnserved(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// maxPathName is how long a name is looked up. An API server refuses a request whose path is too long; few kinds have names of more than 253.
const maxPathName = 1 << 10

// isPossible reports whether an object can be called this, so that its path can be asked for. The resource may not be known.
func isPossible(id v1beta1.WorkResourceIdentifier) bool {
	isSegment := func(name string) bool { return len(name) <= maxPathName && len(content.IsPathSegmentName(name)) == 0 }
	return id.Name != "" && isSegment(id.Name) && isSegment(id.Namespace) && id.Kind != "" && isSegment(id.Kind) &&
		(id.Group == "" || len(validation.IsDNS1123Subdomain(id.Group)) == 0) && len(validation.IsDNS1035Label(id.Version)) == 0 &&
		(id.Resource == "" || len(validation.IsDNS1035Label(id.Resource)) == 0)
}

func (m *member) client(man *manifest) dynamic.ResourceInterface {
	return m.resource(man.resource, man.key.Namespace)
}

func (m *member) resource(gvr schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return m.objects.Resource(gvr)
	}
	return m.objects.Resource(gvr).Namespace(namespace)
}

// stripped keeps of the metadata what watches look at, since there may be very many objects of a kind.
func stripped(obj any) (any, error) {
	if o, ok := obj.(*metav1.PartialObjectMetadata); ok {
		return &metav1.PartialObjectMetadata{
			TypeMeta: o.TypeMeta,
			ObjectMeta: metav1.ObjectMeta{
				Namespace:       o.Namespace,
				Name:            o.Name,
				ResourceVersion: o.ResourceVersion,

				DeletionTimestamp: o.DeletionTimestamp,
			},
		}, nil
	}
	return obj, nil
}

var _ cache.TransformFunc = stripped

// Pages are so small that the largest objects there can be do not make an answer that is refused as too large.
const (
	appliedWorksPage = 20
	metadataPage     = 100
)

// inPages has an informer list in small pages where it lists at all: from its watch cache, an API server would send all objects in one
// answer.
func inPages(options *metav1.ListOptions) {
	if !options.AllowWatchBookmarks {
		options.ResourceVersion, options.ResourceVersionMatch = "", ""
		options.Limit = metadataPage
	}
}

// eachAppliedWork calls f for each AppliedWork on the member.
func (m *member) eachAppliedWork(ctx context.Context, f func(*unstructured.Unstructured) error) error {
	var failed error
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return m.resource(appliedWorks, "").List(ctx, options)
	})
	pages.PageSize = appliedWorksPage
	err := pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		failed = f(object.(*unstructured.Unstructured))
		return failed
	})
	if failed != nil || err == nil {
		return failed
	}
	return ofMember(fmt.Errorf("listing AppliedWorks: %w", err))
}

// get reads an object; nil without an error means that there is none.
func get(ctx context.Context, client dynamic.ResourceInterface, name string) (*unstructured.Unstructured, error) {
	live, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, ofMember(err)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/fake"
	placementclient "github.com/stagegate/stagegate/pkg/generated/clientset/versioned/typed/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/storeid"
)

const (
	testCluster   = "member1"
	testNamespace = wellknown.MemberNamespacePrefix + testCluster
	testStore     = "store-1"
	testHub       = "hub-1"
)

var testTime = time.Date(2026, 11, 23, 2, 20, 0, 0, time.UTC)

// fakeMember is a member cluster in memory. Beyond the fake client it gives objects uids, resourceVersions and generations, refuses
// updates of what has changed since, keeps what is deleted as long as it has finalizers, and merges patches as an API server does. A server-side apply merges into what is there, which is
// enough where no field is dropped.
type fakeMember struct {
	// undiscovered is why discovery does not tell what is served.
	undiscovered error
	*dynamicfake.FakeDynamicClient
	mapper *fakeMapper

	mu      sync.Mutex
	version int
	failing func(verb, resource, name string) error
	// now is when objects with finalizers are deleted.
	now time.Time
}

type fakeMapper struct {
	*meta.DefaultRESTMapper
	mu     sync.Mutex
	resets int
	// hidden are kinds that discovery does not know before the next Reset.
	hidden map[string]bool
	// reveal is what a Reset brings to light.
	reveal map[string]bool
}

func (m *fakeMapper) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets++
	for kind := range m.reveal {
		delete(m.hidden, kind)
	}
}

func (m *fakeMapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hidden[gk.Kind] {
		return nil, &meta.NoKindMatchError{GroupKind: gk, SearchedVersions: versions}
	}
	return m.DefaultRESTMapper.RESTMapping(gk, versions...)
}

func newFakeMember() *fakeMember {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "example.com", Version: "v1"}})
	lists := map[schema.GroupVersionResource]string{}
	for _, kind := range []struct {
		gvk   schema.GroupVersionKind
		scope meta.RESTScope
	}{
		{schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot},
		{schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, meta.RESTScopeNamespace},
		{schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, meta.RESTScopeNamespace},
		{schema.GroupVersionKind{Version: "v1", Kind: "Service"}, meta.RESTScopeNamespace},
		{schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace},
		{schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}, meta.RESTScopeNamespace},
		{schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}, meta.RESTScopeNamespace},
		{schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}, meta.RESTScopeRoot},
		{v1beta1.SchemeGroupVersion.WithKind("AppliedWork"), meta.RESTScopeRoot},
	} {
		mapper.Add(kind.gvk, kind.scope)
		mapping, err := mapper.RESTMapping(kind.gvk.GroupKind(), kind.gvk.Version)
		if err != nil {
			panic(err)
		}
		lists[mapping.Resource] = kind.gvk.Kind + "List"
	}
	m := &fakeMember{
		FakeDynamicClient: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists),
		mapper:            &fakeMapper{DefaultRESTMapper: mapper, hidden: map[string]bool{}, reveal: map[string]bool{}},
		now:               testTime,
	}
	m.PrependReactor("*", "*", m.react)
	return m
}

func (m *fakeMember) member() *member {
	return &member{
		objects:      m,
		mapper:       m.mapper,
		undiscovered: func(string) error { return m.undiscovered },
		informer:     m.informer,
		identify:     func(context.Context, Options) (bool, error) { return false, nil },
	}
}

// informer watches from before it lists: the fake client keeps no history, and what happens between a list and its watch would be lost.
func (m *fakeMember) informer(gvr schema.GroupVersionResource) cache.SharedIndexInformer {
	client := m.Resource(gvr)
	var opened watch.Interface
	return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			var err error
			if opened, err = client.Watch(ctx, options); err != nil {
				return nil, err
			}
			// One that ends before it watches leaves nobody who reads, and the fake panics when that is full.
			context.AfterFunc(ctx, opened.Stop)
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return opened, nil },
	}, m), &unstructured.Unstructured{}, 0, cache.Indexers{})
}

// fail has the member answer with what f returns, where that is an error. Nil lets it answer again.
func (m *fakeMember) fail(f func(verb, resource, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = f
}

func (m *fakeMember) react(action clienttesting.Action) (bool, runtime.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := ""
	if named, ok := action.(interface{ GetName() string }); ok {
		name = named.GetName()
	}
	if m.failing != nil {
		if err := m.failing(action.GetVerb(), action.GetResource().Resource, name); err != nil {
			return true, nil, err
		}
	}
	gvr, namespace := action.GetResource(), action.GetNamespace()
	switch a := action.(type) {
	case clienttesting.CreateAction:
		if a.GetVerb() != "create" {
			break
		}
		object := a.GetObject().DeepCopyObject().(*unstructured.Unstructured)
		object.SetUID(types.UID(fmt.Sprintf("uid-%s-%d", object.GetName(), m.version)))
		object.SetGeneration(1)
		m.stamp(object)
		return true, object, m.Tracker().Create(gvr, object, namespace)
	case clienttesting.PatchActionImpl:
		return m.patch(a)
	case clienttesting.DeleteActionImpl:
		live, err := m.Tracker().Get(gvr, namespace, a.GetName())
		if err != nil || len(live.(*unstructured.Unstructured).GetFinalizers()) == 0 {
			break
		}
		object := live.(*unstructured.Unstructured).DeepCopy()
		if object.GetDeletionTimestamp() == nil {
			object.SetDeletionTimestamp(&metav1.Time{Time: m.now})
			m.stamp(object)
		}
		return true, object, m.Tracker().Update(gvr, object, namespace)
	}
	if a, ok := action.(clienttesting.UpdateActionImpl); ok {
		object := a.GetObject().DeepCopyObject().(*unstructured.Unstructured)
		live, err := m.Tracker().Get(gvr, namespace, object.GetName())
		if err != nil {
			return true, nil, err
		}
		if version := object.GetResourceVersion(); version != "" && version != live.(*unstructured.Unstructured).GetResourceVersion() {
			return true, nil, apierrors.NewConflict(gvr.GroupResource(), object.GetName(), errors.New("the object has been modified"))
		}
		if object.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0 {
			return true, object, m.Tracker().Delete(gvr, namespace, object.GetName())
		}
		m.stamp(object)
		return true, object, m.Tracker().Update(gvr, object, namespace)
	}
	return false, nil, nil
}

func (m *fakeMember) stamp(object *unstructured.Unstructured) {
	m.version++
	object.SetResourceVersion(strconv.Itoa(m.version))
}

func (m *fakeMember) patch(a clienttesting.PatchActionImpl) (bool, runtime.Object, error) {
	live, err := m.Tracker().Get(a.GetResource(), a.GetNamespace(), a.GetName())
	if err != nil && !(apierrors.IsNotFound(err) && a.GetPatchType() == types.ApplyPatchType) {
		return true, nil, err
	}
	exists := err == nil
	before := &unstructured.Unstructured{Object: map[string]any{}}
	if exists {
		before = live.(*unstructured.Unstructured).DeepCopy()
	}
	old, _ := json.Marshal(before.Object)
	var merged []byte
	switch a.GetPatchType() {
	case types.StrategicMergePatchType:
		typed, newErr := scheme.Scheme.New(before.GroupVersionKind())
		if newErr != nil {
			return true, nil, newErr
		}
		merged, err = strategicpatch.StrategicMergePatch(old, a.GetPatch(), typed)
	case types.JSONPatchType:
		var patch jsonpatch.Patch
		if patch, err = jsonpatch.DecodePatch(a.GetPatch()); err == nil {
			merged, err = patch.Apply(old)
		}
	default:
		var content []byte
		if content, err = yaml.YAMLToJSON(a.GetPatch()); err == nil {
			merged, err = jsonpatch.MergePatch(old, content)
		}
	}
	if err != nil {
		return true, nil, err
	}
	after := &unstructured.Unstructured{}
	if err := after.UnmarshalJSON(merged); err != nil {
		return true, nil, err
	}
	if exists && after.GetResourceVersion() != before.GetResourceVersion() {
		return true, nil, apierrors.NewConflict(a.GetResource().GroupResource(), a.GetName(), errors.New("the object has been modified"))
	}
	if len(a.PatchOptions.DryRun) > 0 {
		return true, after, nil
	}
	if exists && sameJSON(old, merged) {
		return true, after, nil
	}
	if after.GetUID() == "" {
		after.SetUID(types.UID("uid-" + after.GetName()))
	}
	m.stamp(after)
	if after.GetDeletionTimestamp() != nil && len(after.GetFinalizers()) == 0 {
		return true, after, m.Tracker().Delete(a.GetResource(), a.GetNamespace(), a.GetName())
	}
	if !exists {
		return true, after, m.Tracker().Create(a.GetResource(), after, a.GetNamespace())
	}
	return true, after, m.Tracker().Update(a.GetResource(), after, a.GetNamespace())
}

// put makes an object on the member, as somebody else does. The object is YAML.
func (m *fakeMember) put(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	object := parse(t, text)
	created, err := m.Resource(m.gvr(t, object)).Namespace(object.GetNamespace()).Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating %s: %v", object.GetName(), err)
	}
	return created
}

func (m *fakeMember) gvr(t testing.TB, object *unstructured.Unstructured) schema.GroupVersionResource {
	t.Helper()
	kind := object.GroupVersionKind()
	mapping, err := m.mapper.DefaultRESTMapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		t.Fatal(err)
	}
	return mapping.Resource
}

// change edits an object on the member, as somebody else does.
func (m *fakeMember) change(t *testing.T, gvr schema.GroupVersionResource, namespace, name string, edit func(*unstructured.Unstructured)) {
	t.Helper()
	object := m.get(t, gvr, namespace, name)
	if object == nil {
		t.Fatalf("no %s %s/%s on the member", gvr.Resource, namespace, name)
	}
	edit(object)
	if _, err := m.Resource(gvr).Namespace(namespace).Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// get reads an object, nil where there is none.
func (m *fakeMember) get(t *testing.T, gvr schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	object, err := m.Tracker().Get(gvr, namespace, name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return object.(*unstructured.Unstructured).DeepCopy()
}

// writes are the actions on a member that change something, AppliedWorks aside, as "verb resource/name".
func (m *fakeMember) writes() []string {
	var found []string
	for _, a := range m.Actions() {
		name := ""
		switch a := a.(type) {
		case clienttesting.PatchActionImpl:
			if len(a.PatchOptions.DryRun) > 0 {
				continue
			}
			name = a.GetName()
		case clienttesting.DeleteActionImpl:
			name = a.GetName()
		case clienttesting.CreateActionImpl:
			name = a.GetObject().(metav1.Object).GetName()
		case clienttesting.UpdateActionImpl:
			name = a.GetObject().(metav1.Object).GetName()
		default:
			continue
		}
		if a.GetResource() != appliedWorks {
			found = append(found, a.GetVerb()+" "+a.GetResource().Resource+"/"+name)
		}
	}
	return found
}

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := object.UnmarshalJSON(data); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return object
}

const (
	namespaceYAML = `{apiVersion: v1, kind: Namespace, metadata: {name: test-namespace}, spec: {finalizers: [kubernetes]}}`
	configMapYAML = `{apiVersion: v1, kind: ConfigMap, metadata: {name: test-cm, namespace: test-namespace}, data: {key: value1}}`
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

func newWork(t testing.TB, manifests ...string) *v1beta1.Work {
	t.Helper()
	return &v1beta1.Work{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: testNamespace, Name: "web-work", UID: "work-uid", Generation: 1,
			Finalizers: []string{wellknown.WorkCleanupFinalizer},
		},
		Spec: v1beta1.WorkSpec{Workload: v1beta1.WorkloadTemplate{Manifests: raw(t, manifests...)}},
	}
}

func raw(t testing.TB, manifests ...string) []v1beta1.Manifest {
	t.Helper()
	found := make([]v1beta1.Manifest, len(manifests))
	for i, text := range manifests {
		data, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		found[i].Raw = data
	}
	return found
}

// listing is a client of the API in memory, which cannot stream lists.
type listing struct{ placementclient.WorkInterface }

func (listing) IsWatchListSemanticsUnSupported() bool { return true }

// bench is an applier with a member and the API in memory. Passes are made by hand.
type bench struct {
	*Applier
	// name of the Work under test.
	name   string
	member *fakeMember
	api    *fake.Clientset
	clock  *clocktesting.FakePassiveClock
}

func newBench(t testing.TB, work *v1beta1.Work) *bench {
	t.Helper()
	b := &bench{name: work.Name, member: newFakeMember(), api: fake.NewClientset(work.DeepCopy()), clock: clocktesting.NewFakePassiveClock(testTime)}
	b.Applier = New(listing{b.api.PlacementV1beta1().Works(testNamespace)}, &rest.Config{}, Options{
		Cluster: testCluster, Ruler: storeid.Ruler{Store: testStore, Hub: testHub}, Clock: b.clock,
	})
	b.Applier.connect = func(*rest.Config) (*member, error) { return b.member.member(), nil }
	b.Applier.member = b.member.member()
	ctx, stop := context.WithCancel(t.Context())
	b.watches = newWatches(ctx, b.Applier.member.informer, func(string) {})
	t.Cleanup(func() {
		stop()
		b.watches.stopAll()
	})
	return b
}

// pass makes one pass with a cache that is up to date, and returns the Work after it.
func (b *bench) pass(t *testing.T) *v1beta1.Work {
	t.Helper()
	work, err := b.tryPass(t)
	if err != nil {
		t.Fatalf("pass: %v", err)
	}
	return work
}

func (b *bench) tryPass(t *testing.T) (*v1beta1.Work, error) {
	t.Helper()
	b.cacheUp(t)
	b.watchesUp(t)
	_, err := b.reconcileWork(t.Context(), b.name)
	return b.work(t), err
}

// cacheUp fills the cache with the Work as it is in the API.
func (b *bench) cacheUp(t *testing.T) {
	t.Helper()
	if work := b.work(t); work != nil {
		if err := b.informer.GetStore().Add(work); err != nil {
			t.Fatal(err)
		}
	}
}

// watchesUp waits until the watches have seen what is on the member.
func (b *bench) watchesUp(t *testing.T) {
	t.Helper()
	for gvr, keys := range b.watches.wishes[b.name] {
		for key := range keys {
			err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
				version, synced := b.watches.version(gvr, key)
				live := b.member.get(t, gvr, key.Namespace, key.Name)
				return synced && (live == nil && version == "" || live != nil && live.GetResourceVersion() == version), nil
			})
			if err != nil {
				t.Fatalf("watch of %s %s: %v", gvr.Resource, key, err)
			}
		}
	}
}

func (b *bench) work(t *testing.T) *v1beta1.Work {
	t.Helper()
	work, err := b.works.Get(t.Context(), b.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return work
}

// edit changes the Work in the API; a changed spec is a new generation.
func (b *bench) edit(t *testing.T, change func(*v1beta1.Work)) {
	t.Helper()
	work := b.work(t)
	change(work)
	if _, err := b.works.Update(t.Context(), work, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// condition is "Status Reason" of a manifest's condition, empty where there is none.
func condition(conditions []metav1.Condition, conditionType string) string {
	c := meta.FindStatusCondition(conditions, conditionType)
	if c == nil {
		return ""
	}
	return strings.Join([]string{string(c.Status), c.Reason}, " ")
}

func keyIn(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

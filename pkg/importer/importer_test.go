// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	fakediscovery "k8s.io/client-go/discovery/fake"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

const (
	hubUID    = "hub-uid"
	memberUID = types.UID("uid-memberclusters-sample")
	// storePrefix is that of storetest.
	storePrefix = "/registry"
)

// errKilled ends an import where a kill would.
var errKilled = errors.New("killed")

// fakeHub is a hub that was KubeFleet's, made up: an import is to be killed between any two steps of it, and its hub to misbehave.
type fakeHub struct {
	*hub
	dynamic  *dynamicfake.FakeDynamicClient
	metadata *metadatafake.FakeMetadataClient
	// away has the hub do nothing for an import that was killed: whoever is dead takes no policy away.
	away bool
	// lax has the hub let all writes through, and answer for the groups itself whatever it is told.
	lax bool
}

// newFakeHub has a valid object of every kind, and the namespace of a member that KubeFleet's agent has made.
func newFakeHub(t *testing.T, more ...*unstructured.Unstructured) *fakeHub {
	t.Helper()
	data, err := os.ReadFile("../../test/integration/testdata/samples.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var samples map[string]map[string]any
	if err := yaml.Unmarshal(data, &samples); err != nil {
		t.Fatal(err)
	}
	lists := map[schema.GroupVersionResource]string{
		crdResource: "CustomResourceDefinitionList", apiServiceResource: "APIServiceList",
		policyResource: "ValidatingAdmissionPolicyList", policyBindings: "ValidatingAdmissionPolicyBindingList",
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}: "ValidatingWebhookConfigurationList",
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}:   "MutatingWebhookConfigurationList",
	}
	var objects []runtime.Object
	for _, r := range resources() {
		for _, v := range []string{"v1", "v1beta1"} {
			lists[schema.GroupVersionResource{Group: r.Group, Version: v, Resource: r.Plural}] = r.Kind + "List"
		}
		objects = append(objects, crd(r.Group, r.Plural, r.Namespaced, "v1", "v1beta1"))
		if samples[r.Kind] == nil {
			t.Fatalf("there is no sample of %s", r.Kind)
		}
		objects = append(objects, sample(r, "sample", samples[r.Kind]))
	}
	for _, gv := range versions() {
		objects = append(objects, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
			"metadata": map[string]any{"name": gv.Version + "." + gv.Group, "labels": map[string]any{AutomanagedLabel: "onstart"}},
			"spec":     map[string]any{"group": gv.Group, "version": gv.Version, "groupPriorityMinimum": groupPriority, "versionPriority": localPriority},
		}})
	}
	for _, u := range more {
		gv := u.GroupVersionKind().GroupVersion()
		if u.GetKind() != "CustomResourceDefinition" {
			lists[gv.WithResource(strings.ToLower(u.GetKind())+"s")] = u.GetKind() + "List"
		}
		objects = append(objects, u)
	}
	owner := metav1.OwnerReference{APIVersion: "cluster.kubernetes-fleet.io/v1beta1", Kind: "MemberCluster", Name: "sample", UID: memberUID}
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "other", UID: "other"}
	partial := func(kind, name string, owners ...metav1.OwnerReference) runtime.Object {
		return &metav1.PartialObjectMetadata{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: kind},
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), OwnerReferences: owners, Annotations: map[string]string{"kept": "yes"}},
		}
	}
	s := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(s); err != nil {
		t.Fatal(err)
	}
	f := &fakeHub{
		dynamic:  dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists, objects...),
		metadata: metadatafake.NewSimpleMetadataClient(s, partial("Namespace", "fleet-member-sample", other, owner), partial("Namespace", "team")),
	}
	kube := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: hubUID}})
	// The fake clientset stores only kinds of its schema. A SelfSubjectReview is answered and not stored.
	kube.PrependReactor("create", "selfsubjectreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &authenticationv1.SelfSubjectReview{Status: authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: "admin"}}}, nil
	})
	kube.Discovery().(*fakediscovery.FakeDiscovery).Resources = []*metav1.APIResourceList{{
		GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "namespaces", Kind: "Namespace", Verbs: metav1.Verbs{"list", "patch"}}},
	}}
	f.dynamic.PrependReactor("patch", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if !slices.Contains(groups, action.GetResource().Group) {
			return false, nil, nil
		}
		if n, err := f.policies(); err != nil || n < 2 || f.lax {
			return true, nil, err
		}
		return true, nil, errors.New("ValidatingAdmissionPolicy '" + policyName + "' with binding '" + policyName + "' denied request: no")
	})
	f.dynamic.PrependReactor("list", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		gv := action.GetResource().GroupVersion()
		if f.lax || !slices.Contains(versions(), gv) {
			return false, nil, nil
		}
		apiService, err := f.dynamic.Tracker().Get(apiServiceResource, "", gv.Version+"."+gv.Group)
		if err != nil || isLocal(apiService.(*unstructured.Unstructured)) {
			return err != nil, nil, err
		}
		return true, nil, apierrors.NewServiceUnavailable("nobody serves it")
	})
	f.dynamic.PrependReactor("delete", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return f.away, nil, errKilled
	})
	f.hub = &hub{kube: kube, dynamic: f.dynamic, metadata: f.metadata}
	return f
}

// policies is how many of a policy and its binding the hub has, against writes to the objects.
func (f *fakeHub) policies() (n int, err error) {
	for _, resource := range []schema.GroupVersionResource{policyResource, policyBindings} {
		_, err := f.dynamic.Tracker().Get(resource, "", policyName)
		if err == nil {
			n++
		} else if !apierrors.IsNotFound(err) {
			return 0, err
		}
	}
	return n, nil
}

// isFrozen holds whether the hub refuses writes to the objects.
func (f *fakeHub) isFrozen(t *testing.T, want bool) {
	t.Helper()
	if n, err := f.policies(); err != nil || n > 0 != want {
		t.Errorf("the hub has %d policies against writes, want some: %t (%v)", n, want, err)
	}
}

func crd(group, plural string, namespaced bool, versions ...string) *unstructured.Unstructured {
	scope := "Cluster"
	if namespaced {
		scope = "Namespaced"
	}
	var served []any
	for _, v := range versions {
		served = append(served, map[string]any{"name": v, "served": true})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + group, "uid": "uid-" + plural},
		"spec":     map[string]any{"group": group, "scope": scope, "names": map[string]any{"plural": plural}, "versions": served},
	}}
}

func sample(r store.Resource, name string, content map[string]any) *unstructured.Unstructured {
	u := (&unstructured.Unstructured{Object: content}).DeepCopy()
	u.SetAPIVersion(r.Group + "/v1beta1")
	u.SetKind(r.Kind)
	u.SetName(name)
	u.SetUID(types.UID("uid-" + r.Plural + "-" + name))
	u.SetGeneration(7)
	u.SetCreationTimestamp(metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
	u.SetResourceVersion("42")
	u.SetLabels(map[string]string{"team": "a"})
	u.SetFinalizers([]string{"example.com/keep"})
	u.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Owner", Name: "o", UID: "o"}})
	if r.Namespaced {
		u.SetNamespace("sample-namespace")
	}
	return u
}

// fixture is an importer between a fake hub and a real etcd.
type fixture struct {
	*Importer
	hub *fakeHub
	out *bytes.Buffer
}

func newFixture(t *testing.T, hub *fakeHub, client *clientv3.Client, options storeOptions) *fixture {
	t.Helper()
	f := &fixture{hub: hub, out: &bytes.Buffer{}}
	f.Importer = &Importer{
		options: Options{
			Client: client, Prefix: storePrefix, RESTOptions: options, MaxBytes: 1 << 20, Out: f.out,
			Claim: func(context.Context, kubernetes.Interface) error { return nil },
		},
		hub:     hub.hub,
		store:   &target{client: client, prefix: storePrefix, options: options, storages: map[schema.GroupResource]*store.Storage{}},
		records: Records{Client: client, Prefix: storePrefix},
	}
	t.Cleanup(f.Close)
	return f
}

type storeOptions = storetest.Getter

func etcd(t *testing.T) (*clientv3.Client, storeOptions) {
	t.Helper()
	options := storetest.Etcd(t)
	client, err := clientv3.New(clientv3.Config{Endpoints: options.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, options
}

// keys are those of the store with the values, but for the record.
func keys(t *testing.T, client *clientv3.Client) map[string]string {
	t.Helper()
	response, err := client.Get(t.Context(), storePrefix+"/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, kv := range response.Kvs {
		if key := string(kv.Key); key != storePrefix+"/"+recordKey {
			found[key] = string(kv.Value)
		}
	}
	return found
}

func (f *fakeHub) namespace(t *testing.T, name string) *metav1.PartialObjectMetadata {
	t.Helper()
	namespace, err := f.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace
}

func (f *fakeHub) local(t *testing.T) int {
	t.Helper()
	found, err := f.apiServices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, apiService := range found {
		_, automanaged := apiService.GetLabels()[AutomanagedLabel]
		if isLocal(apiService) != automanaged {
			t.Errorf("%s is local: %t, and is automanaged: %t", apiService.GetName(), isLocal(apiService), automanaged)
		}
		if isLocal(apiService) {
			n++
		}
	}
	return n
}

func (f *fakeHub) isMoved(t *testing.T) {
	t.Helper()
	f.isFrozen(t, false)
	if n := f.local(t); n != 0 {
		t.Errorf("the hub answers for %d versions itself", n)
	}
	namespace := f.namespace(t, "fleet-member-sample")
	if refs := namespace.OwnerReferences; len(refs) != 1 || refs[0].UID != "other" {
		t.Errorf("the namespace of the member has owners %v", refs)
	}
	if namespace.Annotations[wellknown.ImportedOwnersAnnotation] == "" || namespace.Annotations["kept"] != "yes" {
		t.Errorf("the namespace of the member has annotations %v", namespace.Annotations)
	}
}

func (f *fakeHub) isBack(t *testing.T) {
	t.Helper()
	f.isFrozen(t, false)
	if n := f.local(t); n != len(versions()) {
		t.Errorf("the hub answers for %d versions itself", n)
	}
	namespace := f.namespace(t, "fleet-member-sample")
	if refs := namespace.OwnerReferences; len(refs) != 2 || refs[1].UID != memberUID {
		t.Errorf("the namespace of the member has owners %v", refs)
	}
	if diff := cmp.Diff(map[string]string{"kept": "yes"}, namespace.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestAnImportKeepsEverythingAndCanBeTakenBack(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	if err := f.DryRun(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, f.out)
	}
	if got := keys(t, client); len(got) > 0 || f.hub.local(t) != len(versions()) {
		t.Errorf("a dry run has written %v", got)
	}
	if !strings.Contains(f.out.String(), "Would take off namespaces fleet-member-sample its owner MemberCluster sample") {
		t.Errorf("a dry run says\n%s", f.out)
	}
	for range 2 {
		if err := f.Import(t.Context()); err != nil {
			t.Fatalf("%v\n%s", err, f.out)
		}
		f.hub.isMoved(t)
		if got := keys(t, client); len(got) != len(resources()) {
			t.Errorf("the store has %d objects, want %d", len(got), len(resources()))
		}
	}
	if record, err := f.records.Get(t.Context()); err != nil || len(record.Definitions) != len(resources()) || record.Definitions["works.placement.kubernetes-fleet.io"] != "uid-works" {
		t.Errorf("the record has the definitions of %+v (%v)", record, err)
	}
	for key, value := range keys(t, client) {
		for _, kept := range []string{`"uid":"uid-`, `"generation":7`, `"creationTimestamp":"2026-01-02T03:04:05Z"`, `"team":"a"`, `"example.com/keep"`, `"kind":"Owner"`} {
			if !strings.Contains(value, kept) {
				t.Errorf("%s has lost %s:\n%s", key, kept, value)
			}
		}
		if strings.Contains(value, `"resourceVersion"`) {
			t.Errorf("%s has the resourceVersion of the hub", key)
		}
	}
	if err := f.Back(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.hub.isBack(t)
	if got := keys(t, client); len(got) > 0 {
		t.Errorf("the store has %d objects", len(got))
	}
	if err := f.Back(t.Context()); err == nil {
		t.Error("it went back twice")
	}
	if err := f.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.hub.isMoved(t)
}

// TestAnImportThatWasKilledGoesOn kills an import before each of its steps, and then the way back, and holds that the next attempt ends as if
// nothing had happened.
func TestAnImportThatWasKilledGoesOn(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	var want map[string]string
	// killAt runs a part of an import that is killed at a step, and reports whether the part has as many.
	killAt := func(step int, run func(context.Context) error) bool {
		t.Helper()
		n := 0
		f.options.Between = func(string) error {
			if n++; n == step {
				f.hub.away = true
				return errKilled
			}
			return nil
		}
		err := run(t.Context())
		f.options.Between, f.hub.away = nil, false
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", step, err)
		}
		return err != nil
	}
	steps := 0
	for step, more := 1, true; more; step++ {
		forth := killAt(step, f.Import)
		if err := f.Import(t.Context()); err != nil {
			t.Fatalf("again after step %d: %v", step, err)
		}
		f.hub.isMoved(t)
		if got := keys(t, client); want == nil {
			want = got
		} else if !maps.Equal(want, got) {
			t.Fatalf("killed at step %d, the store differs:\n%s", step, cmp.Diff(want, got))
		}
		back := killAt(step, f.Back)
		if back {
			if err := f.Back(t.Context()); err != nil {
				t.Fatalf("back again after step %d: %v", step, err)
			}
		}
		f.hub.isBack(t)
		if got := keys(t, client); len(got) > 0 {
			t.Fatalf("killed at step %d of the way back, the store has %d objects", step, len(got))
		}
		if more = forth || back; more {
			steps = step
		}
	}
	if steps < len(resources()) {
		t.Errorf("there were %d steps", steps)
	}
}

func TestTheWayBackEndsWithTheFirstWrite(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	if err := f.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := slices.Sorted(maps.Keys(keys(t, client)))[0]
	value := keys(t, client)[key]
	put := func(key string) {
		t.Helper()
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	refuses := func(want string) {
		t.Helper()
		err := f.Back(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		f.hub.isMoved(t)
	}
	if _, err := client.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	refuses(fmt.Sprintf("%d objects were imported and %d are there", len(resources()), len(resources())-1))
	put(key)
	refuses("objects were written since the import, such as " + strings.TrimPrefix(key, storePrefix+"/"))
	if err := f.records.Begin(t.Context(), metav1.Now()); err != nil {
		t.Fatal(err)
	}
	refuses("controllers have worked on the objects since")
	if len(keys(t, client)) != len(resources()) {
		t.Error("objects are lost")
	}
}

func TestControllersDoNotBeginBeforeTheImportIsComplete(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	if err := f.records.Begin(t.Context(), metav1.Now()); err == nil || err.Error() != TakenBack {
		t.Errorf("without a record: %v", err)
	}
	f.options.Between = func(step string) error {
		if step == "complete" {
			return errKilled
		}
		return nil
	}
	if err := f.Import(t.Context()); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if err := f.records.Begin(t.Context(), metav1.Now()); err == nil || !strings.Contains(err.Error(), "not complete (Switching)") {
		t.Errorf("begin: %v", err)
	}
	f.options.Between = nil
	if err := f.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.records.Begin(t.Context(), metav1.Now()); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeTakenIsNamedAndNothingIsWritten(t *testing.T) {
	memberClusters := resources()[schema.GroupResource{Group: "cluster.kubernetes-fleet.io", Resource: "memberclusters"}]
	member := func(name string, spec map[string]any) *unstructured.Unstructured {
		return sample(memberClusters, name, map[string]any{"spec": spec})
	}
	identity := map[string]any{"kind": "User", "name": "agent", "apiGroup": "rbac.authorization.k8s.io"}
	gadget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "Gadget", "metadata": map[string]any{"name": "g"},
	}}
	old := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "placement.kubernetes-fleet.io/v1alpha1", "kind": "Widget", "metadata": map[string]any{"name": "w"},
	}}
	for name, tc := range map[string]struct {
		more []*unstructured.Unstructured
		want string
	}{
		"an invalid object": {[]*unstructured.Unstructured{member("a.b", map[string]any{"identity": identity})}, "memberclusters.cluster.kubernetes-fleet.io a.b: "},
		"an unknown field": {[]*unstructured.Unstructured{member("a", map[string]any{"identity": identity, "shape": "round"})},
			`memberclusters.cluster.kubernetes-fleet.io a: it cannot be read as Stagegate's MemberCluster: `},
		"an unknown kind":    {[]*unstructured.Unstructured{crd("placement.kubernetes-fleet.io", "gadgets", false, "v1beta1"), gadget}, "gadgets.placement.kubernetes-fleet.io g: Stagegate has no"},
		"an unknown version": {[]*unstructured.Unstructured{crd("placement.kubernetes-fleet.io", "widgets", false, "v1alpha1"), old}, "Stagegate has no widgets.placement.kubernetes-fleet.io in version v1alpha1"},
	} {
		t.Run(name, func(t *testing.T) {
			client, options := etcd(t)
			f := newFixture(t, newFakeHub(t, tc.more...), client, options)
			for _, run := range []func(context.Context) error{f.DryRun, f.Import} {
				f.out.Reset()
				if err := run(t.Context()); err == nil || !strings.Contains(err.Error(), "1 objects cannot be taken") {
					t.Errorf("%v", err)
				}
				if !strings.Contains(f.out.String(), tc.want) {
					t.Errorf("it says\n%s", f.out)
				}
			}
			if record, err := f.records.Get(t.Context()); record != nil || err != nil || len(keys(t, client)) > 0 {
				t.Errorf("written: %v, %v", record, err)
			}
			f.hub.isBack(t)
		})
	}
}

func TestAnImportTakesAnEmptyStoreAndAHubThatHoldsStill(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	const mine = storePrefix + "/rollout.stagegate.dev/rolloutpolicies/team/mine"
	if _, err := client.Put(t.Context(), mine, "{}"); err != nil {
		t.Fatal(err)
	}
	if err := f.Import(t.Context()); err == nil || !strings.Contains(err.Error(), "rollout.stagegate.dev/rolloutpolicies/team/mine") {
		t.Errorf("%v", err)
	}
	if _, err := client.Delete(t.Context(), mine); err != nil {
		t.Fatal(err)
	}

	members := schema.GroupVersionResource{Group: "cluster.kubernetes-fleet.io", Version: "v1beta1", Resource: "memberclusters"}
	f.options.Between = func(step string) error {
		if step != "compare" {
			return nil
		}
		member, err := f.hub.dynamic.Resource(members).Get(t.Context(), "sample", metav1.GetOptions{})
		if err != nil {
			return err
		}
		member.SetResourceVersion("43")
		_, err = f.hub.dynamic.Resource(members).Update(t.Context(), member, metav1.UpdateOptions{})
		return err
	}
	if err := f.Import(t.Context()); err == nil || !strings.Contains(err.Error(), "such as memberclusters.cluster.kubernetes-fleet.io sample: stop KubeFleet's agents") {
		t.Errorf("%v", err)
	}
	if n := f.hub.local(t); n != len(versions()) {
		t.Error("the hub was switched to a store that lacks a change")
	}
	f.hub.isFrozen(t, false)

	// A write that comes after the comparison is refused: the policy stays from before it until nobody reaches the objects any more, whoever is killed.
	for _, killed := range []string{"owners", "objects", "compare", "switch", "thaw"} {
		f.options.Between = func(step string) error {
			if step == killed {
				f.hub.away = true
				return errKilled
			}
			return nil
		}
		if err := f.Import(t.Context()); !errors.Is(err, errKilled) {
			t.Fatalf("%s: %v", killed, err)
		}
		f.hub.isFrozen(t, true)
		f.hub.away = false
	}
	f.options.Between = nil
	if err := f.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.hub.isMoved(t)
}

// A hub that lets writes through is not one whose objects could be compared.
func TestAHubThatCannotBeFrozenIsNotMoved(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	f.hub.lax = true
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := f.Import(ctx); err == nil || !strings.Contains(err.Error(), "does not go by ValidatingAdmissionPolicy stagegate-import") || !strings.Contains(err.Error(), "was let through") {
		t.Errorf("%v", err)
	}
	f.hub.isBack(t)
	if got := keys(t, client); len(got) > 0 {
		t.Errorf("the store has %d objects", len(got))
	}
}

// As long as the hub answers itself, its objects could change, and the change would be lost.
func TestAHubThatStillAnswersStaysFrozen(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	f.options.Between = func(step string) error {
		f.hub.lax = step == "switch"
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := f.Import(ctx); err == nil || !strings.Contains(err.Error(), "the hub does not pass its API on yet") || !strings.Contains(err.Error(), "answered in") {
		t.Fatalf("%v", err)
	}
	f.hub.isFrozen(t, true)
	if record, err := f.records.Get(t.Context()); err != nil || record.Phase != Switching {
		t.Errorf("%+v (%v)", record, err)
	}
	f.hub.lax = false
	f.options.Between = nil
	if err := f.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.hub.isMoved(t)
}

// onText does something when somebody is told a text.
type onText struct {
	text string
	do   func()
}

func (o onText) Write(p []byte) (int, error) {
	if strings.Contains(string(p), o.text) {
		o.do()
	}
	return len(p), nil
}

// Of two imports into one store only the one that began last may end: the other one does not know what was thrown away since.
func TestAnImportThatAnotherHasTakenOverDoesNotEnd(t *testing.T) {
	client, options := etcd(t)
	hub := newFakeHub(t)
	first, second := newFixture(t, hub, client, options), newFixture(t, hub, client, options)
	second.options.Between = func(step string) error {
		if step == "next object" {
			return errKilled
		}
		return nil
	}
	first.options.Out = onText{"Imported and compared", func() {
		// It is killed once it has thrown away what the first one wrote, and has compared.
		hub.away = true
		defer func() { hub.away = false }()
		if err := second.Import(t.Context()); !errors.Is(err, errKilled) {
			t.Errorf("the second import: %v", err)
		}
	}}
	if err := first.Import(t.Context()); err == nil {
		t.Error("the first import has ended")
	}
	if n := hub.local(t); n != len(versions()) {
		t.Error("the hub was switched to half a store")
	}
	second.options.Between = nil
	if err := second.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
	hub.isMoved(t)
}

// A server may not have heard yet that the import is taken back.
func TestTheWayBackDeletesNothingThatWasWrittenMeanwhile(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	if err := f.Import(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := storePrefix + "/placement.kubernetes-fleet.io/works/fleet-member-sample/late"
	f.options.Between = func(step string) error {
		if step == "empty" {
			_, err := client.Put(t.Context(), key, "x")
			return err
		}
		return nil
	}
	before := len(keys(t, client))
	if err := f.Back(t.Context()); !errors.Is(err, errStoreChanged) {
		t.Errorf("%v", err)
	}
	if got := keys(t, client); got[key] != "x" || len(got) != before+1 {
		t.Errorf("the store has %d objects, want %d", len(got), before+1)
	}
}

func TestAPolicyOfSomebodyElseStays(t *testing.T) {
	client, options := etcd(t)
	f := newFixture(t, newFakeHub(t), client, options)
	theirs := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": map[string]any{"name": policyName},
	}}
	if _, err := f.hub.dynamic.Resource(policyResource).Create(t.Context(), theirs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Import(t.Context()); err == nil || !strings.Contains(err.Error(), "it is somebody else's: give it another name") {
		t.Errorf("%v", err)
	}
	if _, err := f.hub.dynamic.Resource(policyResource).Get(t.Context(), policyName, metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

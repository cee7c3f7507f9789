// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/stagegate/stagegate/test/integration/testserver"
)

func etcdClient(t *testing.T, s *testserver.Server) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// find returns the resource with the name in the version.
func find(t *testing.T, s *testserver.Server, version, resource string) served {
	t.Helper()
	for _, r := range discover(t, s.As(testserver.Alice)) {
		if r.gv.Version == version && r.Name == resource {
			return r
		}
	}
	t.Fatalf("%s is not served in %s", resource, version)
	return served{}
}

func TestObjectsAreStoredAsJSONInOneVersionUnderTheirGroup(t *testing.T) {
	for name, option := range map[string][]testserver.Option{
		"embedded etcd": nil,
		"external etcd": {testserver.WithExternalEtcd()},
	} {
		t.Run(name, func(t *testing.T) {
			s := testserver.Start(t, option...)
			etcd := etcdClient(t, s)
			for _, r := range discover(t, s.As(testserver.Alice)) {
				if r.gv.Version != "v1" {
					continue
				}
				obj := create(t, r.client(t, s.As(testserver.Alice)), sample(t, r, "stored"))
				key := path.Join("/registry/kubernetes-fleet.io", r.gv.Group, r.Name, obj.GetNamespace(), obj.GetName())
				got, err := etcd.Get(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Kvs) != 1 {
					t.Errorf("%s: nothing at %s", r, key)
					continue
				}
				stored := map[string]any{}
				if err := json.Unmarshal(got.Kvs[0].Value, &stored); err != nil {
					t.Errorf("%s: %v", r, err)
				}
				want := schema.GroupVersion{Group: r.gv.Group, Version: "v1beta1"}.String()
				if stored["apiVersion"] != want || stored["kind"] != r.Kind {
					t.Errorf("%s is stored as %v %v, want %s %s", r, stored["apiVersion"], stored["kind"], want, r.Kind)
				}
			}
		})
	}
}

// TestTheEmbeddedEtcdIsCalled and gets no messages, which an external one does.
func TestTheEmbeddedEtcdIsCalled(t *testing.T) {
	writes := func() (sent float64) {
		families, err := legacyregistry.DefaultGatherer.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				for _, label := range metric.GetLabel() {
					if family.GetName() == "grpc_client_started_total" && label.GetName() == "grpc_method" && label.GetValue() == "Txn" {
						sent += metric.GetCounter().GetValue()
					}
				}
			}
		}
		return sent
	}
	for _, test := range []struct {
		name    string
		options []testserver.Option
		want    float64
	}{{"embedded", nil, 0}, {"external", []testserver.Option{testserver.WithExternalEtcd()}, 3}} {
		t.Run(test.name, func(t *testing.T) {
			s := testserver.Start(t, test.options...)
			client := find(t, s, "v1", "clusterstagedupdateruns")
			before := writes()
			obj := create(t, client.client(t, s.As(testserver.Alice)), sample(t, client, "called"))
			obj.SetLabels(map[string]string{"a": "b"})
			mustDo(client.client(t, s.As(testserver.Alice)).Update(t.Context(), obj, metav1.UpdateOptions{}))(t)
			if err := client.client(t, s.As(testserver.Alice)).Delete(t.Context(), obj.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			// The compactor of another server may write as well.
			if sent := writes() - before; (sent > 0) != (test.want > 0) || sent < test.want {
				t.Errorf("three writes took %v messages, want %v", sent, test.want)
			}
		})
	}
}

func TestVersionsShowTheSameObject(t *testing.T) {
	s := testserver.Start(t)
	for _, r := range discover(t, s.As(testserver.Alice)) {
		if r.gv.Version != "v1" {
			continue
		}
		created := create(t, r.client(t, s.As(testserver.Alice)), sample(t, r, "versions"))
		beta := find(t, s, "v1beta1", r.Name)
		got, err := beta.client(t, s.As(testserver.Alice)).Get(t.Context(), "versions", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got.SetAPIVersion(created.GetAPIVersion())
		if diff := cmp.Diff(withoutManagers(created), withoutManagers(got)); diff != "" {
			t.Errorf("%s differs between versions (-v1 +v1beta1):\n%s", r.Name, diff)
		}
	}
}

// withoutManagers drops what names the version of the writer.
func withoutManagers(obj *unstructured.Unstructured) map[string]any {
	obj = obj.DeepCopy()
	obj.SetManagedFields(nil)
	return obj.Object
}

func TestStateSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := testserver.Start(t, testserver.WithDataDir(dir))
	r := find(t, s, "v1", "clusterstagedupdateruns")
	created := create(t, r.client(t, s.As(testserver.Alice)), sample(t, r, "survivor"))
	s.Stop()

	s = testserver.Start(t, testserver.WithDataDir(dir))
	got, err := r.client(t, s.As(testserver.Alice)).Get(t.Context(), "survivor", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(created.Object, got.Object); diff != "" {
		t.Errorf("the object changed (-before +after):\n%s", diff)
	}
}

// snapshotOf makes a snapshot whose JSON is a little larger than the payload.
func snapshotOf(t *testing.T, r served, name, payload string) *unstructured.Unstructured {
	obj := sample(t, r, name)
	resources := []any{map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "sample"},
		"data": map[string]any{"payload": payload},
	}}
	if err := unstructured.SetNestedSlice(obj.Object, resources, "spec", "selectedResources"); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestLargeObjectsAreStoredCompressed(t *testing.T) {
	s := testserver.Start(t)
	r := find(t, s, "v1", "clusterresourcesnapshots")
	client := r.client(t, s.Controllers())
	const size = 10 << 20
	created := create(t, client, snapshotOf(t, r, "large", strings.Repeat("member-cluster ", size/15)))
	stored, err := etcdClient(t, s).Get(t.Context(), "/registry/kubernetes-fleet.io/placement.kubernetes-fleet.io/clusterresourcesnapshots/large")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(stored.Kvs[0].Value); n > size/10 {
		t.Errorf("%d bytes are stored for %d", n, size)
	}
	got, err := client.Get(t.Context(), "large", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(created.GetResourceVersion(), got.GetResourceVersion()); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(marshal(t, created), marshal(t, got)) {
		t.Error("the object came back changed")
	}
}

func marshal(t *testing.T, obj *unstructured.Unstructured) []byte {
	t.Helper()
	data, err := obj.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestObjectsTooLargeAreRefusedWithTheirSize(t *testing.T) {
	s := testserver.Start(t)
	r := find(t, s, "v1", "clusterresourcesnapshots")
	client := r.client(t, s.Controllers())
	noise := make([]byte, 3<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	obj := snapshotOf(t, r, "noise", base64.StdEncoding.EncodeToString(noise))
	_, err := client.Create(t.Context(), obj, metav1.CreateOptions{})
	if !apierrors.IsRequestEntityTooLargeError(err) {
		t.Fatalf("got %v, want RequestEntityTooLarge", err)
	}
	for _, part := range []string{"clusterresourcesnapshots", `"noise"`, "too large to store", "at most 1556480"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	huge := snapshotOf(t, r, "huge", strings.Repeat("x", 17<<20))
	if _, err := client.Create(t.Context(), huge, metav1.CreateOptions{}); !apierrors.IsRequestEntityTooLargeError(err) {
		t.Errorf("a body of 17 MiB: %v, want RequestEntityTooLarge", err)
	}
}

func TestClientsThatPreferProtobufGetJSON(t *testing.T) {
	s := testserver.Start(t)
	config := s.As(testserver.Alice)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	var code int
	data, err := client.Discovery().RESTClient().Get().
		AbsPath("/apis/placement.kubernetes-fleet.io/v1/clusterstagedupdateruns").
		SetHeader("Accept", "application/vnd.kubernetes.protobuf,application/json").
		Do(t.Context()).StatusCode(&code).Raw()
	if err != nil || code != http.StatusOK || !bytes.HasPrefix(data, []byte("{")) {
		t.Errorf("got %d %.60q %v, want JSON", code, data, err)
	}
}

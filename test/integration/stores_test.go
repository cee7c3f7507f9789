// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/client-go/dynamic"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/apiserver/transformer"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

var writeStore = flag.String("stores.write", "", "version, such as v0.1.0, whose store is written to testdata/stores before the stores are read")

const (
	storePrefix = "/registry/kubernetes-fleet.io/"
	storeSuffix = ".tar.gz"

	// Objects of a store: a valid one of each kind, which users wrote, one of each kind with every field, and one that is compressed.
	storedSample, storedFull, storedLarge = "sample", "full", "large"
)

// TestStoresOfReleasesAreRead starts the server on a data directory of each version in testdata/stores, and reads every object in it, in
// every version of the API, as it was stored. The newest store has every kind and every field that there is: whoever adds one writes the
// store of the version to come again, with -stores.write. That of a version that is tagged stays as it is.
func TestStoresOfReleasesAreRead(t *testing.T) {
	if *writeStore != "" {
		writeStoreOf(t, *writeStore)
	}
	files, err := filepath.Glob("testdata/stores/*" + storeSuffix)
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no stores: %v", err)
	}
	sort.Slice(files, func(i, j int) bool { return versionOf(files[i]).LessThan(versionOf(files[j])) })
	for i, file := range files {
		t.Run(versionOf(file).String(), func(t *testing.T) { readStore(t, file, i == len(files)-1) })
	}
}

func versionOf(file string) *version.Version {
	return version.MustParseSemantic(strings.TrimSuffix(filepath.Base(file), storeSuffix))
}

func readStore(t *testing.T, file string, newest bool) {
	dir := t.TempDir()
	unpackStore(t, file, dir)
	s := testserver.Start(t, testserver.WithDataDir(dir))
	all, err := etcdClient(t, s).Get(t.Context(), storePrefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(s.As(testserver.Alice))
	if err != nil {
		t.Fatal(err)
	}
	resources := discover(t, s.As(testserver.Alice))
	stored := map[string]bool{}
	for _, kv := range all.Kvs {
		key := strings.TrimPrefix(string(kv.Key), storePrefix)
		parts := strings.Split(key, "/")
		group, resourceName, namespace, name := parts[0], parts[1], strings.Join(parts[2:len(parts)-1], "/"), parts[len(parts)-1]
		if name == storedLarge && strings.HasPrefix(string(kv.Value), "{") {
			t.Errorf("%s is not compressed", key)
		}
		want := decodeStored(t, kv.Value)
		known := false
		for _, r := range resources {
			if r.gv.Group != group || r.Name != resourceName {
				continue
			}
			known = true
			stored[path.Join(r.gv.String(), r.Name, name)] = true
			in := client.Resource(r.gvr()).Namespace(namespace)
			got, err := in.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Errorf("%s: %v", key, err)
				continue
			}
			// What the server adds, and the version that was asked for.
			read := runtime.DeepCopyJSON(got.Object)
			unstructured.RemoveNestedField(read, "metadata", "resourceVersion")
			read["apiVersion"] = want["apiVersion"]
			if diff := cmp.Diff(want, read); diff != "" {
				t.Errorf("%s is read otherwise in %s (-stored +read):\n%s", key, r.gv.Version, diff)
			}
			if name == storedSample {
				if _, err := in.Patch(t.Context(), name, types.MergePatchType, labelPatch("yes"), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
					t.Errorf("%s cannot be changed any more: %v", key, err)
				}
			}
		}
		if !known {
			t.Errorf("%s is not served any more", key)
		}
	}
	if !newest {
		return
	}
	const again = "write the store of the version to come, and look at what has changed: " +
		"go test ./test/integration -run TestStoresOfReleasesAreRead -stores.write=v0.0.0"
	for _, r := range resources {
		if isStorageVersion(r) {
			for _, name := range []string{storedSample, storedFull} {
				if !stored[path.Join(r.gv.String(), r.Name, name)] {
					t.Errorf("%s has no %s %q: %s", file, r.Kind, name, again)
				}
			}
		}
	}
	for _, kv := range all.Kvs {
		for _, r := range resources {
			if isStorageVersion(r) && string(kv.Key) == r.key(storedFull) {
				if diff := cmp.Diff(asMap(t, full(t, r)), decodeStored(t, kv.Value)); diff != "" {
					t.Errorf("%s is not stored as now (-now +stored). If whoever has stored it can live with that, %s\n%s", r, again, diff)
				}
			}
		}
	}
}

// isStorageVersion reports whether objects are stored in the version of the resource.
func isStorageVersion(r served) bool { return r.gv.Version != "v1" }

// key is where an object with the name is in etcd.
func (r served) key(name string) string {
	namespace := ""
	if r.Namespaced {
		namespace = sampleNamespace
	}
	return storePrefix + path.Join(r.gv.Group, r.Name, namespace, name)
}

func decodeStored(t *testing.T, data []byte) map[string]any {
	t.Helper()
	plain, _, err := transformer.New(identity.NewEncryptCheckTransformer(), true).TransformFromStorage(t.Context(), data, value.DefaultContext(nil))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(plain); err != nil {
		t.Fatal(err)
	}
	return obj.Object
}

func asMap(t *testing.T, data []byte) map[string]any {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return obj.Object
}

// full is the JSON of an object with a value in every field, as the server stores it. Nobody could create it: no value means anything.
func full(t *testing.T, r served) []byte {
	t.Helper()
	fill := func(example any, set func(name string, number int, obj any)) (reflect.Type, roundtrip.FillFunc) {
		return reflect.TypeOf(example), set
	}
	functions := map[reflect.Type]roundtrip.FillFunc{}
	add := func(t reflect.Type, f roundtrip.FillFunc) { functions[t] = f }
	add(fill(&runtime.RawExtension{}, func(name string, _ int, obj any) {
		obj.(*runtime.RawExtension).Raw = []byte(`{"apiVersion":"example.com/v1","kind":"Sample","metadata":{"name":"` + name + `"},"spec":{"replicas":1}}`)
	}))
	add(fill(&apiextensionsv1.JSON{}, func(name string, _ int, obj any) {
		obj.(*apiextensionsv1.JSON).Raw = []byte(`{"` + name + `":[1,true,null]}`)
	}))
	add(fill(&metav1.FieldsV1{}, func(_ string, _ int, obj any) { obj.(*metav1.FieldsV1).SetRawString(`{}`) }))
	add(fill(&metav1.Time{}, func(_ string, number int, obj any) {
		*obj.(*metav1.Time) = metav1.Date(2000, 1, 1, 1, 1, max(number, -number), 0, time.UTC)
	}))
	add(fill(&metav1.MicroTime{}, func(_ string, number int, obj any) {
		*obj.(*metav1.MicroTime) = metav1.MicroTime{Time: time.Date(2000, 1, 1, 1, 1, max(number, -number), 1000, time.UTC)}
	}))
	add(fill(&metav1.Duration{}, func(_ string, number int, obj any) {
		obj.(*metav1.Duration).Duration = time.Duration(max(number, -number)) * time.Minute
	}))
	// A policy that nobody can read refuses every placement.
	add(fill(new(metav1.LabelSelectorOperator), func(_ string, _ int, obj any) { *obj.(*metav1.LabelSelectorOperator) = metav1.LabelSelectorOpIn }))
	add(fill(new(int), func(_ string, number int, obj any) { *obj.(*int) = number }))
	add(fill(&intstr.IntOrString{}, func(name string, _ int, obj any) { *obj.(*intstr.IntOrString) = intstr.FromString(name + "Value") }))
	add(fill(&resource.Quantity{}, func(_ string, number int, obj any) {
		*obj.(*resource.Quantity) = resource.MustParse(resource.NewQuantity(int64(max(number, -number)), resource.BinarySI).String())
	}))
	obj, err := roundtrip.CompatibilityTestObject(scheme.Scheme, r.gv.WithKind(r.Kind), functions)
	if err != nil {
		t.Fatal(err)
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		t.Fatal(err)
	}
	accessor.SetName(storedFull)
	accessor.SetNamespace("")
	if r.Namespaced {
		accessor.SetNamespace(sampleNamespace)
	}
	// The server never stores these.
	accessor.SetResourceVersion("")
	accessor.SetSelfLink("")
	data, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// writeStoreOf makes a store with this version of the server.
func writeStoreOf(t *testing.T, name string) {
	t.Helper()
	if _, err := version.ParseSemantic(name); err != nil || !strings.HasPrefix(name, "v") {
		t.Fatalf("-stores.write=%s: want a version such as v0.1.0", name)
	}
	if exec.CommandContext(t.Context(), "git", "rev-parse", "--quiet", "--verify", "refs/tags/"+name).Run() == nil {
		t.Fatalf("%s has been released, and its store stays as it is: write that of the version to come", name)
	}
	dir := t.TempDir()
	s := testserver.Start(t, testserver.WithDataDir(dir))
	etcd := etcdClient(t, s)
	resources := slices.DeleteFunc(discover(t, s.As(testserver.Alice)), func(r served) bool { return !isStorageVersion(r) })
	for _, r := range resources {
		create(t, r.client(t, s.As(testserver.Alice)), sample(t, r, storedSample))
		if r.Name == "clusterresourcesnapshots" {
			create(t, r.client(t, s.Controllers()), snapshotOf(t, r, storedLarge, strings.Repeat("member-cluster ", 2*transformer.Threshold/15)))
		}
	}
	for _, r := range resources {
		if _, err := etcd.Put(t.Context(), r.key(storedFull), string(full(t, r))); err != nil {
			t.Fatal(err)
		}
	}
	if err := etcd.Close(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	packStore(t, dir, filepath.Join("testdata", "stores", name+storeSuffix))
}

// packStore writes the files of a data directory into an archive, without what etcd only keeps in reserve.
func packStore(t *testing.T, dir, target string) {
	t.Helper()
	out, err := os.Create(target)
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(compressed)
	walk := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(name, ".tmp") {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: filepath.ToSlash(relative), Mode: 0o600, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = archive.Write(data)
		return err
	})
	if err := errors.Join(walk, archive.Close(), compressed.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

func unpackStore(t *testing.T, file, dir string) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	compressed, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

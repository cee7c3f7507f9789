// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"encoding/json"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// FuzzWrites sends resources whatever bytes a client may send, in any version, and holds that
//   - what is refused is refused with an error that names fields,
//   - what may be created may be written again, through any version, and no such write makes a new generation,
//   - a status that may be written may be written again.
//
// The samples are where the fuzzer starts from.
func FuzzWrites(f *testing.F, resources []store.Resource, sample func(testing.TB, store.Resource) store.Object) {
	for i, r := range resources {
		for _, version := range store.Versions(r.Group) {
			for _, seed := range seeds(f, sample(f, r), schema.GroupVersion{Group: r.Group, Version: version}) {
				f.Add(uint8(i), seed)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		w := &writes{T: t, resource: resources[int(which)%len(resources)], body: body}
		if sent, version, ok := w.sent(); ok {
			w.create(sent, version)
		}
	})
}

// seeds are a sample as it is, and with a condition in its status.
func seeds(f *testing.F, sample store.Object, version schema.GroupVersion) [][]byte {
	f.Helper()
	plain, err := runtime.Encode(scheme.Codecs.LegacyCodec(version), sample)
	if err != nil {
		f.Fatalf("encoding %T: %v", sample, err)
	}
	var object map[string]any
	if err := json.Unmarshal(plain, &object); err != nil {
		f.Fatalf("decoding %s: %v", plain, err)
	}
	object["status"] = map[string]any{"conditions": []metav1.Condition{{
		Type: "Applied", Status: metav1.ConditionTrue, Reason: "Done", LastTransitionTime: metav1.Unix(1, 0), ObservedGeneration: 1,
	}}}
	reported, err := json.Marshal(object)
	if err != nil {
		f.Fatalf("encoding %v: %v", object, err)
	}
	return [][]byte{plain, reported}
}

// writes are those of one body to one resource.
type writes struct {
	*testing.T
	resource store.Resource
	body     []byte
}

// sent is the object in the body as the server reads it, and the version that it is in. Most bodies are none.
func (w *writes) sent() (store.Object, string, bool) {
	internal := schema.GroupVersion{Group: w.resource.Group, Version: runtime.APIVersionInternal}
	decoded, gvk, err := scheme.Codecs.UniversalDecoder(internal).Decode(w.body, nil, nil)
	if err != nil || gvk.Group != w.resource.Group || gvk.Kind != w.resource.Kind {
		return nil, "", false
	}
	object, ok := decoded.(store.Object)
	if !ok {
		return nil, "", false
	}
	namespace := metav1.NamespaceNone
	if w.resource.Namespaced {
		namespace = Namespace
	}
	object.SetNamespace(namespace)
	return object, gvk.Version, true
}

func (w *writes) request(version, subresource string) context.Context {
	return Request(w.Context(), w.resource, version, subresource)
}

func (w *writes) create(object store.Object, version string) {
	w.Helper()
	// Finalizers and owners are apimachinery's to check.
	object.SetFinalizers(nil)
	object.SetOwnerReferences(nil)
	object.SetManagedFields(nil)
	rest.FillObjectMetaSystemFields(object)
	if err := rest.BeforeCreate(w.resource.Strategy, w.request(version, ""), object); err != nil {
		w.refused(err)
		return
	}
	stored := w.stored(object)
	for _, other := range store.Versions(w.resource.Group) {
		w.writeAgain(stored, other)
		if w.resource.StatusStrategy != nil {
			w.writeStatus(stored, other)
		}
	}
}

// writeAgain sends the body once more, as kubectl replace would.
func (w *writes) writeAgain(stored store.Object, version string) {
	w.Helper()
	again, _, ok := w.sent()
	if !ok {
		w.Fatal("the body cannot be read a second time")
	}
	w.inRecord(again, stored)
	if err := rest.BeforeUpdate(w.resource.Strategy, w.request(version, ""), again, stored.DeepCopyObject()); err != nil {
		w.Errorf("may be created but not written again in %s: %v", version, err)
	}
	if again.GetGeneration() != stored.GetGeneration() {
		w.Errorf("generation %d became %d in a write of the same in %s", stored.GetGeneration(), again.GetGeneration(), version)
	}
}

// writeStatus writes the status in the body, which creating the object did not.
func (w *writes) writeStatus(stored store.Object, version string) {
	w.Helper()
	reported, _, _ := w.sent()
	w.inRecord(reported, stored)
	if err := rest.BeforeUpdate(w.resource.StatusStrategy, w.request(version, "status"), reported, stored.DeepCopyObject()); err != nil {
		w.refused(err)
		return
	}
	record := w.stored(reported)
	for _, other := range store.Versions(w.resource.Group) {
		if err := rest.BeforeUpdate(w.resource.StatusStrategy, w.request(other, "status"), record.DeepCopyObject(), record.DeepCopyObject()); err != nil {
			w.Errorf("the status may be written in %s but not again in %s: %v", version, other, err)
		}
	}
}

// inRecord gives what a client sends the metadata that the server has.
func (w *writes) inRecord(object, stored store.Object) {
	object.SetFinalizers(nil)
	object.SetOwnerReferences(nil)
	object.SetManagedFields(nil)
	object.SetName(stored.GetName())
	object.SetUID(stored.GetUID())
	object.SetResourceVersion(stored.GetResourceVersion())
	object.SetCreationTimestamp(stored.GetCreationTimestamp())
	object.SetGenerateName(stored.GetGenerateName())
}

// stored is an object as it comes back from the store.
func (w *writes) stored(object store.Object) store.Object {
	w.Helper()
	codec := scheme.Codecs.LegacyCodec(storageVersion(object))
	data, err := runtime.Encode(codec, object)
	if err != nil {
		w.Fatalf("what may be written cannot be stored: %v", err)
	}
	decoded, err := runtime.Decode(codec, data)
	if err != nil {
		w.Fatalf("what was stored cannot be read: %v", err)
	}
	read := decoded.(store.Object)
	read.SetResourceVersion("1")
	return read
}

// refused wants an error that tells the client which fields are wrong.
func (w *writes) refused(err error) {
	w.Helper()
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().Code >= 500 || status.Status().Message == "" {
		w.Fatalf("refused with %#v", err)
	}
	if apierrors.IsInvalid(err) && (status.Status().Details == nil || len(status.Status().Details.Causes) == 0) {
		w.Errorf("refused without a field: %v", err)
	}
}

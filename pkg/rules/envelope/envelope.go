// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package envelope tells what an envelope carries, and why one cannot be used: asked by the server when an envelope is written, by who
// plans a run, and by who makes Works. It reads nothing itself.
package envelope

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

// Max is how many envelopes a version of a placement has at most: each is a Work on each cluster.
const Max = 1000

// Envelope is what a version has of one envelope.
type Envelope struct {
	// ID of the envelope.
	ID v1beta1.EnvelopeIdentifier
	// Contents are the objects of which it can be told which they are, in the order of their keys.
	Contents []Content
	// Err is why the envelope cannot be used, nil where it can. It shows nothing of what the objects hold.
	Err error
	// Culprit is the object that Err is about, nil where it is not known which that is.
	Culprit *v1beta1.ResourceIdentifier
}

// Content is an object in an envelope.
type Content struct {
	// ID of the object, with its envelope.
	ID v1beta1.ResourceIdentifier
	// Manifest is its JSON, as it is in the envelope.
	Manifest []byte
}

// Is reports whether a resource of a version is an envelope, in whatever version of the API.
func Is(id v1beta1.ResourceIdentifier) bool {
	return placeable.IsEnvelope(schema.GroupKind{Group: id.Group, Kind: id.Kind})
}

// Open returns what an envelope in a version carries.
func Open(id v1beta1.ResourceIdentifier, manifest []byte) Envelope {
	e := Envelope{ID: v1beta1.EnvelopeIdentifier{Name: id.Name, Namespace: id.Namespace, Type: v1beta1.EnvelopeType(id.Kind)}}
	var content struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(manifest, &content); err != nil {
		e.Err = fmt.Errorf("%s cannot be read: its data must map names to objects", Describe(e.ID))
		return e
	}
	for _, key := range slices.Sorted(maps.Keys(content.Data)) {
		object, err := Check(e.ID, key, content.Data[key])
		if object != nil {
			e.Contents = append(e.Contents, Content{ID: *object, Manifest: content.Data[key]})
		}
		if err != nil && e.Err == nil {
			e.Err, e.Culprit = err, object
		}
	}
	return e
}

// Within returns the envelope as it is on a hub with limits: one that carries what they keep from being placed cannot be used.
func (e Envelope) Within(limits *placeable.Limits) Envelope {
	for i := range e.Contents {
		id := &e.Contents[i].ID
		err := limits.Refuse(schema.GroupKind{Group: id.Group, Kind: id.Kind}, id.Namespace, id.Name)
		if err != nil && e.Err == nil {
			e.Err, e.Culprit = fmt.Errorf("%s: %w", Describe(e.ID), err), id
		}
	}
	return e
}

var errNoObject = errors.New("it must be a JSON object with apiVersion, kind and metadata.name, spelled so")

// Check returns which object an envelope has under a key, nil where that cannot be told, and why the envelope must not have it. Scope is told by
// the manifest, since the hub need not have the kind: an object without a namespace is cluster-scoped.
func Check(envelope v1beta1.EnvelopeIdentifier, key string, manifest []byte) (*v1beta1.ResourceIdentifier, error) {
	var object unstructured.Unstructured
	// What the decoder says quotes the manifest, which may be a Secret.
	if object.UnmarshalJSON(manifest) != nil || object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" {
		return nil, fmt.Errorf("failed to parse the wrapped manifest data to a Kubernetes runtime object (manifestKey=%s,envelopeObjRef=%s): %w",
			key, Ref(envelope), errNoObject)
	}
	kind := object.GroupVersionKind()
	id := &v1beta1.ResourceIdentifier{
		Group: kind.Group, Version: kind.Version, Kind: kind.Kind, Namespace: object.GetNamespace(), Name: object.GetName(), Envelope: &envelope,
	}
	ref := wording.Key(id.Namespace, id.Name)
	for field, value := range map[string]string{"name": id.Name, "namespace": id.Namespace} {
		// No cluster has an object whose name would lead to another path.
		if wrong := content.IsPathSegmentName(value); len(wrong) > 0 {
			return id, fmt.Errorf("%s in envelope %s: metadata.%s %q of %s %s", key, Ref(envelope), field, value, id.Kind, strings.Join(wrong, ", "))
		}
	}
	switch {
	case envelope.Type == v1beta1.ClusterResourceEnvelopeType && id.Namespace != "":
		return id, fmt.Errorf("a namespaced object %s (%s) has been wrapped in a cluster resource envelope %s: use a ResourceEnvelope in namespace %s",
			key, ref, Ref(envelope), id.Namespace)
	case envelope.Type == v1beta1.ResourceEnvelopeType && id.Namespace == "":
		return id, fmt.Errorf("a cluster scope object %s (%s) has been wrapped in a resource envelope %s: "+
			"set metadata.namespace to %s, or use a ClusterResourceEnvelope for an object without a namespace", key, ref, Ref(envelope), envelope.Namespace)
	case envelope.Type == v1beta1.ResourceEnvelopeType && id.Namespace != envelope.Namespace:
		return id, fmt.Errorf("a namespaced object %s (%s) has been wrapped in a resource envelope from another namespace (%s): "+
			"use a ResourceEnvelope in namespace %s", key, ref, Ref(envelope), id.Namespace)
	}
	if err := placeable.NeverWrapped(kind.GroupKind(), &object); err != nil {
		return id, fmt.Errorf("%s in envelope %s: %w", key, Ref(envelope), err)
	}
	return id, nil
}

// Checker returns a Check of all that one envelope has, key by key: it must not have an object twice.
func Checker(envelope v1beta1.EnvelopeIdentifier) func(key string, manifest []byte) error {
	type object struct{ group, kind, namespace, name string }
	keys := map[object]string{}
	return func(key string, manifest []byte) error {
		id, err := Check(envelope, key, manifest)
		if err != nil {
			return err
		}
		// It is the same object in all versions of its kind.
		of := object{id.Group, id.Kind, id.Namespace, id.Name}
		if first, twice := keys[of]; twice {
			return fmt.Errorf("%s and %s in envelope %s are both %s %s: take one of them out", first, key, Ref(envelope), id.Kind, wording.Key(id.Namespace, id.Name))
		}
		keys[of] = key
		return nil
	}
}

// Ref is an envelope as messages refer to it: namespace and name, or the name of a cluster-scoped one.
func Ref(envelope v1beta1.EnvelopeIdentifier) string {
	return wording.Key(envelope.Namespace, envelope.Name)
}

// Describe names an envelope with its kind.
func Describe(envelope v1beta1.EnvelopeIdentifier) string {
	return fmt.Sprintf("%s %s", envelope.Type, Ref(envelope))
}

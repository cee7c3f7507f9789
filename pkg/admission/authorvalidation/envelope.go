// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package authorvalidation

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// contents are what is known of an envelope.
type contents struct {
	metav1.Object
	kind string
	data map[string]runtime.RawExtension
}

// String is how messages refer to the envelope.
func (c *contents) String() string { return c.kind + " " + wording.Key(c.GetNamespace(), c.GetName()) }

// contentsOf returns nil for what is no envelope.
func contentsOf(object runtime.Object) *contents {
	switch o := object.(type) {
	case *v1beta1.ClusterResourceEnvelope:
		return &contents{o, clusterResourceEnvelopeKind.Kind, o.Data}
	case *v1beta1.ResourceEnvelope:
		return &contents{o, resourceEnvelopeKind.Kind, o.Data}
	}
	return nil
}

// deedsOfEnvelope asks about what an envelope wraps, and about what it wrapped that it no longer has. Its labels decide which placements
// select it: another label may have all of it placed, and no longer placed.
func deedsOfEnvelope(object, old *contents) deeds {
	if object != nil && old != nil {
		relabeled := !maps.Equal(object.GetLabels(), old.GetLabels())
		same := sameManifests(object.data, old.data)
		goes := relabeled || handsOver(object, old)
		if same && !goes {
			return nil
		}
		return func(ctx context.Context, r *review) error {
			var kept *contents
			if !goes {
				kept = object
			}
			if !same || relabeled {
				if err := wrapped(ctx, r, object); err != nil {
					return err
				}
			}
			return unwrapped(ctx, r, old, kept)
		}
	}
	return func(ctx context.Context, r *review) error {
		if object != nil {
			return wrapped(ctx, r, object)
		}
		return unwrapped(ctx, r, old, nil)
	}
}

// wrapped is what an envelope wraps. A manifest of which it cannot be told what it is on a member is for those who may do everything.
func wrapped(ctx context.Context, r *review, o *contents) error {
	for _, key := range slices.Sorted(maps.Keys(o.data)) {
		d, err := r.deedTo(ctx, wrap, o, key)
		if err != nil {
			return err
		}
		if d.refused != nil {
			r.refuse(wrap, "data["+key+"]", d.refused.Error())
			continue
		}
		d.verbs = writeVerbs
		if err := r.add(ctx, d.deed); err != nil {
			return err
		}
	}
	return nil
}

// unwrapped is what an envelope no longer wraps once another is in its place, nil for none. What cannot be told may be everything.
func unwrapped(ctx context.Context, r *review, o, kept *contents) error {
	type identity struct {
		kind            schema.GroupKind
		namespace, name string
	}
	stays := map[identity]bool{}
	if kept != nil {
		for key := range kept.data {
			d, err := r.deedTo(ctx, unwrap, kept, key)
			if err != nil {
				return err
			}
			stays[identity{d.kind, d.namespace, d.name}] = d.refused == nil
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.data)) {
		d, err := r.deedTo(ctx, unwrap, o, key)
		switch {
		case err != nil:
			return err
		case d.refused != nil && (kept == nil || !sameManifest(kept.data[key], o.data[key])):
			r.append(asked{what: unwrap + " data[" + key + "]", needs: []need{{verbs: []string{"delete"}, group: "*", resource: "*", namespace: o.GetNamespace()}}})
		case d.refused == nil && !stays[identity{d.kind, d.namespace, d.name}]:
			d.verbs = []string{"delete"}
			if err := r.add(ctx, d.deed); err != nil {
				return err
			}
		}
	}
	return nil
}

// placedContents is what the envelopes carry that a selector finds, nil for all of them: to place one has the same objects written as to
// place them. Verbs returns what it takes for an object of a kind, nil for nothing. Whoever may not read the envelopes is refused already,
// and is not told what they have.
func placedContents(ctx context.Context, r *review, does string, gk schema.GroupKind, namespace string, s *v1beta1.ResourceSelectorTerm,
	verbs func(schema.GroupKind) []string) error {
	name := ""
	if s != nil {
		name = s.Name
	}
	if gk == clusterResourceEnvelopeKind {
		namespace = metav1.NamespaceNone
	}
	readable := need{verbs: readVerbs, group: gk.Group, resource: resources[gk], namespace: namespace, name: name}
	if missing, err := r.missing(ctx, readable); err != nil || len(missing) > 0 {
		return err
	}
	found, err := r.envelopes.find(gk, namespace, s)
	if err != nil {
		return err
	}
	for _, o := range found {
		for _, key := range slices.Sorted(maps.Keys(o.data)) {
			d, err := r.deedTo(ctx, does, o, key)
			if err != nil {
				return err
			}
			if d.refused != nil {
				if does == place {
					r.refuse(place, "data["+key+"] of "+o.String(), d.refused.Error())
				}
				continue
			}
			if d.verbs = verbs(d.kind); d.verbs == nil {
				continue
			}
			d.of = o.String()
			may, err := r.mayWith(ctx, d.deed)
			if err != nil {
				return err
			}
			if may {
				continue
			}
			if r.single++; r.single > maxSingle || len(r.wide) > maxSingle {
				r.refuse(does, "what "+o.String()+" and others wrap", fmt.Sprintf("no more than %d objects of envelopes are asked about one by one", maxSingle))
				return nil
			}
			if err := r.add(ctx, d.deed); err != nil {
				return err
			}
		}
	}
	return nil
}

// deedTo is a deed to an object in an envelope, or why it cannot be told to which.
type deedTo struct {
	deed
	refused error
}

func (r *review) deedTo(ctx context.Context, does string, o *contents, key string) (deedTo, error) {
	object, err := parse(o.data[key])
	if err != nil {
		return deedTo{refused: err}, nil
	}
	d := deed{does: does, kind: object.GroupVersionKind().GroupKind(), namespace: object.GetNamespace(), name: object.GetName()}
	if d.binding() {
		d.roleRef = roleRefOf(object)
	}
	if d.namespace == "" && o.GetNamespace() != "" {
		// Whether the object is in a namespace at all, only a kind of the hub tells.
		kinds, err := r.kindsOf(ctx, d.kind)
		if err != nil {
			return deedTo{}, err
		}
		if len(kinds) > 0 {
			d.namespace = o.GetNamespace()
		}
	}
	return deedTo{deed: d}, nil
}

// parse reads a manifest as a member does: keys that differ in case are different keys.
func parse(manifest runtime.RawExtension) (*unstructured.Unstructured, error) {
	content, err := decode(manifest)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: content}
	gv, err := schema.ParseGroupVersion(object.GetAPIVersion())
	switch {
	case err != nil || gv.Version == "" || object.GetKind() == "" || object.GetName() == "":
		return nil, fmt.Errorf("apiVersion, kind and metadata.name do not tell which object it is: write them in full")
	case object.IsList() || strings.HasSuffix(object.GetKind(), "List"):
		return nil, fmt.Errorf("%s is a list: wrap each of its objects by itself", object.GetKind())
	case gv.Group == v1beta1.GroupName:
		return nil, fmt.Errorf("what a wrapped %s would do is not checked: write it to the hub that it is for", object.GetKind())
	}
	return object, nil
}

// decode refuses a key that occurs twice, since not every reader takes the same one of them.
func decode(manifest runtime.RawExtension) (map[string]any, error) {
	raw, err := manifest.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	var content map[string]any
	strict, err := kjson.UnmarshalStrict(raw, &content)
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be read: %w", err)
	}
	if len(strict) > 0 {
		return nil, fmt.Errorf("the manifest can be read in two ways: %w", strict[0])
	}
	return content, nil
}

// sameManifests reports whether two envelopes wrap the same, however it is spelled: some ways of writing put the keys in another order.
func sameManifests(a, b map[string]runtime.RawExtension) bool {
	return maps.EqualFunc(a, b, sameManifest)
}

func sameManifest(a, b runtime.RawExtension) bool {
	if a.Object == nil && b.Object == nil && bytes.Equal(a.Raw, b.Raw) {
		return true
	}
	first, err := decode(a)
	second, otherErr := decode(b)
	return err == nil && otherErr == nil && reflect.DeepEqual(first, second)
}

// roleRef is the role that a binding refers to.
type roleRef struct{ kind, name string }

// roleRefOf returns nil for a role that cannot be told.
func roleRefOf(binding *unstructured.Unstructured) *roleRef {
	kind, _, _ := unstructured.NestedString(binding.Object, "roleRef", "kind")
	name, _, _ := unstructured.NestedString(binding.Object, "roleRef", "name")
	if kind != "Role" && kind != "ClusterRole" || name == "" {
		return nil
	}
	return &roleRef{kind, name}
}

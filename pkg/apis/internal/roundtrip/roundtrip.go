// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package roundtrip

import (
	"math/rand"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
)

// fills is how many random objects each kind is tried with.
const fills = 100

// Lossless fills every kind of the version with random values, converts it to the other version, writes it there as JSON,
// reads it again and converts it back. It fails the test if what comes back differs from what went in, or if one version has
// a kind that the other lacks.
//
// The versions must be of one group. The fill functions are added to those for object metadata and may be nil. Those of the
// group's fuzzer package fit.
func Lossless(t *testing.T, install func(*runtime.Scheme), fill fuzzer.FuzzerFuncs, version, other schema.GroupVersion) {
	t.Helper()
	scheme := runtime.NewScheme()
	install(scheme)
	codecs := serializer.NewCodecFactory(scheme)
	codec := codecs.LegacyCodec(other)
	seed := rand.Int63()
	filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, fill), rand.NewSource(seed), codecs)

	for _, kind := range kinds(scheme, version, other) {
		t.Run(kind, func(t *testing.T) {
			for range fills {
				want, err := scheme.New(version.WithKind(kind))
				if err != nil {
					t.Fatalf("%s lacks %s: %v", version, kind, err)
				}
				filler.Fill(want)
				want.GetObjectKind().SetGroupVersionKind(version.WithKind(kind))
				scheme.Default(want)

				got, err := detour(scheme, codec, want, version)
				if err != nil {
					t.Fatalf("taking %s from %s to %s and back: %v", kind, version, other, err)
				}
				if !apiequality.Semantic.DeepEqual(want, got) {
					t.Fatalf("%s is not the same after %s (seed %d), -before +after:\n%s", kind, other, seed, cmp.Diff(want, got))
				}
			}
		})
	}
}

// kinds returns what either version has, without the kinds of meta/v1 that every version has, such as ListOptions.
func kinds(scheme *runtime.Scheme, versions ...schema.GroupVersion) []string {
	metaPackage := reflect.TypeFor[metav1.ListOptions]().PkgPath()
	found := sets.New[string]()
	for _, version := range versions {
		for kind, goType := range scheme.KnownTypes(version) {
			if goType.PkgPath() != metaPackage {
				found.Insert(kind)
			}
		}
	}
	return sets.List(found)
}

// detour takes the object to JSON in the codec's version and back to the version it came from.
func detour(scheme *runtime.Scheme, codec runtime.Codec, object runtime.Object, version schema.GroupVersion) (runtime.Object, error) {
	internal, err := scheme.ConvertToVersion(object, schema.GroupVersion{Group: version.Group, Version: runtime.APIVersionInternal})
	if err != nil {
		return nil, err
	}
	data, err := runtime.Encode(codec, internal)
	if err != nil {
		return nil, err
	}
	decoded, err := runtime.Decode(codec, data)
	if err != nil {
		return nil, err
	}
	return scheme.ConvertToVersion(decoded, version)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec

import (
	"math/rand"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterfuzzer "github.com/stagegate/stagegate/pkg/apis/cluster/fuzzer"
	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	placementfuzzer "github.com/stagegate/stagegate/pkg/apis/placement/fuzzer"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	rolloutfuzzer "github.com/stagegate/stagegate/pkg/apis/rollout/fuzzer"
	rolloutv1alpha1 "github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// TestSharingChangesNoObject has random versions of every kind share: with one that has nothing to do with them, with one that is equal, and with one
// of which the status differs.
func TestSharingChangesNoObject(t *testing.T) {
	for gv, funcs := range map[schema.GroupVersion]fuzzer.FuzzerFuncs{
		v1beta1.SchemeGroupVersion:         placementfuzzer.Funcs,
		clusterv1beta1.SchemeGroupVersion:  clusterfuzzer.Funcs,
		rolloutv1alpha1.SchemeGroupVersion: rolloutfuzzer.Funcs,
	} {
		filler := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, funcs), rand.NewSource(1), scheme.Codecs)
		for kind := range scheme.Scheme.KnownTypes(gv) {
			obj, err := scheme.Scheme.New(gv.WithKind(kind))
			if _, named := obj.(metav1.Object); err != nil || !named {
				continue
			}
			t.Run(kind, func(t *testing.T) {
				for range 30 {
					before, next := reflect.New(reflect.TypeOf(obj).Elem()), reflect.New(reflect.TypeOf(obj).Elem())
					filler.Fill(before.Interface())
					filler.Fill(next.Interface())
					check := func(before, next reflect.Value) (equal bool) {
						t.Helper()
						wantBefore, want := copyOf(before), copyOf(next)
						equal = share(before.Elem(), next.Elem())
						if diff := cmp.Diff(want, next.Interface()); diff != "" {
							t.Fatalf("what shares has changed (-want +got):\n%s", diff)
						}
						if diff := cmp.Diff(wantBefore, before.Interface()); diff != "" {
							t.Fatalf("the version before has changed (-want +got):\n%s", diff)
						}
						return equal
					}
					check(before, next)
					if same := reflect.ValueOf(copyOf(next)); !check(next, same) {
						t.Fatalf("a copy is not equal to it: %s", cmp.Diff(next.Interface(), same.Interface()))
					}
					if status := next.Elem().FieldByName("Status"); status.IsValid() {
						other := reflect.ValueOf(copyOf(next))
						other.Elem().FieldByName("Status").Set(before.Elem().FieldByName("Status"))
						check(next, other)
					}
				}
			})
		}
	}
}

func copyOf(v reflect.Value) any {
	return v.Interface().(runtime.Object).DeepCopyObject()
}

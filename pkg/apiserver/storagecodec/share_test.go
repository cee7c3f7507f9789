// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apiserver/storagecodec"
)

// TestSharingChangesNoObject has random versions of every kind share: with one that has nothing to do with them, with one that is equal, and with one
// of which the status differs.
func TestSharingChangesNoObject(t *testing.T) {
	last := map[reflect.Type]runtime.Object{}
	eachKind(t, func(t *testing.T, _ schema.GroupVersion, next runtime.Object) {
		check := func(before, next runtime.Object) (equal bool) {
			t.Helper()
			wantBefore, want := before.DeepCopyObject(), next.DeepCopyObject()
			equal = storagecodec.Share(reflect.ValueOf(before).Elem(), reflect.ValueOf(next).Elem())
			if diff := cmp.Diff(want, next); diff != "" {
				t.Fatalf("what shares has changed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(wantBefore, before); diff != "" {
				t.Fatalf("the version before has changed (-want +got):\n%s", diff)
			}
			return equal
		}
		kind := reflect.TypeOf(next)
		before := last[kind]
		last[kind] = next
		if before == nil {
			return
		}
		check(before, next)
		if same := next.DeepCopyObject(); !check(next, same) {
			t.Fatalf("a copy is not equal to it: %s", cmp.Diff(next, same))
		}
		other := next.DeepCopyObject()
		if status := reflect.ValueOf(other).Elem().FieldByName("Status"); status.IsValid() {
			status.Set(reflect.ValueOf(before).Elem().FieldByName("Status"))
			check(next, other)
		}
	})
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/json"
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// equality compares specs. The order of keys in embedded JSON makes no difference: clients write them in different orders, and a new
// generation for that would roll out nothing new.
var equality = func() conversion.Equalities {
	e := apiequality.Semantic.Copy()
	utilruntime.Must(e.AddFuncs(
		func(a, b runtime.RawExtension) bool {
			return sameJSON(a.Raw, b.Raw) && apiequality.Semantic.DeepEqual(a.Object, b.Object)
		},
		func(a, b apiextensionsv1.JSON) bool { return sameJSON(a.Raw, b.Raw) },
	))
	return e
}()

func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	va, okA := decode(a)
	vb, okB := decode(b)
	return okA && okB && reflect.DeepEqual(va, vb)
}

// decode keeps numbers as they are written, since large ones would otherwise be rounded to the same value.
func decode(raw []byte) (value any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return value, d.Decode(&value) == nil
}

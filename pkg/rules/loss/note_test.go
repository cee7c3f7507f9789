// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package loss

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func workNoting(text, namespace string) *v1beta1.Work {
	work := &v1beta1.Work{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{wellknown.LostAppliedWorkAnnotation: text}}}
	if namespace != "" {
		work.Labels = map[string]string{wellknown.ParentNamespaceLabel: namespace}
	}
	return work
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(text))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}

func objects(n int) []v1beta1.WorkResourceIdentifier {
	found := make([]v1beta1.WorkResourceIdentifier, n)
	for i := range found {
		found[i] = v1beta1.WorkResourceIdentifier{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespace: "shop", Name: fmt.Sprintf("cm-%d", i)}
	}
	return found
}

func TestANoteIsReadAsItWasPacked(t *testing.T) {
	for _, namespace := range []string{"", "shop"} {
		want := &Note{Jobs: map[string]string{"a": "b"}, Objects: objects(MaxObjects)}
		text, err := want.Pack()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(workNoting(text, namespace))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("namespace %q (-packed +read):\n%s", namespace, diff)
		}
	}
	if note, err := Read(&v1beta1.Work{}); note != nil || err != nil {
		t.Errorf("a Work that notes nothing: %v, %v", note, err)
	}
}

func TestWhatIsTooMuchIsNotPacked(t *testing.T) {
	long := objects(1)
	long[0].Name = strings.Repeat("x", MaxUnpacked)
	random := map[string]string{}
	for i := range 10000 {
		random[fmt.Sprintf("%016x", uint64(i)*0x9E3779B97F4A7C15)] = fmt.Sprintf("%016x", uint64(i)*0xBF58476D1CE4E5B9)
	}
	for name, note := range map[string]*Note{"objects": {Objects: objects(MaxObjects + 1)}, "bytes": {Objects: long}, "packed bytes": {Jobs: random}} {
		if text, err := note.Pack(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}

func TestWhatPackDoesNotMakeIsNotRead(t *testing.T) {
	var many strings.Builder
	for i := range MaxObjects + 1 {
		fmt.Fprintf(&many, `{"kind":"ConfigMap","name":"cm-%d"},`, i)
	}
	for name, tc := range map[string]struct{ text, namespace, want string }{
		"no base64":                 {"?", "", "illegal base64"},
		"no gzip":                   {base64.StdEncoding.EncodeToString([]byte("{}")), "", "EOF"},
		"no JSON":                   {zipped(t, "x"), "", "invalid character"},
		"nothing":                   {zipped(t, ""), "", "EOF"},
		"a field that there is not": {zipped(t, `{"annotations":{"kubernetes-fleet.io/kept-namespaces":"x"}}`), "", `unknown field "annotations"`},
		"two values":                {zipped(t, `{} {}`), "", "more than one value"},
		"too many objects":          {zipped(t, `{"objects":[`+strings.TrimSuffix(many.String(), ",")+`]}`), "", "it lists 1001 objects, more than 1000"},
		"a bomb":                    {zipped(t, `{"jobs":{"a":"`+strings.Repeat("x", 8*MaxUnpacked)+`"}}`), "", "too large"},
		"too many bytes":            {strings.Repeat("A", MaxPacked+4), "", "too large"},
		"what is elsewhere":         {zipped(t, `{"objects":[{"kind":"ConfigMap","namespace":"shop","name":"cm"}]}`), "team-a", "ConfigMap shop/cm, which is not in the namespace of the placement"},
		"what is cluster-scoped":    {zipped(t, `{"objects":[{"kind":"Namespace","name":"team-a"}]}`), "team-a", "not in the namespace of the placement"},
	} {
		t.Run(name, func(t *testing.T) {
			note, err := Read(workNoting(tc.text, tc.namespace))
			if note != nil || err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), wellknown.LostAppliedWorkAnnotation) {
				t.Errorf("read %v, error %v, want %q", note, err, tc.want)
			}
		})
	}
}

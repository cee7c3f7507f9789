// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

func TestRoundTrip(t *testing.T) {
	block, err := aes.NewCipher(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	inners := map[string]value.Transformer{
		"plain":     identity.NewEncryptCheckTransformer(),
		"encrypted": aestransformer.NewCBCTransformer(block),
	}
	values := map[string][]byte{
		"empty":           {},
		"small":           []byte(`{"kind":"StagedUpdateRun"}`),
		"below threshold": bytes.Repeat([]byte("x"), Threshold-1),
		"at threshold":    bytes.Repeat([]byte("x"), Threshold),
		"large":           bytes.Repeat([]byte(`{"clusterName":"member"},`), 400_000),
	}
	for innerName, inner := range inners {
		for name, want := range values {
			t.Run(innerName+"/"+name, func(t *testing.T) {
				transformer := New(inner)
				key := value.DefaultContext("/registry/a")
				stored, err := transformer.TransformToStorage(t.Context(), want, key)
				if err != nil {
					t.Fatal(err)
				}
				got, stale, err := transformer.TransformFromStorage(t.Context(), stored, key)
				if err != nil {
					t.Fatal(err)
				}
				if stale {
					t.Error("a value just written is stale")
				}
				if !bytes.Equal(got, want) {
					t.Errorf("got %d bytes back, want the %d that went in", len(got), len(want))
				}
			})
		}
	}
}

func TestLargeValuesAreCompressedBeforeEncryption(t *testing.T) {
	block, err := aes.NewCipher(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte(`{"clusterName":"member"},`), 100_000)
	stored, err := New(aestransformer.NewCBCTransformer(block)).TransformToStorage(t.Context(), data, value.DefaultContext("k"))
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) > len(data)/10 {
		t.Errorf("%d bytes became %d: ciphertext was compressed, or nothing", len(data), len(stored))
	}
	if bytes.HasPrefix(stored, prefix) {
		t.Error("the stored value is not encrypted")
	}
}

func TestSmallValuesStayReadable(t *testing.T) {
	data := []byte(`{"kind":"StagedUpdateRun"}`)
	stored, err := New(identity.NewEncryptCheckTransformer()).TransformToStorage(t.Context(), data, value.DefaultContext("k"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored, data) {
		t.Errorf("got %q, want %q", stored, data)
	}
}

func TestValuesTooLargeForEtcdAreRefusedWithTheirSize(t *testing.T) {
	noise := make([]byte, Limit+1)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	_, err := New(identity.NewEncryptCheckTransformer()).TransformToStorage(t.Context(), noise, value.DefaultContext("k"))
	var tooLarge *TooLargeError
	if !errors.As(err, &tooLarge) {
		t.Fatalf("got %v, want a TooLargeError", err)
	}
	if tooLarge.Size != len(noise) || tooLarge.Stored <= Limit {
		t.Errorf("got %+v for %d bytes", tooLarge, len(noise))
	}
}

func TestDamagedValuesAreErrors(t *testing.T) {
	transformer := New(identity.NewEncryptCheckTransformer())
	stored, err := transformer.TransformToStorage(t.Context(), bytes.Repeat([]byte("ab"), Threshold), value.DefaultContext("k"))
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"truncated": stored[:len(stored)-10],
		"no gzip":   append(bytes.Clone(prefix), "{}"...),
	} {
		_, _, err := transformer.TransformFromStorage(t.Context(), damaged, value.DefaultContext("k"))
		if err == nil || !strings.Contains(err.Error(), "decompressing") {
			t.Errorf("%s: got %v, want an error of decompression", name, err)
		}
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/aes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
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
				transformer := New(inner, true)
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
	stored, err := New(aestransformer.NewCBCTransformer(block), true).TransformToStorage(t.Context(), data, value.DefaultContext("k"))
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
	stored, err := New(identity.NewEncryptCheckTransformer(), true).TransformToStorage(t.Context(), data, value.DefaultContext("k"))
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
	_, err := New(identity.NewEncryptCheckTransformer(), true).TransformToStorage(t.Context(), noise, value.DefaultContext("k"))
	var tooLarge *TooLargeError
	if !errors.As(err, &tooLarge) {
		t.Fatalf("got %v, want a TooLargeError", err)
	}
	if tooLarge.Size != len(noise) || tooLarge.Stored <= Limit {
		t.Errorf("got %+v for %d bytes", tooLarge, len(noise))
	}
}

func TestValuesOfOtherResourcesAreStoredAsTheyAre(t *testing.T) {
	runs := schema.GroupResource{Group: "g", Resource: "runs"}
	transformers := Resources(nil, []schema.GroupResource{runs})
	others := transformers.TransformerForResource(schema.GroupResource{Group: "other", Resource: "runs"})
	key := value.DefaultContext("k")

	data := bytes.Repeat([]byte("a"), Limit)
	stored, err := others.TransformToStorage(t.Context(), data, key)
	if err != nil || !bytes.Equal(stored, data) {
		t.Errorf("%d bytes are stored for %d, error %v", len(stored), len(data), err)
	}
	_, err = others.TransformToStorage(t.Context(), append(data, 'a'), key)
	if tooLarge := (&TooLargeError{}); !errors.As(err, &tooLarge) || *tooLarge != (TooLargeError{Size: Limit + 1, Stored: Limit + 1}) {
		t.Errorf("one byte more: %v", err)
	}

	if stored, err = transformers.TransformerForResource(runs).TransformToStorage(t.Context(), data, key); err != nil || len(stored) > Limit/100 {
		t.Errorf("%d bytes are stored of a run, error %v", len(stored), err)
	}
	// An older version compressed every kind.
	if read, _, err := others.TransformFromStorage(t.Context(), stored, key); err != nil || !bytes.Equal(read, data) {
		t.Errorf("%d bytes of %d are read back, error %v", len(read), len(data), err)
	}
}

func TestWhatIsLargeDecodedIsNotWritten(t *testing.T) {
	transformer := New(identity.NewEncryptCheckTransformer(), true)
	if _, err := transformer.TransformToStorage(t.Context(), make([]byte, MaxDecoded), value.DefaultContext("k")); err != nil {
		t.Errorf("16 MiB: %v", err)
	}
	_, err := transformer.TransformToStorage(t.Context(), make([]byte, MaxDecoded+1), value.DefaultContext("k"))
	if tooLarge := (&TooLargeError{}); !errors.As(err, &tooLarge) || *tooLarge != (TooLargeError{Size: MaxDecoded + 1}) {
		t.Errorf("one byte more: %v", err)
	}
	if want := "16777217 bytes as JSON, of which at most 16777216 can be stored"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// bomb is a compressed object with content of so many bytes.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	out := bytes.NewBuffer(bytes.Clone(prefix))
	w := gzip.NewWriter(out)
	write := func(data []byte) {
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte(`{"kind":"ResourceEnvelope","apiVersion":"g/v1","metadata":{"name":"bomb","uid":"1","finalizers":["a/b"]},"data":{"a":"`))
	chunk := bytes.Repeat([]byte("a"), 1<<20)
	for range size >> 20 {
		write(chunk)
	}
	write([]byte(`"}}`))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatAnOlderVersionStoredTooLargeIsNotDecompressed(t *testing.T) {
	stored := bomb(t, 700<<20)
	forged := bytes.Clone(stored)
	copy(forged[len(forged)-sizeBytes:], []byte{1, 0, 0, 0})
	transformer := New(identity.NewEncryptCheckTransformer(), false)
	for name, data := range map[string][]byte{"as compressed": stored, "with a false size": forged} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := transformer.TransformFromStorage(t.Context(), data, value.DefaultContext("/registry/g/envelopes/team/bomb"))
			runtime.ReadMemStats(&after)
			if unreadable := (&UnreadableError{}); !errors.As(err, &unreadable) || unreadable.Key != "/registry/g/envelopes/team/bomb" {
				t.Errorf("got %v, want an UnreadableError with the key", err)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4*MaxRead {
				t.Errorf("%d bytes are allocated", allocated)
			}
		})
	}
}

func TestTheMetadataOfWhatIsTooLargeIsReadByName(t *testing.T) {
	stored := bomb(t, MaxRead)
	ctx := context.WithValue(t.Context(), accessKey{}, &access{stubs: true})
	out, _, err := New(identity.NewEncryptCheckTransformer(), false).TransformFromStorage(ctx, stored, value.DefaultContext("/registry/k"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"kind": "ResourceEnvelope", "apiVersion": "g/v1",
		"metadata": map[string]any{
			"name": "bomb", "uid": "1", "finalizers": []any{"a/b"},
			"annotations": map[string]any{wellknown.UnreadableAnnotation: "the object at /registry/k is more than 33554432 bytes decompressed, or damaged, and is not read: delete it by its name"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stub (-want +got):\n%s", diff)
	}
	if !accessOf(ctx).stub {
		t.Error("it is not known for a stub")
	}
}

func TestDamagedValuesAreErrors(t *testing.T) {
	transformer := New(identity.NewEncryptCheckTransformer(), true)
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

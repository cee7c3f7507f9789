// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

const (
	// Threshold is the size in bytes from which on a value is compressed. Smaller ones stay readable with etcd's tools.
	Threshold = 16 << 10
	// Limit is the largest value in bytes, compressed and encrypted, that is sent to etcd. Beyond it are the key and the frame of
	// the request, which together may not exceed the 1.5 MiB that etcd takes unless it is told otherwise.
	Limit = 1536<<10 - 16<<10
)

// prefix of a compressed value. Neither JSON nor the ciphertext of any provider begins with it.
var prefix = []byte("stagegate:gzip:")

// Resources returns transformers that compress what the given ones, which may be nil, then encrypt.
func Resources(encryption value.ResourceTransformers) value.ResourceTransformers {
	return resources{encryption}
}

type resources struct{ encryption value.ResourceTransformers }

// TransformerForResource returns the transformer of a resource.
func (r resources) TransformerForResource(resource schema.GroupResource) value.Transformer {
	if r.encryption == nil {
		return New(identity.NewEncryptCheckTransformer())
	}
	return New(r.encryption.TransformerForResource(resource))
}

// New returns a transformer that compresses what inner then encrypts. Writing fails with a *TooLargeError beyond Limit.
func New(inner value.Transformer) value.Transformer { return &compressor{inner: inner} }

type compressor struct{ inner value.Transformer }

// TransformToStorage compresses a value if it is large.
func (c *compressor) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	size := len(data)
	if size >= Threshold {
		var err error
		if data, err = compress(data); err != nil {
			return nil, fmt.Errorf("compressing: %w", err)
		}
	}
	out, err := c.inner.TransformToStorage(ctx, data, dataCtx)
	if err != nil {
		return nil, err
	}
	if len(out) > Limit {
		return nil, &TooLargeError{Size: size, Stored: len(out)}
	}
	return out, nil
}

// TransformFromStorage decompresses a value if it is compressed.
func (c *compressor) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	out, stale, err := c.inner.TransformFromStorage(ctx, data, dataCtx)
	if err != nil || !bytes.HasPrefix(out, prefix) {
		return out, stale, err
	}
	if out, err = decompress(out); err != nil {
		return nil, false, fmt.Errorf("decompressing: %w", err)
	}
	return out, stale, nil
}

var writers = sync.Pool{New: func() any {
	// The level is a valid one.
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

func compress(data []byte) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, len(data)/4))
	out.Write(prefix)
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	w.Reset(out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

var readers = sync.Pool{New: func() any { return new(gzip.Reader) }}

func decompress(data []byte) ([]byte, error) {
	r := readers.Get().(*gzip.Reader)
	defer readers.Put(r)
	if err := r.Reset(bytes.NewReader(data[len(prefix):])); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

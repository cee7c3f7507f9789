// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package transformer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

const (
	// Threshold is the size in bytes from which on a value is compressed. Smaller ones stay readable with etcd's tools.
	Threshold = 16 << 10
	// Limit is the largest value in bytes, as it is stored, that is sent to etcd. Beyond it are the key and the frame of the request,
	// which together may not exceed the 1.5 MiB that etcd takes unless it is told otherwise.
	Limit = 1536<<10 - 16<<10
	// MaxDecoded is the largest value in bytes that is written, before it is compressed: caches, watches and lists hold it as it is.
	MaxDecoded = 16 << 20
	// MaxRead is the largest value in bytes that is read, decompressed. Older versions bounded only what a value compresses to; what
	// they wrote in good faith is within it.
	MaxRead = 2 * MaxDecoded
)

// prefix of a compressed value. Neither JSON nor the ciphertext of any provider begins with it.
var prefix = []byte("stagegate:gzip:")

// Resources returns transformers for all resources that encrypt as the given ones do, which may be nil. Those of the compressed resources
// compress first.
func Resources(encryption value.ResourceTransformers, compressed []schema.GroupResource) value.ResourceTransformers {
	return resources{encryption, sets.New(compressed...)}
}

type resources struct {
	encryption value.ResourceTransformers
	compressed sets.Set[schema.GroupResource]
}

// TransformerForResource returns the transformer of a resource.
func (r resources) TransformerForResource(resource schema.GroupResource) value.Transformer {
	inner := identity.NewEncryptCheckTransformer()
	if r.encryption != nil {
		inner = r.encryption.TransformerForResource(resource)
	}
	return New(inner, r.compressed.Has(resource))
}

// New returns a transformer that writes what inner then encrypts, compressed if compress is true, and reads what is compressed either
// way. Writing fails with a *TooLargeError beyond MaxDecoded and Limit, reading with an *UnreadableError beyond MaxRead.
func New(inner value.Transformer, compress bool) value.Transformer {
	return &compressor{inner: inner, compresses: compress}
}

type compressor struct {
	inner      value.Transformer
	compresses bool
}

// TransformToStorage compresses a value that is to be compressed if it is large.
func (c *compressor) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	size := len(data)
	if size > MaxDecoded {
		return nil, &TooLargeError{Size: size}
	}
	compressed := c.compresses && size >= Threshold || size > Limit && wasLarger(ctx)
	if compressed {
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
		return nil, &TooLargeError{Size: size, Stored: len(out), Compressed: compressed}
	}
	return out, nil
}

// TransformFromStorage decompresses a value if it is compressed.
func (c *compressor) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	if access := accessOf(ctx); access != nil {
		access.stub = false
	}
	out, stale, err := c.inner.TransformFromStorage(ctx, data, dataCtx)
	if err != nil || !bytes.HasPrefix(out, prefix) {
		return out, stale, err
	}
	decompressed, err := decompress(out)
	if errors.Is(err, errUnreadable) {
		decompressed, err = unreadable(ctx, out, dataCtx)
	}
	if err != nil {
		return nil, false, fmt.Errorf("decompressing: %w", err)
	}
	return decompressed, stale, nil
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

// errUnreadable is what decompress answers beyond MaxRead.
var errUnreadable = errors.New("too large to read")

// decompress returns what a value decompresses to, up to MaxRead. What is larger says so in its last four bytes, and is not decompressed
// at all.
func decompress(data []byte) ([]byte, error) {
	data = data[len(prefix):]
	if len(data) < sizeBytes {
		return nil, io.ErrUnexpectedEOF
	}
	size := int64(binary.LittleEndian.Uint32(data[len(data)-sizeBytes:]))
	if size > MaxRead {
		return nil, errUnreadable
	}
	r := readers.Get().(*gzip.Reader)
	defer readers.Put(r)
	if err := r.Reset(bytes.NewReader(data)); err != nil {
		return nil, err
	}
	// With room for one byte more the end is seen, where the checksum is, and a value that is larger than it says.
	out := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	switch n, err := out.ReadFrom(io.LimitReader(r, size+1)); {
	case err != nil:
		return nil, err
	case n > size:
		return nil, errUnreadable
	}
	return out.Bytes(), nil
}

// sizeBytes is how many bytes at the end of a compressed value are its decompressed size.
const sizeBytes = 4

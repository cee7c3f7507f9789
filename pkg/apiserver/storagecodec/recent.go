// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package storagecodec

import (
	"bytes"
	"hash/maphash"
	"io"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The bounds of what Recent holds. Writes are read within moments, and what is forgotten is decoded once more.
const (
	maxObjects = 1024
	maxBytes   = 32 << 20
)

// Recent remembers what this process has just written. A written object is decoded twice: for the answer to the request, and when etcd's watch
// brings it to the cache. The one that comes first leaves a copy to the other one. A Recent is safe for concurrent use.
type Recent struct {
	seed     maphash.Seed
	versions *versions

	mu sync.Mutex
	// written are the objects that were encoded, by the hash of their bytes.
	written map[uint64]*object
	// order has the keys of written from the oldest one on, and maybe keys that are no longer there.
	order []uint64
	// size is the sum of the bytes of written.
	size int
}

// object was encoded, and was decoded at most once since.
type object struct {
	// size of its JSON.
	size int
	// data are its bytes and kind what they say it is, nil until it has been decoded.
	data []byte
	kind *schema.GroupVersionKind
	// decoded is nobody else's.
	decoded runtime.Object
}

// NewRecent returns one that remembers nothing yet.
func NewRecent() *Recent {
	return &Recent{
		seed:     maphash.MakeSeed(),
		versions: newVersions(),
		written:  map[uint64]*object{},
	}
}

// Codec returns a codec that encodes and decodes as the given one, which must be one of storage: what it decodes to follows from the bytes and
// from whether there is an object to decode into, and that object is overwritten. What is decoded into nothing, as etcd's watch does, is for a
// cache and must not be changed but for its metadata: its versions have in common what is equal in them.
func (r *Recent) Codec(codec runtime.Codec) runtime.Codec { return recentCodec{codec, r} }

type recentCodec struct {
	runtime.Codec

	recent *Recent
}

func (c recentCodec) Encode(obj runtime.Object, w io.Writer) error {
	out := hashed{Writer: w}
	out.hash.SetSeed(c.recent.seed)
	if err := c.Codec.Encode(obj, &out); err != nil {
		return err
	}
	c.recent.add(out.hash.Sum64(), out.size)
	return nil
}

func (c recentCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if defaults != nil {
		return c.Codec.Decode(data, defaults, into)
	}
	key := maphash.Bytes(c.recent.seed, data)
	obj, kind := c.recent.take(key, data, into)
	if obj == nil {
		var err error
		if obj, kind, err = c.Codec.Decode(data, nil, into); err != nil {
			return nil, kind, err
		}
		intern(obj)
		obj = c.recent.keep(key, data, kind, obj, into)
	}
	if into == nil {
		c.recent.versions.share(obj, len(data))
	}
	return obj, kind, nil
}

// add remembers that an object was encoded.
func (r *Recent) add(key uint64, size int) {
	if size > maxBytes {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written[key] != nil {
		return
	}
	r.written[key] = &object{size: size}
	r.order = append(r.order, key)
	r.size += size
	for len(r.order) > maxObjects || r.size > maxBytes {
		oldest := r.order[0]
		r.order = r.order[1:]
		r.forget(oldest)
	}
}

// keep leaves a decoded object to the next one who decodes it, if it was encoded here and nobody has left one. It returns the object or a copy
// of it: the watch gets the copy, which has no more room in its lists than it needs, since caches hold it for long.
func (r *Recent) keep(key uint64, data []byte, kind *schema.GroupVersionKind, obj, into runtime.Object) runtime.Object {
	if !r.waits(key) {
		return obj
	}
	left := obj.DeepCopyObject()
	if into == nil {
		obj, left = left, obj
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.written[key]; o != nil && o.decoded == nil {
		o.data, o.kind, o.decoded = data, kind, left
	}
	return obj
}

// waits reports whether an object was encoded and not decoded since.
func (r *Recent) waits(key uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.written[key]
	return o != nil && o.decoded == nil
}

// take returns what another one has left of these bytes, as decoding them would, and forgets it. It returns nil if there is nothing.
func (r *Recent) take(key uint64, data []byte, into runtime.Object) (runtime.Object, *schema.GroupVersionKind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.written[key]
	if o == nil || o.decoded == nil || !bytes.Equal(o.data, data) {
		return nil, nil
	}
	if into == nil {
		r.forget(key)
		// As the library leaves an object that is not decoded into a given one.
		o.decoded.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		return o.decoded, o.kind
	}
	from, to := reflect.ValueOf(o.decoded).Elem(), reflect.ValueOf(into).Elem()
	if from.Type() != to.Type() {
		return nil, nil
	}
	r.forget(key)
	to.Set(from)
	into.GetObjectKind().SetGroupVersionKind(*o.kind)
	return into, o.kind
}

func (r *Recent) forget(key uint64) {
	if o := r.written[key]; o != nil {
		r.size -= o.size
		delete(r.written, key)
	}
}

// hashed is a writer that hashes and counts what is written.
type hashed struct {
	io.Writer

	hash maphash.Hash
	size int
}

func (h *hashed) Write(p []byte) (int, error) {
	n, err := h.Writer.Write(p)
	_, _ = h.hash.Write(p[:n])
	h.size += n
	return n, err
}

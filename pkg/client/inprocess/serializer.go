// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	gort "runtime"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// Serializer returns the codecs of the handlers for ServeObjects: those that they would have, and references.
func Serializer(of runtime.NegotiatedSerializer) runtime.NegotiatedSerializer {
	return serializer{of}
}

type serializer struct{ runtime.NegotiatedSerializer }

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (s serializer) SupportedMediaTypes() []runtime.SerializerInfo {
	all := s.NegotiatedSerializer.SupportedMediaTypes()
	return append(all[:len(all):len(all)], runtime.SerializerInfo{
		MediaType: MediaType, MediaTypeType: "application", MediaTypeSubType: "vnd.stagegate.object",
		Serializer: references{},
		// An object has no fields that its type does not have.
		StrictSerializer: references{},
		StreamSerializer: &runtime.StreamSerializerInfo{Serializer: events{}, Framer: framer{}},
	})
}

// EncoderForVersion implements runtime.NegotiatedSerializer. It is called for each response.
func (s serializer) EncoderForVersion(of runtime.Encoder, version runtime.GroupVersioner) runtime.Encoder {
	switch of.(type) {
	case events:
		return of
	case references:
		return newEncoder(s.NegotiatedSerializer, version)
	}
	return s.NegotiatedSerializer.EncoderForVersion(of, version)
}

// references decodes the objects of requests. For responses there is an encoder each.
type references struct{}

var _ runtime.Serializer = references{}

// Decode implements runtime.Decoder.
func (references) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	r, err := readReference(data)
	if err != nil {
		return nil, nil, err
	}
	o, ok := outboxes.Load(r.outbox)
	if !ok {
		return nil, nil, errors.New("the reference is to an object of another request")
	}
	object, err := o.(*outbox).take(r)
	if err != nil {
		return nil, nil, err
	}
	kind := object.GetObjectKind().GroupVersionKind()
	return moveTo(into, object), &kind, nil
}

// Encode implements runtime.Encoder.
func (references) Encode(runtime.Object, io.Writer) error {
	return errors.New("each response has an encoder of its own")
}

// Identifier implements runtime.Encoder.
func (references) Identifier() runtime.Identifier { return MediaType }

// encoder is that of one response. The outbox is garbage with it, unless the client has received it before.
type encoder struct {
	outbox     *outbox
	identifier runtime.Identifier
	registered bool
	// versioned converts and then encodes with the outbox.
	versioned runtime.Encoder
}

var _ runtime.Encoder = &encoder{}

func newEncoder(codecs runtime.NegotiatedSerializer, version runtime.GroupVersioner) *encoder {
	o := newOutbox()
	return &encoder{outbox: o, identifier: runtime.Identifier(MediaType + " " + hex.EncodeToString(o.id[:])), versioned: codecs.EncoderForVersion(outboxEncoder{o}, version)}
}

// Encode implements runtime.Encoder.
func (e *encoder) Encode(object runtime.Object, w io.Writer) error {
	if !e.registered {
		e.registered = true
		outboxes.Store(e.outbox.id, e.outbox)
		gort.AddCleanup(e, func(i id) { outboxes.Delete(i) }, e.outbox.id)
	}
	// The watch cache keeps an encoding for all who have the same encoder. A reference is for one only.
	if cached, ok := object.(runtime.CacheableObject); ok {
		object = cached.GetObject()
	}
	return e.versioned.Encode(object, w)
}

// Identifier implements runtime.Encoder. It is this encoder's alone, see Encode.
func (e *encoder) Identifier() runtime.Identifier {
	return e.identifier
}

// outboxEncoder encodes objects as references.
type outboxEncoder struct{ *outbox }

var _ runtime.Encoder = outboxEncoder{}

// Encode implements runtime.Encoder.
func (o outboxEncoder) Encode(object runtime.Object, w io.Writer) error {
	var clone runtime.Object
	if _, event := w.(runtime.Splice); event {
		// What becomes part of an event was copied for this watch alone, by the watch cache or by GetObject. The codecs still set its kind.
		clone = shallowCopyOf(object)
	} else {
		clone = copyOf(object)
	}
	_, err := w.Write(o.put(clone).bytes())
	return err
}

// Identifier implements runtime.Encoder. It does not tell outboxes apart, since the libraries keep every identifier for ever.
func (outboxEncoder) Identifier() runtime.Identifier { return MediaType }

// events encodes and decodes the events of watches, whose objects are references already.
type events struct{}

var _ runtime.Serializer = events{}

// eventTypes are those that there are, by how they are encoded.
var eventTypes = []watch.EventType{1: watch.Added, 2: watch.Modified, 3: watch.Deleted, 4: watch.Bookmark, 5: watch.Error}

// Encode implements runtime.Encoder.
func (events) Encode(object runtime.Object, w io.Writer) error {
	event, ok := object.(*metav1.WatchEvent)
	if !ok {
		return fmt.Errorf("%T is no event of a watch", object)
	}
	r, err := readReference(event.Object.Raw)
	if err != nil {
		return err
	}
	for code, t := range eventTypes {
		if string(t) == event.Type && t != "" {
			r.event = byte(code)
			_, err = w.Write(r.bytes())
			return err
		}
	}
	return fmt.Errorf("%q is no type of an event", event.Type)
}

// Decode implements runtime.Decoder.
func (events) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	event, ok := into.(*metav1.WatchEvent)
	if !ok {
		return nil, nil, fmt.Errorf("an event of a watch cannot be decoded to %T", into)
	}
	r, err := readReference(data)
	if err != nil {
		return nil, nil, err
	}
	if r.event == 0 || int(r.event) >= len(eventTypes) {
		return nil, nil, fmt.Errorf("%d is no type of an event", r.event)
	}
	event.Type = string(eventTypes[r.event])
	event.Object = runtime.RawExtension{Raw: r.bytes()}
	return event, &schema.GroupVersionKind{Version: "v1", Kind: "WatchEvent"}, nil
}

// Identifier implements runtime.Encoder.
func (events) Identifier() runtime.Identifier { return MediaType + ";stream=watch" }

// framer tells references apart by their size.
type framer struct{}

var _ runtime.Framer = framer{}

// NewFrameWriter implements runtime.Framer.
func (framer) NewFrameWriter(w io.Writer) io.Writer { return w }

// NewFrameReader implements runtime.Framer.
func (framer) NewFrameReader(r io.ReadCloser) io.ReadCloser { return frameReader{r} }

type frameReader struct{ io.ReadCloser }

// Read reads one reference.
func (f frameReader) Read(p []byte) (int, error) {
	if len(p) < referenceSize {
		return 0, io.ErrShortBuffer
	}
	return io.ReadFull(f.ReadCloser, p[:referenceSize])
}

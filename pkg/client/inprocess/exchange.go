// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned/scheme"
)

// MediaType is that of references to objects.
const MediaType = "application/vnd.stagegate.object"

// A reference is the kind of an event, the id of an outbox and the number of an object in it.
const (
	idSize        = 16
	referenceSize = 1 + idSize + 8
)

type (
	id        [idSize]byte
	reference struct {
		event  byte
		outbox id
		number uint64
	}
)

func (r reference) bytes() []byte {
	p := make([]byte, 0, referenceSize)
	p = append(p, r.event)
	p = append(p, r.outbox[:]...)
	return binary.BigEndian.AppendUint64(p, r.number)
}

func readReference(p []byte) (reference, error) {
	if len(p) != referenceSize {
		return reference{}, fmt.Errorf("%d bytes are no reference to an object", len(p))
	}
	return reference{event: p[0], outbox: id(p[1 : 1+idSize]), number: binary.BigEndian.Uint64(p[1+idSize:])}, nil
}

// outboxes has those that a reference may be to and whose objects wait for the other side. Who adds one sees to it that it is removed.
var outboxes sync.Map

// outbox has the objects of one response, or of one request, that the other side has not taken yet.
type outbox struct {
	id id

	mu      sync.Mutex
	last    uint64
	objects map[uint64]runtime.Object
}

func newOutbox() *outbox {
	o := &outbox{objects: map[uint64]runtime.Object{}}
	// It never fails.
	_, _ = rand.Read(o.id[:])
	return o
}

// put adds an object, which is the other side's from now on.
func (o *outbox) put(object runtime.Object) reference {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	o.objects[o.last] = object
	return reference{outbox: o.id, number: o.last}
}

// take removes an object. Nobody can take it twice, since whoever has it may change it.
func (o *outbox) take(r reference) (runtime.Object, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	object, ok := o.objects[r.number]
	if !ok {
		return nil, errors.New("the object was taken already")
	}
	delete(o.objects, r.number)
	return object, nil
}

// copyOf returns an object that shares nothing with another one that can be changed, without managedFields.
func copyOf(object runtime.Object) runtime.Object {
	if _, err := meta.Accessor(object); err != nil {
		clone := object.DeepCopyObject()
		if meta.IsListType(clone) {
			_ = meta.EachListItem(clone, func(item runtime.Object) error {
				dropManagedFields(item)
				return nil
			})
		}
		return clone
	}
	return shallowCopyOf(object).DeepCopyObject()
}

// shallowCopyOf returns an object that shares all but its metadata and type with another one, without managedFields.
func shallowCopyOf(object runtime.Object) runtime.Object {
	value := reflect.ValueOf(object).Elem()
	clone := reflect.New(value.Type())
	clone.Elem().Set(value)
	shallow := clone.Interface().(runtime.Object)
	dropManagedFields(shallow)
	return shallow
}

func dropManagedFields(object runtime.Object) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
}

// exchange is a request of a client, which it may send more than once, and the response.
type exchange struct {
	next http.RoundTripper
	// object is that of the request, nil where it has none.
	object  runtime.Object
	attempt *attempt
}

// placeholder is the body of a request with an object until it is sent.
const placeholder = "an object"

var (
	_ http.RoundTripper = &exchange{}
	_ runtime.Encoder   = &exchange{}
	_ runtime.Decoder   = &exchange{}
)

// Encode implements runtime.Encoder, for the object of the request.
func (e *exchange) Encode(object runtime.Object, w io.Writer) error {
	e.object = object
	_, err := io.WriteString(w, placeholder)
	return err
}

// Identifier implements runtime.Encoder.
func (e *exchange) Identifier() runtime.Identifier { return MediaType }

// RoundTrip implements http.RoundTripper.
func (e *exchange) RoundTrip(request *http.Request) (*http.Response, error) {
	e.attempt = &attempt{object: e.object}
	return e.next.RoundTrip(request.WithContext(context.WithValue(request.Context(), sentKey{}, e.attempt)))
}

// Decode implements runtime.Decoder, for the objects of the response.
func (e *exchange) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if e.attempt == nil {
		return nil, nil, errors.New("there is no response to decode")
	}
	object, err := e.attempt.take(data)
	if err != nil {
		return nil, nil, err
	}
	kind := object.GetObjectKind().GroupVersionKind()
	// As clients do that decode JSON.
	object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return moveTo(into, object), &kind, nil
}

// moveTo moves an object to another one of the same type and returns that, or the object itself where it is of another type.
func moveTo(into, object runtime.Object) runtime.Object {
	if into == nil || reflect.TypeOf(into) != reflect.TypeOf(object) {
		return object
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(object).Elem())
	return into
}

// attempt is an exchange as it was sent once.
type attempt struct {
	object runtime.Object

	mu sync.Mutex
	// received are the outboxes that the response has references to. Nobody else may have them any more.
	received map[id]*outbox
}

// The contexts of both ends of a request have its attempt, by keys of their own: a handler may make requests in its context that are no part of the exchange.
type (
	sentKey   struct{}
	servedKey struct{}
)

// sentIn returns the attempt that a client sends, nil for one that does not share objects.
func sentIn(ctx context.Context) *attempt {
	a, _ := ctx.Value(sentKey{}).(*attempt)
	return a
}

// servedIn returns the attempt that a handler serves, nil for what does not come from a client that shares objects.
func servedIn(ctx context.Context) *attempt {
	a, _ := ctx.Value(servedKey{}).(*attempt)
	return a
}

// writes reports whether the request has an object. What answers it is as small: an object, or an error.
func (a *attempt) writes() bool { return a != nil && a.object != nil }

// send gives a request the body for its object, and returns what to do once it is answered.
func (a *attempt) send(request *http.Request) (end func(), err error) {
	end = func() {}
	if !a.writes() || request.Header.Get("Content-Type") != MediaType {
		return end, nil
	}
	body, contentType := []byte(nil), MediaType
	kinds, _, err := scheme.Scheme.ObjectKinds(a.object)
	// The options of a deletion are decoded with other codecs than objects are.
	if err == nil && (request.Method == http.MethodPost || request.Method == http.MethodPut) {
		object := copyOf(a.object)
		object.GetObjectKind().SetGroupVersionKind(kinds[0])
		o := newOutbox()
		outboxes.Store(o.id, o)
		end = func() { outboxes.Delete(o.id) }
		body = o.put(object).bytes()
	} else {
		contentType = runtime.ContentTypeJSON
		if body, err = encodeJSON(a.object); err != nil {
			return nil, err
		}
	}
	if request.Body != nil {
		_ = request.Body.Close()
	}
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	request.Header.Set("Content-Type", contentType)
	return end, nil
}

// encodeJSON encodes what is not shared.
func encodeJSON(object runtime.Object) ([]byte, error) {
	info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	if !ok {
		return nil, errors.New("there is no codec for JSON")
	}
	return runtime.Encode(scheme.Codecs.WithoutConversion().EncoderForVersion(info.Serializer, nil), object)
}

// receive makes what references are to this exchange's.
func (a *attempt) receive(references []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ; len(references) > 0; references = references[referenceSize:] {
		if len(references) < referenceSize {
			return errors.New("the response has no whole references to objects")
		}
		r, err := readReference(references[:referenceSize])
		if err != nil {
			return err
		}
		if _, ok := a.received[r.outbox]; ok {
			continue
		}
		o, ok := outboxes.LoadAndDelete(r.outbox)
		if !ok {
			return errors.New("the response has a reference to an object of another one")
		}
		if a.received == nil {
			a.received = map[id]*outbox{}
		}
		a.received[r.outbox] = o.(*outbox)
	}
	return nil
}

// take returns the object that a reference of the response is to.
func (a *attempt) take(data []byte) (runtime.Object, error) {
	r, err := readReference(data)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	o, ok := a.received[r.outbox]
	a.mu.Unlock()
	if !ok {
		return nil, errors.New("the reference is to an object of another response")
	}
	return o.take(r)
}

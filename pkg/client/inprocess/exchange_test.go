// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	gort "runtime"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	serverscheme "github.com/stagegate/stagegate/pkg/apis/scheme"
)

func work() *v1beta1.Work {
	return &v1beta1.Work{
		ObjectMeta: metav1.ObjectMeta{
			Name: "work", Namespace: "fleet", Labels: map[string]string{"a": "b"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: v1beta1.WorkSpec{Workload: v1beta1.WorkloadTemplate{Manifests: []v1beta1.Manifest{{RawExtension: runtime.RawExtension{Raw: []byte(`{}`)}}}}},
	}
}

var codecs = Serializer(serverscheme.Codecs)

// encoderOf is the encoder of one response.
func encoderOf(t *testing.T) runtime.Encoder {
	t.Helper()
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), MediaType)
	if !ok {
		t.Fatal("the media type is not served")
	}
	return codecs.EncoderForVersion(info.Serializer, v1beta1.SchemeGroupVersion)
}

// waiting reports whether an outbox waits for the other side.
func waiting(i id) bool {
	_, ok := outboxes.Load(i)
	return ok
}

func encode(t *testing.T, e runtime.Encoder, object runtime.Object) []byte {
	t.Helper()
	data, err := runtime.Encode(e, object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAResponseIsACopyForOne(t *testing.T) {
	e, original, client := encoderOf(t), work(), &exchange{attempt: &attempt{}}
	data := encode(t, e, original)
	if len(data) != referenceSize {
		t.Errorf("a reference of %d bytes", len(data))
	}
	if err := client.attempt.receive(data); err != nil {
		t.Fatal(err)
	}
	if other := (&attempt{}); other.receive(data) == nil {
		t.Error("another response has the object")
	}
	if other := (&exchange{attempt: &attempt{}}); errorOf(other.Decode(data, nil, nil)) == nil {
		t.Error("another exchange decodes the reference")
	}
	got := &v1beta1.Work{}
	if out, kind, err := client.Decode(data, nil, got); err != nil || out != got || kind.Kind != "Work" {
		t.Fatalf("decoded %T, %s: %v", out, kind, err)
	}
	if got.Kind != "" || got.ManagedFields != nil || got.Labels["a"] != "b" {
		t.Errorf("decoded %v %v %v", got.TypeMeta, got.ManagedFields, got.Labels)
	}
	got.Labels["a"], got.Spec.Workload.Manifests[0].Raw[0] = "changed", 'x'
	if original.Labels["a"] != "b" || original.Spec.Workload.Manifests[0].Raw[0] != '{' || len(original.ManagedFields) != 1 {
		t.Errorf("the server's object has changed with the client's: %v", original)
	}
	if errorOf(client.Decode(data, nil, nil)) == nil {
		t.Error("the object is decoded twice, and belongs to two")
	}
	gort.KeepAlive(e)
}

func errorOf(_ runtime.Object, _ any, err error) error { return err }

// What a client sends twice, after it was told to try again, reaches the handler twice, and the handler may change it.
func TestARequestIsACopyForEachAttempt(t *testing.T) {
	original := work()
	var sent [][]byte
	n := New()
	t.Cleanup(n.Close)
	n.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != MediaType {
			t.Errorf("%s: %v", r.Header.Get("Content-Type"), err)
		}
		into := &v1beta1.Work{}
		out, kind, err := references{}.Decode(data, nil, into)
		if err != nil || out != into || *kind != v1beta1.SchemeGroupVersion.WithKind("Work") {
			t.Errorf("decoded %T %v: %v", out, kind, err)
			return
		}
		if into.Labels["a"] != "b" || into.ManagedFields != nil {
			t.Errorf("got %v", into)
		}
		into.Labels["a"], into.Spec.Workload.Manifests[0].Raw[0] = "changed", 'x'
		if errorOf(references{}.Decode(data, nil, nil)) == nil {
			t.Error("the object is decoded twice")
		}
		if sent = append(sent, data); len(sent) == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = w.Write(encode(t, encoderOf(t), into))
	}))
	client, err := NewClientset(n.Config(&rest.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.PlacementV1beta1().Works("fleet").Create(t.Context(), original, metav1.CreateOptions{}); err == nil {
		t.Error("a response without a content type is decoded")
	}
	if len(sent) != 2 || bytes.Equal(sent[0], sent[1]) {
		t.Errorf("sent %d times: %v", len(sent), sent)
	}
	if original.Labels["a"] != "b" || original.Spec.Workload.Manifests[0].Raw[0] != '{' || len(original.ManagedFields) != 1 || original.Kind != "" {
		t.Errorf("the client's object has changed with the server's: %v", original)
	}
	for _, data := range sent {
		if errorOf(references{}.Decode(data, nil, nil)) == nil {
			t.Error("a reference of a request that was answered is decoded")
		}
		if r, err := readReference(data); err != nil || waiting(r.outbox) {
			t.Errorf("a request that was answered keeps its object: %v", err)
		}
	}
}

// Nobody may read what was encoded: the response was timed out, or its client has gone. It must be garbage, and so must what a client has
// received and not decoded.
func TestWhatNobodyReadsIsGarbage(t *testing.T) {
	ids := func() []id {
		unread := encode(t, encoderOf(t), work())
		received := encode(t, encoderOf(t), work())
		if err := (&attempt{}).receive(received); err != nil {
			t.Fatal(err)
		}
		return []id{id(unread[1 : 1+idSize]), id(received[1 : 1+idSize])}
	}()
	for deadline := time.Now().Add(time.Minute); waiting(ids[0]) || waiting(ids[1]); gort.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("an object that nobody can read is kept")
		}
		gort.GC()
	}
}

func TestOptionsAndPatchesAreJSON(t *testing.T) {
	n := New()
	t.Cleanup(n.Close)
	n.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		contentType, want := runtime.ContentTypeJSON, `{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"1"}}`
		if r.Method == http.MethodPatch {
			contentType, want = "application/merge-patch+json", `{"spec":{}}`
		}
		if got := r.Header.Get("Content-Type"); got != contentType || string(bytes.TrimSpace(body)) != want {
			t.Errorf("%s of %s: %s", r.Method, got, body)
		}
		_, _ = w.Write([]byte(`{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","kind":"Work","metadata":{"name":"x"}}`))
	}))
	client, err := NewClientset(n.Config(&rest.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	works := client.PlacementV1beta1().Works("fleet")
	if err := works.Delete(t.Context(), "x", *metav1.NewPreconditionDeleteOptions("1")); err != nil {
		t.Error(err)
	}
	if got, err := works.Patch(t.Context(), "x", "application/merge-patch+json", []byte(`{"spec":{}}`), metav1.PatchOptions{}); err != nil || got.Name != "x" {
		t.Errorf("an answer in JSON is %v: %v", got, err)
	}
}

// A watch that is not read keeps as much as a connection would, however many events there are.
func TestAWatchWaitsForItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = 10 * maxPendingReferences
		written := 0
		ended := make(chan struct{})
		n := New()
		defer n.Close()
		n.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			w.Header().Set("Content-Type", MediaType+";stream=watch")
			w.(http.Flusher).Flush()
			encoder := encoderOf(t)
			for range all {
				buffer := runtime.NewSpliceBuffer()
				if err := encoder.Encode(work(), buffer); err != nil {
					t.Error(err)
				}
				event := &metav1.WatchEvent{Type: string(watch.Added), Object: runtime.RawExtension{Raw: buffer.Bytes()}}
				if err := (events{}).Encode(event, w); err != nil {
					return
				}
				written++
			}
			buffer := runtime.NewSpliceBuffer()
			if err := encoder.Encode(&metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonExpired}, buffer); err != nil {
				t.Error(err)
			}
			if err := (events{}).Encode(&metav1.WatchEvent{Type: string(watch.Error), Object: runtime.RawExtension{Raw: buffer.Bytes()}}, w); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		}))
		client, err := NewClientset(n.Config(&rest.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		watching, err := client.PlacementV1beta1().Works("fleet").Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// One more is with the client.
		if written > maxPendingReferences+2 {
			t.Errorf("%d events wait for a client that does not read", written)
		}
		for i := range all {
			event := <-watching.ResultChan()
			if got, ok := event.Object.(*v1beta1.Work); !ok || event.Type != watch.Added || got.Name != "work" || got.ManagedFields != nil {
				t.Fatalf("event %d: %v", i, event)
			}
		}
		if event := <-watching.ResultChan(); event.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
			t.Errorf("the error that the watch ends with is %v", event)
		}
		watching.Stop()
		<-ended
	})
}

func TestOnlyReferencesAreDecoded(t *testing.T) {
	for _, data := range [][]byte{nil, {}, []byte(`{"kind":"Work"}`), make([]byte, referenceSize), make([]byte, referenceSize+1)} {
		if errorOf(references{}.Decode(data, nil, nil)) == nil {
			t.Errorf("%q is decoded in a request", data)
		}
		if errorOf((&exchange{attempt: &attempt{}}).Decode(data, nil, nil)) == nil {
			t.Errorf("%q is decoded in a response", data)
		}
		if errorOf(events{}.Decode(data, nil, &metav1.WatchEvent{})) == nil {
			t.Errorf("%q is decoded as an event", data)
		}
	}
	if (events{}).Encode(&metav1.WatchEvent{Type: "NEW", Object: runtime.RawExtension{Raw: reference{}.bytes()}}, io.Discard) == nil {
		t.Error("an event of a type that there is not is encoded")
	}
}

func TestOnlyThoseWhoShareObjectsAreRouted(t *testing.T) {
	n := New()
	var got string
	answer := func(name string) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got = name })
	}
	handler := n.Route(answer("everybody"))
	ask := func(ctx context.Context, want string) {
		t.Helper()
		r := request(ctx, t, http.MethodGet, nil)
		r.Header.Set("Accept", MediaType)
		if handler.ServeHTTP(nil, r); got != want {
			t.Errorf("the handler of %s has answered, want %s", got, want)
		}
	}
	own := context.WithValue(t.Context(), servedKey{}, &attempt{})
	ask(own, "everybody")
	n.ServeObjects(answer("own"))
	ask(own, "own")
	ask(t.Context(), "everybody")

	// What a handler asks for in its context, without an exchange, is not part of the exchange that it answers.
	n.Serve(handler)
	client, err := rest.HTTPClientFor(n.Config(&rest.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request(own, t, http.MethodGet, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _ = response.Body.Close(); got != "everybody" {
		t.Errorf("the handler of %s has answered a request without an exchange", got)
	}
}

// A write runs in the goroutine of its client, which cannot read before it has ended.
func TestAWriteWaitsForNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		defer n.Close()
		n.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				<-r.Context().Done()
				return
			}
			w.Header().Set("Content-Type", runtime.ContentTypeJSON)
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Status","status":"Failure","reason":"Conflict","message":"`))
			for range 3 {
				_, _ = w.Write(bytes.Repeat([]byte{'x'}, maxPendingBytes))
			}
			_, _ = w.Write([]byte(`"}`))
		}))
		client, err := NewClientset(n.Config(&rest.Config{}))
		if err != nil {
			t.Fatal(err)
		}
		works := client.PlacementV1beta1().Works("fleet")
		if _, err := works.Create(t.Context(), work(), metav1.CreateOptions{}); !apierrors.IsConflict(err) || len(err.Error()) < 3*maxPendingBytes {
			t.Errorf("a long answer: %.100v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := works.Update(ctx, work(), metav1.UpdateOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a write that nobody waits for: %v", err)
		}
	})
}

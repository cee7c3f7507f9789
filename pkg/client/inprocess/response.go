// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
)

const (
	// maxPendingBytes is how much of a response waits for a client to read it before the handler has to wait, in bytes, about as much as
	// connections hold. A single write may exceed it: the handler has it in memory already.
	maxPendingBytes = 64 << 10
	// maxPendingReferences is the same for references, each of which keeps an object.
	maxPendingReferences = 100
)

var errBodyClosed = errors.New("the client has closed the body of the response")

// responseWriter is a response that one side writes and the other reads.
type responseWriter struct {
	ctx    context.Context
	header http.Header
	// attempt is nil where a client takes bytes only.
	attempt *attempt
	// whole is true where the client reads once the handler has returned, so that nothing waits for it to read.
	whole bool
	// ready is closed when there is something for the client: what was flushed, or all there will be, or no answer.
	ready chan struct{}

	mu sync.Mutex
	// changed is told of every change to what follows.
	changed *sync.Cond
	isReady bool
	status  int
	// sent is the header as it was when the status was written.
	sent       http.Header
	references bool
	pending    bytes.Buffer
	// end is what reads return after what is pending, nil while the handler may write.
	end error
	// gone is why nobody will read, nil while somebody may.
	gone error
}

var (
	_ http.ResponseWriter = &responseWriter{}
	_ http.Flusher        = &responseWriter{}
	// The filters wrap only what they take for a connection of HTTP/2 so that it still flushes, and know it by this.
	_ http.CloseNotifier = &responseWriter{} //nolint:staticcheck // The filters ask for it.
)

func newResponseWriter(ctx context.Context, a *attempt) *responseWriter {
	w := &responseWriter{ctx: ctx, attempt: a, whole: a.writes(), header: http.Header{}, ready: make(chan struct{})}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// Header implements http.ResponseWriter.
func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *responseWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *responseWriter) writeHeader(status int) {
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if w.attempt != nil {
		mediaType, _, _ := mime.ParseMediaType(w.sent.Get("Content-Type"))
		w.references = mediaType == MediaType
	}
}

// Write implements http.ResponseWriter. It waits while too much is pending.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(http.StatusOK)
	for w.gone == nil && w.ctx.Err() == nil && w.full() {
		w.setReady()
		w.changed.Wait()
	}
	switch {
	case w.gone != nil:
		return 0, w.gone
	case w.ctx.Err() != nil:
		return 0, w.ctx.Err()
	}
	if w.references {
		if err := w.attempt.receive(p); err != nil {
			return 0, err
		}
	}
	w.pending.Write(p)
	w.changed.Broadcast()
	return len(p), nil
}

func (w *responseWriter) full() bool {
	switch {
	case w.whole:
		return false
	case w.references:
		return w.pending.Len() >= maxPendingReferences*referenceSize
	}
	return w.pending.Len() >= maxPendingBytes
}

// Flush implements http.Flusher.
func (w *responseWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(http.StatusOK)
	w.setReady()
}

// setReady lets the client have the response. What is written later is read as it comes.
func (w *responseWriter) setReady() {
	if !w.isReady {
		w.isReady = true
		close(w.ready)
	}
}

// CloseNotify implements http.CloseNotifier.
func (w *responseWriter) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(w.ctx, func() { gone <- true })
	return gone
}

// finish is called when the handler has returned, or failed.
func (w *responseWriter) finish(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.writeHeader(http.StatusOK)
		err = io.EOF
	}
	if w.end == nil {
		w.end = err
	}
	w.setReady()
	w.changed.Broadcast()
}

// abandon is called when the client's context has ended.
func (w *responseWriter) abandon(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leave(err)
	w.setReady()
}

// leave is why nobody will read any more.
func (w *responseWriter) leave(err error) {
	if w.gone == nil {
		w.gone = err
	}
	w.pending = bytes.Buffer{}
	w.changed.Broadcast()
}

// response waits until there is one. Close is called when its body is closed.
func (w *responseWriter) response(request *http.Request, closing func()) (*http.Response, error) {
	<-w.ready
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.gone != nil:
		return nil, w.gone
	case w.status == 0:
		return nil, w.end
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: -1, Request: request, Body: &body{w: w, closing: closing},
	}, nil
}

// body is the client's end of a response.
type body struct {
	w       *responseWriter
	closing func()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	w := b.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.gone == nil && w.pending.Len() == 0 && w.end == nil {
		w.changed.Wait()
	}
	switch {
	case w.gone != nil:
		return 0, w.gone
	case w.pending.Len() == 0:
		return 0, w.end
	}
	n, err := w.pending.Read(p)
	w.changed.Broadcast()
	return n, err
}

// Close implements io.Closer. The handler learns that nobody reads.
func (b *body) Close() error {
	b.w.mu.Lock()
	b.w.leave(errBodyClosed)
	b.w.mu.Unlock()
	b.closing()
	return nil
}

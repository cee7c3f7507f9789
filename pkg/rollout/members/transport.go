// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/sets"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/stagegate/stagegate/pkg/apis/wording"
)

const (
	// maxLocation bounds what is quoted of where a member redirects to, in bytes.
	maxLocation = 256
	// maxRetryAfter bounds how long a member may have client-go wait until it tries again, in seconds.
	maxRetryAfter = 10
)

// bounds are what a member can make this server hold in memory or wait for. All sizes are bytes as they are after unpacking.
type bounds struct {
	// answer is how long a request may take with the whole of its answer. That of a watch must begin by then.
	answer time.Duration
	// header is how large the header of an answer may be.
	header int64
	// object is how large an answer may be that is no list; etcd has no object that comes near it.
	object int64
	// list is how large a list may be, or a page of one.
	list int64
	// free is how much of each answer, and of each event, comes as fast as it can. The rest of all answers of a member shares a rate, in
	// chunks a second, after some at once: many requests are made to a member at the same time, and an answer that is decoded takes twenty
	// times as much memory if it is made for that. Hardly anything that a member has is as large as that.
	free, chunk  int64
	rate, atOnce int
	// event is how large one event of a watch may be. A watch as a whole has no bound.
	event int64
	// failure is what is read of an answer that is an error. The rest is left out: of an error the status is what counts.
	failure int64
}

// memberBounds hold for all clients of members. A kube-apiserver gives a request up after a minute by default as well.
var memberBounds = bounds{
	answer:  time.Minute,
	header:  256 << 10,
	object:  8 << 20,
	list:    32 << 20,
	free:    256 << 10,
	chunk:   64 << 10,
	rate:    16,
	atOnce:  64,
	event:   16 << 20,
	failure: 256 << 10,
}

// bind makes all clients of a config keep the bounds and follow no redirects, whoever creates them: it replaces the config's
// transport, with TLS and proxy as the config has them.
func bind(config *rest.Config, b bounds) error {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return err
	}
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return err
	}
	proxy := http.ProxyFromEnvironment
	if config.Proxy != nil {
		proxy = config.Proxy
	}
	config.Transport = &transport{
		bounds: b,
		pace:   flowcontrol.NewTokenBucketRateLimiter(float32(b.rate), b.atOnce),
		base:   strings.TrimRight(base.Path, "/"),
		// As client-go has it, but for the header.
		next: utilnet.SetTransportDefaults(&http.Transport{
			Proxy:                  proxy,
			TLSClientConfig:        tlsConfig,
			TLSHandshakeTimeout:    10 * time.Second,
			DialContext:            (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConnsPerHost:    25,
			MaxResponseHeaderBytes: b.header,
			DisableCompression:     config.DisableCompression,
		}),
	}
	// The scheme is not guessed from the TLS settings any more, which are the transport's now.
	config.Host = base.String()
	config.TLSClientConfig = rest.TLSClientConfig{}
	config.Proxy = nil
	config.DisableCompression = false
	return nil
}

// transport sends requests to a member that is not trusted. What it returns has been unpacked by the transport below.
type transport struct {
	bounds
	// pace is that of chunks.
	pace flowcontrol.RateLimiter
	// base is the path under which the member serves its API.
	base string
	next http.RoundTripper
}

var _ utilnet.RoundTripperWrapper = &transport{}

// WrappedRoundTripper returns the transport below, for those who close its idle connections.
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip sends a request. It fails where the member redirects it, and where the answer is late.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	tooLate := fmt.Errorf("no whole answer within %s: %w", t.answer, context.DeadlineExceeded)
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(t.answer, func() { cancel(tooLate) })
	end := func() { timer.Stop(); cancel(nil) }
	late := func() error {
		if errors.Is(context.Cause(ctx), tooLate) {
			return tooLate
		}
		return nil
	}

	response, err := t.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		err = cmp.Or(late(), err)
		end()
		return nil, err
	}
	if isRedirect(response.StatusCode) {
		_ = response.Body.Close()
		end()
		return nil, fmt.Errorf("the member redirects %s %s to %s, and redirects are not followed; put the address of its API server into the kubeconfig",
			request.Method, request.URL.Path, locationOf(response))
	}
	if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && after > maxRetryAfter {
		response.Header.Set("Retry-After", strconv.Itoa(maxRetryAfter))
	}
	response.Body = &body{ReadCloser: response.Body, request: request, late: late, end: end}
	switch verb := t.verb(request); {
	case response.StatusCode >= http.StatusBadRequest:
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, t.failure), response.Body}
	case verb == "watch":
		timer.Stop()
		var s scanner = &jsonScanner{}
		if mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); mediaType == runtime.ContentTypeProtobuf {
			s = &frameScanner{}
		}
		response.Body = &events{ReadCloser: response.Body, ctx: ctx, request: request, transport: t, scanner: s, granted: t.free}
	case verb == "list":
		response.Body = t.limited(ctx, response.Body, request, t.list)
	default:
		response.Body = t.limited(ctx, response.Body, request, t.object)
	}
	return response, nil
}

var requestInfo = genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// verb is what an API server makes of a request: get, list, watch and so on.
func (t *transport) verb(request *http.Request) string {
	info, err := requestInfo.NewRequestInfo(&http.Request{
		Method: request.Method,
		URL:    &url.URL{Path: strings.TrimPrefix(request.URL.Path, t.base), RawQuery: request.URL.RawQuery},
	})
	if err != nil {
		return ""
	}
	return info.Verb
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// locationOf is where a redirect leads, without a password.
func locationOf(response *http.Response) string {
	location, err := response.Location()
	if err != nil {
		return "nowhere"
	}
	return wording.Shorten(location.Redacted(), maxLocation)
}

// body is an answer that ends with its request's deadline. An answer that does not end in time is an error of the transport, as one that
// does not begin is.
type body struct {
	io.ReadCloser
	request *http.Request
	// late returns an error once the deadline has passed.
	late func() error
	end  func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	// A connection that is closed at the deadline can look like the end of the answer.
	if late := b.late(); late != nil {
		return n, failed(b.request, late)
	}
	return n, err
}

// failed is the error of a request that got no answer, as a client has it.
func failed(request *http.Request, err error) error {
	return &url.Error{Op: request.Method, URL: request.URL.Redacted(), Err: err}
}

func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// awaitChunk waits until another chunk of an answer may be read.
func (t *transport) awaitChunk(ctx context.Context, request *http.Request) error {
	if err := t.pace.Wait(ctx); err != nil {
		return failed(request, cmp.Or(context.Cause(ctx), err))
	}
	return nil
}

func (t *transport) limited(ctx context.Context, body io.ReadCloser, request *http.Request, limit int64) io.ReadCloser {
	return &limited{ReadCloser: body, ctx: ctx, request: request, transport: t, limit: limit, left: limit, granted: t.free}
}

// limited is an answer that fails where it becomes too large, and comes at the transport's pace.
type limited struct {
	io.ReadCloser
	ctx       context.Context
	request   *http.Request
	transport *transport
	// limit is how much there may be, left how much more of it, and granted how much of that may be read before the next chunk is due.
	limit, left, granted int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, l.tooLarge()
	}
	if l.granted <= 0 {
		if err := l.transport.awaitChunk(l.ctx, l.request); err != nil {
			return 0, err
		}
		l.granted = l.transport.chunk
	}
	// One byte more tells an answer that is too large from one that is just not.
	if most := min(l.left+1, l.granted); int64(len(p)) > most {
		p = p[:most]
	}
	n, err := l.ReadCloser.Read(p)
	l.granted -= int64(n)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, l.tooLarge()
	}
	return n, err
}

func (l *limited) tooLarge() error {
	return fmt.Errorf("the member's answer to %s %s has more than %d bytes", l.request.Method, l.request.URL.Path, l.limit)
}

// events is a stream that fails where an event becomes too large, and comes at the transport's pace where one is large.
type events struct {
	io.ReadCloser
	ctx       context.Context
	request   *http.Request
	transport *transport
	scanner   scanner
	// size is how much of the present event was read, granted how much of it may be before the next chunk is due.
	size, granted int64
}

func (e *events) Read(p []byte) (int, error) {
	if int64(len(p)) > e.transport.chunk {
		p = p[:e.transport.chunk]
	}
	n, err := e.ReadCloser.Read(p)
	for _, c := range p[:n] {
		if e.size++; e.size > e.transport.event {
			return 0, fmt.Errorf("an event of the member's watch has more than %d bytes", e.transport.event)
		}
		if e.scanner.ends(c) {
			e.size, e.granted = 0, e.transport.free
		}
	}
	if e.size > e.granted {
		if err := e.transport.awaitChunk(e.ctx, e.request); err != nil {
			return 0, err
		}
		e.granted = e.size + e.transport.chunk
	}
	return n, err
}

// scanner finds the ends of the events of a stream.
type scanner interface {
	// ends takes the next byte and reports whether it is the last one of an event.
	ends(c byte) bool
}

// jsonScanner finds the ends of JSON objects. What stands between two counts for the next.
type jsonScanner struct {
	depth           int
	quoted, escaped bool
}

func (s *jsonScanner) ends(c byte) bool {
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted && c == '\\':
		s.escaped = true
	case c == '"':
		s.quoted = !s.quoted
	case s.quoted:
	case c == '{' || c == '[':
		s.depth++
	case c == '}' || c == ']':
		s.depth = max(s.depth-1, 0)
		return s.depth == 0
	}
	return false
}

// frameScanner finds the ends of frames that begin with their length, in four bytes.
type frameScanner struct {
	header int
	left   uint32
}

func (s *frameScanner) ends(c byte) bool {
	if s.header < 4 {
		s.header++
		s.left = s.left<<8 | uint32(c)
	} else {
		s.left--
	}
	if s.header < 4 || s.left > 0 {
		return false
	}
	s.header = 0
	return true
}

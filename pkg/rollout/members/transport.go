// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"

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
	event:   16 << 20,
	failure: 256 << 10,
}

// bind has all clients that are made of a config keep the bounds, and follow no redirect, whoever makes them: it replaces the config's
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
		if context.Cause(ctx) == tooLate {
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
		if mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); mediaType != protobuf {
			response.Body = &events{ReadCloser: response.Body, limit: t.event}
		}
	case verb == "list":
		response.Body = &limited{ReadCloser: response.Body, request: request, limit: t.list, left: t.list}
	default:
		response.Body = &limited{ReadCloser: response.Body, request: request, limit: t.object, left: t.object}
	}
	return response, nil
}

// protobuf frames say how long they are, and client-go refuses those of more than 16 MiB before it reads them. It reads JSON whole.
const protobuf = "application/vnd.kubernetes.protobuf"

var requestInfo = apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

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
		return n, &url.Error{Op: b.request.Method, URL: b.request.URL.Redacted(), Err: late}
	}
	return n, err
}

func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// limited is an answer that fails where it becomes too large.
type limited struct {
	io.ReadCloser
	request     *http.Request
	limit, left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, l.tooLarge()
	}
	// One byte more tells an answer that is too large from one that is just not.
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n - 1, l.tooLarge()
	}
	return n, err
}

func (l *limited) tooLarge() error {
	return fmt.Errorf("the member's answer to %s %s has more than %d bytes", l.request.Method, l.request.URL.Path, l.limit)
}

// events is a stream of JSON values that fails where one of them becomes too large. What stands between two values counts for the next.
type events struct {
	io.ReadCloser
	limit, size     int64
	depth           int
	quoted, escaped bool
}

func (e *events) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for _, c := range p[:n] {
		if e.size++; e.size > e.limit {
			return 0, fmt.Errorf("an event of the member's watch has more than %d bytes", e.limit)
		}
		switch {
		case e.escaped:
			e.escaped = false
		case e.quoted && c == '\\':
			e.escaped = true
		case c == '"':
			e.quoted = !e.quoted
		case e.quoted:
		case c == '{' || c == '[':
			e.depth++
		case c == '}' || c == ']':
			if e.depth--; e.depth <= 0 {
				e.depth, e.size = 0, 0
			}
		}
	}
	return n, err
}

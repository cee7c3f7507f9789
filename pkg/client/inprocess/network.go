// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

const (
	// host is what requests name as their host. Nobody looks it up.
	host = "http://localhost"

	// remoteAddress is what the audit log has as the source of requests.
	remoteAddress = "127.0.0.1:0"
)

var (
	errNotServing = errors.New("the server in this process does not serve yet")
	errClosed     = errors.New("the server in this process has ended")
)

// Network leads requests to the handlers of a server in this process. The zero value is of no use.
type Network struct {
	handler atomic.Pointer[http.Handler]
	objects atomic.Pointer[http.Handler]

	// ctx is the parent of all requests: none has anything of the context that its client made it in, such as the user of a request that admission asks for.
	ctx  context.Context
	stop context.CancelFunc
}

var _ http.RoundTripper = &Network{}

// New returns a network without a server.
func New() *Network {
	n := &Network{}
	n.ctx, n.stop = context.WithCancel(context.Background())
	return n
}

// Serve has requests answered by a handler, the whole of a server's chain, from now on. Before, they fail.
func (n *Network) Serve(handler http.Handler) { n.handler.Store(&handler) }

// ServeObjects has requests of clients that share objects answered by a handler of their own, at the place of Route. Its codecs are those of
// Serializer. Before, they are answered as all others.
func (n *Network) ServeObjects(handler http.Handler) { n.objects.Store(&handler) }

// Close ends all requests, and has new ones fail.
func (n *Network) Close() { n.stop() }

// Config returns the configuration of a client that has the credential of another one and connects here.
func (n *Network) Config(of *rest.Config) *rest.Config {
	config := rest.CopyConfig(of)
	config.Host, config.Transport = host, n
	config.TLSClientConfig, config.Dial, config.Proxy = rest.TLSClientConfig{}, nil, nil
	return config
}

// Route returns a handler that passes on to next what does not come from clients that share objects.
func (n *Network) Route(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if objects := n.objects.Load(); objects != nil && servedIn(r.Context()) != nil {
			(*objects).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RoundTrip implements http.RoundTripper.
func (n *Network) RoundTrip(request *http.Request) (*http.Response, error) {
	served, end, err := n.receive(request)
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := context.WithCancel(served.Context())
	served = served.WithContext(ctx)
	w := newResponseWriter(ctx, servedIn(ctx))
	leave := context.AfterFunc(request.Context(), func() {
		w.abandon(context.Cause(request.Context()))
		cancel()
	})
	serve := func() {
		defer func() {
			// What the handler wrote stays there for the client to read.
			w.finish(failure(ctx, recover()))
			cancel()
			end()
			if served.Body != nil {
				_ = served.Body.Close()
			}
		}()
		(*n.handler.Load()).ServeHTTP(w, served)
	}
	if w.whole {
		serve()
	} else {
		go serve()
	}
	response, err := w.response(request, func() {
		leave()
		cancel()
	})
	if err != nil {
		leave()
		cancel()
		return nil, err
	}
	return response, nil
}

// receive returns a request as the server gets it, and what to do once it is answered.
func (n *Network) receive(request *http.Request) (served *http.Request, end func(), err error) {
	switch {
	case n.ctx.Err() != nil:
		return nil, nil, errClosed
	case n.handler.Load() == nil:
		return nil, nil, errNotServing
	}
	ctx := n.ctx
	address := *request.URL
	served = &http.Request{
		Method: request.Method, URL: &address, RequestURI: address.RequestURI(), Host: request.URL.Host, RemoteAddr: remoteAddress,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: request.Header.Clone(), Body: request.Body, ContentLength: request.ContentLength,
	}
	if served.Body == nil {
		served.Body = http.NoBody
	}
	end = func() {}
	if a := sentIn(request.Context()); a != nil {
		ctx = context.WithValue(ctx, servedKey{}, a)
		if end, err = a.send(served); err != nil {
			return nil, nil, err
		}
	}
	return served.WithContext(ctx), end, nil
}

// failure returns what a client is told of a panic in a handler, nil if there was none. A server does not end of it either.
func failure(ctx context.Context, reason any) error {
	if reason == nil {
		return nil
	}
	err := fmt.Errorf("the handler of the request panicked: %v", reason)
	if cause, ok := reason.(error); !ok || !errors.Is(cause, http.ErrAbortHandler) {
		klog.FromContext(ctx).Error(err, "A request within the process failed")
	}
	return err
}

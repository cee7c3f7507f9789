// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"

	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// maxUserBodyBytes is the largest body in bytes that is read of a request that is not a controller's: three times what a user's object
// may have, as in any API server. maxRequestBodyBytes holds for the controllers.
const maxUserBodyBytes = 3 << 20

// boundBodies has larger bodies of users refused. It goes where the user is known.
func boundBodies(config *genericapiserver.Config) {
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return build(withBoundedBodies(api, maxUserBodyBytes, registry.IsLoop, c.Serializer), c)
	}
}

// withBoundedBodies refuses a body of more than limit bytes, whatever the verb and the encoding: at once where the request declares its
// length, and else as soon as more is read. Requests for which exempt returns true are passed on.
func withBoundedBodies(next http.Handler, limit int64, exempt func(context.Context) bool, serializer runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody || exempt(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength > limit {
			gv := schema.GroupVersion{}
			if info, ok := genericapirequest.RequestInfoFrom(r.Context()); ok {
				gv = schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
			}
			responsewriters.ErrorNegotiated(bodyTooLarge(fmt.Sprintf("%d bytes", r.ContentLength), limit), serializer, gv, w, r)
			return
		}
		bounded := *r
		bounded.Body = &boundedBody{ReadCloser: r.Body, ctx: r.Context(), limit: limit, left: limit}
		next.ServeHTTP(w, &bounded)
	})
}

// boundedBody is a body that fails once more than its limit is read, and once the time of the request is over: what nobody waits for
// any more is neither read nor decoded.
type boundedBody struct {
	io.ReadCloser

	ctx         context.Context
	limit, left int64
}

// Read implements io.Reader. Its errors are API errors, which the handlers answer as they are.
func (b *boundedBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, apierrors.NewTimeoutError(fmt.Sprintf("the time of the request was over before its body was read: %v", err), 0)
	}
	// The byte beyond the limit tells a body that is too large from one that just fits.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return int(b.left), bodyTooLarge("larger", b.limit)
	}
	b.left -= int64(n)
	return n, err
}

func bodyTooLarge(size string, limit int64) error {
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
		"the body of the request is %s, and at most %d bytes (%d MiB) are read: divide what it has over several objects", size, limit, limit>>20))
}

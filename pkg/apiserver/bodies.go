// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"

	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

// maxUserBodyBytes is the largest body in bytes that is read of a request that is not a controller's: three times what a user's object
// may have, as in any API server. maxRequestBodyBytes holds for the controllers.
const maxUserBodyBytes = 3 << 20

// maxUserPatchSteps is how many steps a user's JSON patch may have. The library takes 10,000, each of which may copy all of a list: of one
// that has the mebibyte of a user's object, that takes minutes of a processor, which go on when nobody waits any more.
const maxUserPatchSteps = 1000

// boundBodies has larger bodies of users refused, and longer JSON patches. It goes where the user is known.
func boundBodies(config *genericapiserver.Config) {
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		api = withBoundedPatches(api, maxUserPatchSteps, registry.IsLoop, c.Serializer)
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
			refuse(w, r, bodyTooLarge(fmt.Sprintf("%d bytes", r.ContentLength), limit), serializer)
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

// withBoundedPatches refuses a JSON patch of more than limit steps. It reads patches, so that withBoundedBodies must come before it. What
// is no list of steps is passed on, for the handlers to refuse.
func withBoundedPatches(next http.Handler, limit int, exempt func(context.Context) bool, serializer runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.Method != http.MethodPatch || mediaType != string(types.JSONPatchType) || r.Body == nil || exempt(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		data, err := io.ReadAll(r.Body)
		if err != nil {
			refuse(w, r, err, serializer)
			return
		}
		if steps := countSteps(data, limit); steps > limit {
			refuse(w, r, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
				"the JSON patch has more than %d steps: send a merge patch, or divide it into several", limit)), serializer)
			return
		}
		read := *r
		read.Body = struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(data), r.Body}
		next.ServeHTTP(w, &read)
	})
}

// countSteps returns how many steps a JSON patch has, up to one more than enough.
func countSteps(patch []byte, enough int) int {
	decoder := json.NewDecoder(bytes.NewReader(patch))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return 0
	}
	n := 0
	for n <= enough && decoder.More() {
		var step json.RawMessage
		if err := decoder.Decode(&step); err != nil {
			break
		}
		n++
	}
	return n
}

func refuse(w http.ResponseWriter, r *http.Request, err error, serializer runtime.NegotiatedSerializer) {
	gv := schema.GroupVersion{}
	if info, ok := genericapirequest.RequestInfoFrom(r.Context()); ok {
		gv = schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
	}
	responsewriters.ErrorNegotiated(err, serializer, gv, w, r)
}

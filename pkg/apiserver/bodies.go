// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"

	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// maxUserBodyBytes is the largest body in bytes that is read of a request that is not a controller's: three times what a user's object
// may have, as in any API server. maxRequestBodyBytes holds for the controllers.
const maxUserBodyBytes = 3 << 20

// maxUserPatchSteps is how many steps a user's JSON patch may have. The library takes 10,000, each of which may copy all of a list: of one
// that has the mebibyte of a user's object, that takes minutes of CPU time, which go on when nobody waits any more.
const maxUserPatchSteps = 1000

// maxUserStrategicBytes is the largest strategic merge patch in bytes that a user may send: the time that one takes grows with the square
// of its length, where it has a list with keys.
const maxUserStrategicBytes = 256 << 10

// maxUserPatchWork is what a user's patch may take, in bytes times levels. The libraries write the patch and what it changes again for each
// level that the patch reaches down to: for 50 KiB that are 9,000 levels deep, gigabytes of memory and many seconds of CPU time.
const maxUserPatchWork = 100 << 20

// boundBodies has larger bodies of users refused, and patches that would take too long. It goes where the user is known.
func boundBodies(config *genericapiserver.Config) {
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		bounds := patchBounds{steps: maxUserPatchSteps, strategicBytes: maxUserStrategicBytes, work: maxUserPatchWork}
		api = withBoundedPatches(api, bounds, registry.IsController, c.Serializer)
		api = withBoundedYAML(api, maxUserBodyBytes, registry.IsController, c.Serializer)
		return build(withBoundedBodies(api, maxUserBodyBytes, registry.IsController, c.Serializer), c)
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

// patchBounds is what a user's patches may have and take.
type patchBounds struct {
	// steps of a JSON patch.
	steps int
	// strategicBytes of a strategic merge patch.
	strategicBytes int
	// work of any of them: the bytes of the patch and of the largest object that a user may write, times the levels that the patch reaches
	// down to.
	work int
}

// check returns the check of each kind of patch that is bounded. Server-side apply does not take longer for being nested.
func (b patchBounds) check() map[types.PatchType]func(patch []byte) error {
	return map[types.PatchType]func(patch []byte) error{
		types.JSONPatchType: func(patch []byte) error {
			if countSteps(patch, b.steps) > b.steps {
				return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the JSON patch has more than %d steps: send a merge patch, or divide it into several", b.steps))
			}
			return b.checkWork(patch, levelsOfSteps(patch))
		},
		types.StrategicMergePatchType: func(patch []byte) error {
			if len(patch) > b.strategicBytes {
				return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the strategic merge patch has %d bytes, and may have %d: send a merge patch, or apply it on the server's side",
					len(patch), b.strategicBytes))
			}
			return b.checkWork(patch, levels(patch))
		},
		types.MergePatchType: func(patch []byte) error { return b.checkWork(patch, levels(patch)) },
	}
}

func (b patchBounds) checkWork(patch []byte, levels int) error {
	most := b.work / (len(patch) + store.MaxUserBytes)
	if levels <= most {
		return nil
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
		"the patch has %d bytes and reaches down %d levels of lists and objects, and one of its size may reach down %d: send the whole object, or apply it on the server's side",
		len(patch), levels, most))
}

// withBoundedPatches refuses a patch beyond the bounds. It reads patches, so that withBoundedBodies must come before it. What is no patch of
// its kind is passed on, for the handlers to refuse.
func withBoundedPatches(next http.Handler, bounds patchBounds, exempt func(context.Context) bool, serializer runtime.NegotiatedSerializer) http.Handler {
	check := bounds.check()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As the handlers take it.
		mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		checkPatch := check[types.PatchType(mediaType)]
		if r.Method != http.MethodPatch || checkPatch == nil || r.Body == nil || exempt(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		serveChecked(w, r, next, serializer, checkPatch)
	})
}

// serveChecked passes a request on whose body passes a check, and answers with the error otherwise. It reads the body whole, so that
// withBoundedBodies must come before it.
func serveChecked(w http.ResponseWriter, r *http.Request, next http.Handler, serializer runtime.NegotiatedSerializer, check func(body []byte) error) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = check(body)
	}
	if err != nil {
		refuse(w, r, err, serializer)
		return
	}
	read := *r
	read.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), r.Body}
	next.ServeHTTP(w, &read)
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

// levels returns how deep lists and objects are nested in a JSON text.
func levels(text []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// levelsOfSteps returns how many levels a JSON patch may reach down to: its deepest step and, where a step moves or copies to a deeper level
// than from, that difference, since the next one may move the whole of it again.
func levelsOfSteps(patch []byte) int {
	// The library takes the names of a step's fields as they are written, and of equal ones the last.
	var steps []map[string]json.RawMessage
	if err := json.Unmarshal(patch, &steps); err != nil {
		return 0
	}
	// depth returns how many levels a JSON pointer of a step goes down.
	depth := func(pointer json.RawMessage) int {
		var path string
		if err := json.Unmarshal(pointer, &path); err != nil {
			return 0
		}
		return strings.Count(path, "/")
	}
	deepest, moved := 0, 0
	for _, step := range steps {
		to, from := depth(step["path"]), depth(step["from"])
		deepest = max(deepest, from, to+levels(step["value"]))
		if step["from"] != nil {
			moved += max(0, to-from)
		}
	}
	return deepest + moved
}

func refuse(w http.ResponseWriter, r *http.Request, err error, serializer runtime.NegotiatedSerializer) {
	gv := schema.GroupVersion{}
	if info, ok := genericapirequest.RequestInfoFrom(r.Context()); ok {
		gv = schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
	}
	responsewriters.ErrorNegotiated(err, serializer, gv, w, r)
}

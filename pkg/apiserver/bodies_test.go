// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

type controllerKey struct{}

func isController(ctx context.Context) bool { return ctx.Value(controllerKey{}) != nil }

// readAll answers with how much it could read of the body, as the handlers of the API do.
var readAll = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		status, ok := err.(apierrors.APIStatus) //nolint:errorlint // The handlers ask the same way.
		if !ok {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s := status.Status()
		w.WriteHeader(int(s.Code))
		_ = json.NewEncoder(w).Encode(s)
		return
	}
	_ = json.NewEncoder(w).Encode(len(data))
})

func TestBodiesOfUsersAreBounded(t *testing.T) {
	const limit = 2 << 20
	bounded := withBoundedBodies(readAll, limit, isController, scheme.Codecs)
	for name, test := range map[string]struct {
		size       int
		chunked    bool
		controller bool
		message    string
	}{
		"nothing":                    {size: 0},
		"just fits":                  {size: limit},
		"just fits, in chunks":       {size: limit, chunked: true},
		"one byte more":              {size: limit + 1, message: "the body of the request is 2097153 bytes, and at most 2097152 bytes (2 MiB) are read: divide"},
		"one byte more, in chunks":   {size: limit + 1, chunked: true, message: "the body of the request is larger, and at most 2097152 bytes (2 MiB) are read: divide"},
		"much more, in chunks":       {size: 4 * limit, chunked: true, message: "the body of the request is larger"},
		"of a controller":            {size: 4 * limit, controller: true},
		"of a controller, in chunks": {size: 4 * limit, controller: true, chunked: true},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			t.Run(name+"/"+method, func(t *testing.T) {
				var body io.Reader = bytes.NewReader(make([]byte, test.size))
				if test.chunked {
					body = struct{ io.Reader }{body}
				}
				r := httptest.NewRequest(method, "/apis/placement.kubernetes-fleet.io/v1/x", body)
				if test.controller {
					r = r.WithContext(context.WithValue(r.Context(), controllerKey{}, true))
				}
				w := httptest.NewRecorder()
				bounded.ServeHTTP(w, r)
				if test.message == "" {
					if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != strings.TrimSpace(string(mustJSON(t, test.size))) {
						t.Errorf("answered %d %s, want all %d bytes read", w.Code, got, test.size)
					}
					return
				}
				var status metav1.Status
				if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil {
					t.Fatalf("%v: %s", err, w.Body)
				}
				if w.Code != http.StatusRequestEntityTooLarge || status.Reason != metav1.StatusReasonRequestEntityTooLarge {
					t.Errorf("answered %d %s, want 413", w.Code, status.Reason)
				}
				if !strings.Contains(status.Message, test.message) {
					t.Errorf("%q does not contain %q", status.Message, test.message)
				}
			})
		}
	}
}

func mustJSON(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestABodyIsNotReadOnceTheTimeOfItsRequestIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	body := strings.NewReader("{}")
	r := httptest.NewRequest(http.MethodPost, "/", body).WithContext(ctx)
	cancel()
	w := httptest.NewRecorder()
	withBoundedBodies(readAll, 1<<20, isController, scheme.Codecs).ServeHTTP(w, r)
	if w.Code != http.StatusGatewayTimeout {
		t.Errorf("answered %d %s, want a timeout", w.Code, w.Body)
	}
	if body.Len() != 2 {
		t.Error("the body was read")
	}
}

func TestPatchesOfUsersAreBoundedByWhatTheyCost(t *testing.T) {
	const limit = 3
	steps := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(`{"op":"test"},`, n), ",") + "]" }
	bounded := withBoundedPatches(readAll, patchBounds{steps: limit, strategicBytes: 100, work: 11 * store.MaxUserBytes}, isController, scheme.Codecs)
	// With the bytes of the patch, that is ten levels.
	nested := func(levels int) string { return strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels) }
	add := func(levels int, value string) string {
		return fmt.Sprintf(`{"op":"add","path":"%s","value":%s}`, strings.Repeat("/a", levels), value)
	}
	move := func(from, to int) string {
		return fmt.Sprintf(`{"op":"move","from":"%s","path":"%s"}`, strings.Repeat("/a", from), strings.Repeat("/b", to))
	}
	const mergePatch, strategicPatch = "application/merge-patch+json", "application/strategic-merge-patch+json"
	for name, test := range map[string]struct {
		method, contentType, body string
		controller                bool
		want                      int
	}{
		"none":                       {body: "[]", want: http.StatusOK},
		"as many as may be":          {body: steps(limit), want: http.StatusOK},
		"one more":                   {body: steps(limit + 1), want: http.StatusRequestEntityTooLarge},
		"by another name":            {body: steps(limit + 1), contentType: "application/json-patch+json;a=1;a=2", want: http.StatusRequestEntityTooLarge},
		"of a controller":            {body: steps(limit + 1), controller: true, want: http.StatusOK},
		"strategic":                  {body: steps(10)[:100], contentType: "application/strategic-merge-patch+json", want: http.StatusOK},
		"strategic, a byte more":     {body: steps(10)[:101], contentType: "application/strategic-merge-patch+json", want: http.StatusRequestEntityTooLarge},
		"strategic, of a controller": {body: steps(10)[:101], contentType: "application/strategic-merge-patch+json", controller: true, want: http.StatusOK},
		"another kind":               {body: steps(limit + 1), contentType: "application/merge-patch+json", want: http.StatusOK},
		"no patch":                   {body: steps(limit + 1), method: http.MethodPut, want: http.StatusOK},
		"no list":                    {body: `{"a":` + steps(limit+1) + "}", want: http.StatusOK},
		"no JSON":                    {body: "[[[[[[", want: http.StatusOK},
		"nested":                     {body: nested(10), contentType: mergePatch, want: http.StatusOK},
		"nested deeper":              {body: nested(11), contentType: mergePatch, want: http.StatusRequestEntityTooLarge},
		"nested, of a controller":    {body: nested(11), contentType: mergePatch, controller: true, want: http.StatusOK},
		"nested in a list":           {body: `{"a":[` + nested(9) + "]}", contentType: mergePatch, want: http.StatusRequestEntityTooLarge},
		"nested, strategic":          {body: nested(11), contentType: strategicPatch, want: http.StatusRequestEntityTooLarge},
		"brackets in a text":         {body: `{"a":"\"[[[[[[[[[[[[\\"}`, contentType: mergePatch, want: http.StatusOK},
		"after a text":               {body: `{"a":"\\","b":` + nested(10) + "}", contentType: mergePatch, want: http.StatusRequestEntityTooLarge},
		"side by side":               {body: "{" + strings.Repeat(`"a":{},`, 20) + `"b":[]}`, contentType: mergePatch, want: http.StatusOK},
		"applied on the server":      {body: nested(11), contentType: "application/apply-patch+yaml", want: http.StatusOK},
		"step down":                  {body: "[" + add(6, nested(4)) + "]", want: http.StatusOK},
		"step further down":          {body: "[" + add(6, nested(5)) + "]", want: http.StatusRequestEntityTooLarge},
		"step with two paths":        {body: `[{"op":"add","path":"` + strings.Repeat("/a", 11) + `","value":1,"PATH":"/a"}]`, want: http.StatusRequestEntityTooLarge},
		"step from below":            {body: "[" + move(11, 1) + "]", want: http.StatusRequestEntityTooLarge},
		"moves on a level":           {body: "[" + move(5, 5) + "," + move(5, 5) + "," + move(5, 1) + "]", want: http.StatusOK},
		"moves into each other":      {body: "[" + move(1, 5) + "," + move(1, 5) + "]", want: http.StatusRequestEntityTooLarge},
		"broken after so many":       {body: strings.TrimSuffix(steps(limit+1), "]"), want: http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(cmp.Or(test.method, http.MethodPatch), "/", strings.NewReader(test.body))
			r.Header.Set("Content-Type", cmp.Or(test.contentType, "application/json-patch+json"))
			if test.controller {
				r = r.WithContext(context.WithValue(r.Context(), controllerKey{}, true))
			}
			w := httptest.NewRecorder()
			bounded.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("answered %d %s, want %d", w.Code, w.Body, test.want)
			}
			if got := strings.TrimSpace(w.Body.String()); test.want == http.StatusOK && got != strconv.Itoa(len(test.body)) {
				t.Errorf("%s bytes are passed on, want all %d", got, len(test.body))
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"go.yaml.in/yaml/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/registry/store"
)

// withBoundedYAML refuses YAML that grows beyond limit bytes once its aliases are replaced by what they stand for. The libraries that
// decode it count values and not bytes, so that 100 KiB could take gigabytes. It reads bodies, so that withBoundedBodies must come before
// it. What is no YAML is passed on, for the handlers to refuse.
func withBoundedYAML(next http.Handler, limit int, exempt func(context.Context) bool, serializer runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if !strings.Contains(mediaType, "yaml") || r.Body == nil || r.Body == http.NoBody || exempt(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		serveChecked(w, r, next, serializer, func(body []byte) error { return checkAliases(body, limit) })
	})
}

// checkAliases returns an API error for YAML that is too large with its aliases replaced. JSON, which kubectl sends under the name of YAML,
// has none.
func checkAliases(body []byte, limit int) error {
	if !bytes.ContainsRune(body, '&') || !bytes.ContainsRune(body, '*') || json.Valid(body) {
		return nil
	}
	if len(body) > store.MaxUserBytes {
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
			"the body of the request has %d bytes of YAML that may have anchors and aliases, of which at most %d are read: send it as JSON", len(body), store.MaxUserBytes))
	}
	var document yaml.Node
	if err := yaml.Unmarshal(body, &document); err != nil {
		return nil
	}
	if (expansion{limit: limit, sizes: map[*yaml.Node]int{}}).of(&document) <= limit {
		return nil
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
		"the body of the request is YAML that grows beyond %d bytes (%d MiB) once its aliases are replaced by what they stand for: write it without aliases", limit, limit>>20))
}

// expansion measures YAML with its aliases replaced.
type expansion struct {
	limit int
	// sizes are those of what was measured, and more than the limit for what is being measured: an alias within its own anchor has no end.
	sizes map[*yaml.Node]int
}

// of returns the size of a node in bytes, more than the limit for all that is larger than it.
func (e expansion) of(node *yaml.Node) int {
	if node.Kind == yaml.AliasNode {
		return e.of(node.Alias)
	}
	if size, ok := e.sizes[node]; ok {
		return size
	}
	e.sizes[node] = e.limit + 1
	// A value takes a byte at least, be it empty.
	size := 1 + len(node.Value)
	for _, part := range node.Content {
		if size += e.of(part); size > e.limit {
			break
		}
	}
	e.sizes[node] = size
	return size
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"sigs.k8s.io/yaml"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// maxMistyped is how many fields of a body are told of at once.
const maxMistyped = 10

// maxShown is how many bytes of a text that is refused are shown.
const maxShown = 128

// durationPattern is that of KubeFleet's schema, with the units below a second that a duration may have once it is stored.
var durationPattern = regexp.MustCompile(`^(?:(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))+$`)

// kindsOfBodies are the kinds of what is written to the resources and subresources of this server.
type kindsOfBodies map[pathOfBody]schema.GroupVersionKind

// pathOfBody is where a body is written to.
type pathOfBody struct{ group, version, resource, subresource string }

// add takes in what is served of a group.
func (k kindsOfBodies) add(group *genericapiserver.APIGroupInfo) error {
	for _, gv := range group.PrioritizedVersions {
		for path, storage := range group.VersionedResourcesStorageMap[gv.Version] {
			kinds, _, err := scheme.Scheme.ObjectKinds(storage.New())
			if err != nil {
				return fmt.Errorf("kind of %s: %w", path, err)
			}
			resource, subresource, _ := strings.Cut(path, "/")
			k[pathOfBody{gv.Group, gv.Version, resource, subresource}] = gv.WithKind(kinds[0].Kind)
		}
	}
	return nil
}

// of returns the kind of what a request writes, and false where it writes none of this server's.
func (k kindsOfBodies) of(ctx context.Context) (schema.GroupVersionKind, *genericapirequest.RequestInfo, bool) {
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	if !ok || !info.IsResourceRequest || info.Verb != "create" && info.Verb != "update" && info.Verb != "patch" {
		return schema.GroupVersionKind{}, nil, false
	}
	kind, ok := k[pathOfBody{info.APIGroup, info.APIVersion, info.Resource, info.Subresource}]
	return kind, info, ok
}

// tellMistyped has users told which fields of what they write are of another type, and how to write them. The library's own errors have
// the names of Go types and the whole of a patched object, and say of a duration not which one it is.
func tellMistyped(config *genericapiserver.Config, kinds kindsOfBodies) {
	build := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		return build(withTypedBodies(api, kinds, registry.IsController, c.Serializer), c)
	}
}

// withTypedBodies refuses bodies with fields of another type. It reads bodies, so that withBoundedBodies must come before it. What cannot be
// read as what it is declared to be is passed on, for the handlers to refuse, and so is what is too large to be stored: to look through it
// would cost more than it helps.
func withTypedBodies(next http.Handler, kinds kindsOfBodies, exempt func(context.Context) bool, serializer runtime.NegotiatedSerializer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, info, ok := kinds.of(r.Context())
		if !ok || r.Body == nil || exempt(r.Context()) {
			next.ServeHTTP(w, r)
			return
		}
		serveChecked(w, r, next, serializer, func(body []byte) error {
			if len(body) > store.MaxUserBytes {
				return nil
			}
			mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
			return refuseMistyped(body, mediaType, kind, info.Name)
		})
	})
}

// refuseMistyped returns an API error that names the fields of a body that are of another type than the kind has, nil where there are none.
func refuseMistyped(body []byte, mediaType string, kind schema.GroupVersionKind, name string) error {
	obj, err := scheme.Scheme.New(kind)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	var found mistyped
	if of := reflect.TypeOf(obj).Elem(); types.PatchType(mediaType) == types.JSONPatchType {
		found.checkSteps(body, of)
	} else if written, ok := parseObject(body, mediaType); ok {
		if stated, ok := written["kind"].(string); ok && stated != kind.Kind {
			return nil
		}
		found.check(written, of, nil)
		if metadata, ok := written["metadata"].(map[string]any); ok && name == "" {
			name, _ = metadata["name"].(string)
		}
	}
	if len(found.errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(kind.GroupKind(), name, found.errs)
}

// parseObject reads an object or a part of one, and reports whether it is one.
func parseObject(body []byte, mediaType string) (map[string]any, bool) {
	if mediaType == runtime.ContentTypeYAML || types.PatchType(mediaType) == types.ApplyYAMLPatchType {
		var err error
		if body, err = yaml.YAMLToJSON(body); err != nil {
			return nil, false
		}
	}
	value, err := parseJSON(body)
	written, ok := value.(map[string]any)
	return written, ok && err == nil
}

// parseJSON keeps numbers as they are written.
func parseJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// mistyped collects what is of another type.
type mistyped struct{ errs field.ErrorList }

func (m *mistyped) add(path *field.Path, value any, wanted, fix string) {
	switch v := value.(type) {
	case map[string]any:
		value = "object"
	case []any:
		value = "array"
	case string:
		if len(v) > maxShown {
			value = strings.ToValidUTF8(v[:maxShown], "") + "..."
		}
	}
	if fix != "" {
		wanted += ": " + fix
	}
	m.errs = append(m.errs, field.TypeInvalid(path, value, wanted))
}

// checkSteps checks the values that a JSON patch puts where its paths say.
func (m *mistyped) checkSteps(patch []byte, of reflect.Type) {
	var steps []struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(patch, &steps); err != nil {
		return
	}
	for _, step := range steps {
		value, err := parseJSON(step.Value)
		if err != nil || step.Op != "add" && step.Op != "replace" {
			continue
		}
		if at, path, ok := follow(step.Path, of); ok {
			m.check(value, at, path)
		}
	}
}

// follow returns the type that a JSON pointer points at, and its path, and false where that is not known.
func follow(pointer string, of reflect.Type) (reflect.Type, *field.Path, bool) {
	var path *field.Path
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		of = dereferenced(of)
		if parsesItself(of) {
			return nil, nil, false
		}
		switch of.Kind() {
		case reflect.Struct:
			fields := fieldsOf(of)
			at, ok := fields[token]
			if !ok {
				return nil, nil, false
			}
			of, path = at, child(path, token)
		case reflect.Map:
			of, path = of.Elem(), path.Key(token)
		case reflect.Slice:
			index, err := strconv.Atoi(token)
			if err != nil {
				// An element is appended.
				of, path = of.Elem(), path.Key(token)
				continue
			}
			of, path = of.Elem(), path.Index(index)
		default:
			return nil, nil, false
		}
	}
	return of, path, path != nil
}

// check compares a value with a type as decoding does. What is null or not known is not wrong.
func (m *mistyped) check(value any, of reflect.Type, path *field.Path) {
	of = dereferenced(of)
	if value == nil || len(m.errs) >= maxMistyped {
		return
	}
	if parsesItself(of) {
		m.checkParsed(value, of, path)
		return
	}
	switch of.Kind() {
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			m.add(path, value, "must be of type object", "")
			return
		}
		fields := fieldsOf(of)
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if of, ok := fields[name]; ok {
				m.check(object[name], of, child(path, name))
			}
		}
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			m.add(path, value, "must be of type object", "")
			return
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			// Those of a strategic merge patch tell how to merge.
			if !strings.HasPrefix(key, "$") {
				m.check(object[key], of.Elem(), path.Key(key))
			}
		}
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Uint8 {
			return
		}
		list, ok := value.([]any)
		if !ok {
			m.add(path, value, "must be of type array", "")
			return
		}
		for i := range list {
			m.check(list[i], of.Elem(), path.Index(i))
		}
	default:
		m.checkScalar(value, of, path)
	}
}

func (m *mistyped) checkScalar(value any, of reflect.Type, path *field.Path) {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	switch {
	case of.Kind() == reflect.String:
		switch {
		case isText:
		case isNumber:
			m.add(path, value, "must be of type string", "write it in quotes: "+strconv.Quote(number.String()))
		default:
			fix := ""
			if _, ok := value.(bool); ok {
				fix = "write it in quotes"
			}
			m.add(path, value, "must be of type string", fix)
		}
	case of.Kind() == reflect.Bool:
		if _, ok := value.(bool); !ok {
			fix := ""
			if text == "true" || text == "false" {
				fix = "write it without quotes: " + text
			}
			m.add(path, value, "must be of type boolean", fix)
		}
	case isInteger(of.Kind()):
		if f, err := number.Float64(); !isNumber || err == nil && f != float64(int64(f)) {
			fix := ""
			if _, err := strconv.ParseInt(text, 10, 64); err == nil {
				fix = "write it without quotes: " + text
			}
			m.add(path, value, "must be of type integer", fix)
		}
	}
}

// checkParsed checks a value of a type that parses itself by having it do that.
func (m *mistyped) checkParsed(value any, of reflect.Type, path *field.Path) {
	text, err := json.Marshal(value)
	if err != nil {
		return
	}
	err = json.Unmarshal(text, reflect.New(of).Interface())
	switch of {
	case reflect.TypeFor[metav1.Duration]():
		m.checkDuration(value, path, err)
	case reflect.TypeFor[metav1.Time]():
		if err != nil {
			m.add(path, value, "must be a time", `write it such as "2006-01-02T15:04:05Z"`)
		}
	case reflect.TypeFor[metav1.MicroTime]():
		if err != nil {
			m.add(path, value, "must be a time", `write it such as "2006-01-02T15:04:05.000000Z"`)
		}
	case reflect.TypeFor[intstr.IntOrString]():
		if err != nil {
			m.add(path, value, "must be of type integer or string", "")
		}
	default:
		if err != nil {
			m.add(path, value, err.Error(), "")
		}
	}
}

// checkDuration takes what the schema of KubeFleet takes: Go alone would take 01h and .5h as well, which cannot be moved there.
func (m *mistyped) checkDuration(value any, path *field.Path, err error) {
	text, ok := value.(string)
	switch {
	case !ok:
		fix := ""
		if number, ok := value.(json.Number); ok {
			fix = fmt.Sprintf("write it in quotes and with its unit, such as %q", number+"m")
		}
		m.add(path, value, "must be of type string", fix)
	case err != nil && durationPattern.MatchString(text):
		m.add(path, value, "must be a duration", "the longest is 2562047h")
	case err != nil || !durationPattern.MatchString(text):
		m.add(path, value, fmt.Sprintf("%s in body should match '%s'", path, durationPattern), durationFix(text))
	}
}

var (
	days         = regexp.MustCompile(`^([0-9]{1,5})d$`)
	leadingZeros = regexp.MustCompile(`(^|[a-zµ])0+([0-9])`)
)

// durationFix returns how to write what was probably meant.
func durationFix(text string) string {
	if found := days.FindStringSubmatch(text); found != nil {
		n, _ := strconv.Atoi(found[1])
		return fmt.Sprintf("write days in hours: %q", strconv.Itoa(24*n)+"h")
	}
	if plain := leadingZeros.ReplaceAllString(text, "$1$2"); plain != text && durationPattern.MatchString(plain) {
		return fmt.Sprintf("write it without leading zeros: %q", plain)
	}
	return `write hours, minutes and seconds, such as "1h30m"`
}

func dereferenced(of reflect.Type) reflect.Type {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	return of
}

func parsesItself(of reflect.Type) bool {
	return reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]())
}

func isInteger(kind reflect.Kind) bool {
	return kind >= reflect.Int && kind <= reflect.Uint64
}

// fieldsOf are the types of the fields of a struct by their names in JSON.
func fieldsOf(of reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name != "":
			fields[name] = f.Type
		case f.Anonymous && dereferenced(f.Type).Kind() == reflect.Struct:
			for inner, of := range fieldsOf(dereferenced(f.Type)) {
				fields[inner] = of
			}
		default:
			fields[f.Name] = f.Type
		}
	}
	return fields
}

func child(path *field.Path, name string) *field.Path {
	if path == nil {
		return field.NewPath(name)
	}
	return path.Child(name)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

const (
	// maxPatchWork bounds the steps of a rule times the bytes of the manifest that they change: patches are made for every cluster,
	// in every plan.
	maxPatchWork = 256 << 20
	// maxMissing is how many bytes of a path a message says are missing.
	maxMissing = 256
	// maxManifest is the largest manifest in bytes that a patch may make: no API server takes a larger one.
	maxManifest = 3 << 20
)

// patch applies the steps of a JSON patch to a manifest. An error names the first step that does not fit.
func (c *cluster) patch(raw []byte, steps []v1beta1.JSONPatchOverride) ([]byte, error) {
	if work := int64(len(steps)) * int64(len(raw)); work > maxPatchWork {
		return nil, fmt.Errorf("%d steps are too many for a manifest of %d bytes, which may have %d: put what they add into one value", len(steps), len(raw), maxPatchWork/len(raw))
	}
	operations := make([]any, len(steps))
	for i := range steps {
		var err error
		if operations[i], err = c.operation(&steps[i]); err != nil {
			return nil, inStep(&steps[i], err)
		}
	}
	encoded, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		return nil, err
	}
	// All at once, since each application parses and writes the manifest. Only to name a step that does not fit, parts are tried.
	patched, err := patch.Apply(raw)
	if err != nil {
		fits := func(n int) error {
			_, err := patch[:n].Apply(raw)
			return err
		}
		n := 1 + sort.Search(len(patch)-1, func(i int) bool { return fits(i+1) != nil })
		err = cmp.Or(fits(n), err)
		if errors.Is(err, jsonpatch.ErrMissing) {
			// What the steps before it have made counts.
			if before, err := patch[:n-1].Apply(raw); err == nil {
				if missing := missingFor(&steps[n-1], before); missing != "" {
					return nil, inStep(&steps[n-1], errors.New(missing))
				}
			}
		}
		return nil, inStep(&steps[n-1], err)
	}
	if len(patched) > maxManifest {
		return nil, fmt.Errorf("the manifest would have %d bytes, and may have %d", len(patched), maxManifest)
	}
	return patched, nil
}

// missingFor returns what a step needs and a manifest lacks, empty where that is something else. What is added needs no more than a parent.
func missingFor(step *v1beta1.JSONPatchOverride, raw []byte) string {
	path, remedy := step.Path, ""
	if step.Operator == v1beta1.JSONPatchOverrideOpAdd {
		path, remedy = path[:max(0, strings.LastIndex(path, "/"))], ": add it first, in a step before"
	}
	if missing := missingIn(raw, path); missing != "" {
		return "the object has no " + missing + remedy
	}
	return ""
}

// missingIn returns the part of a JSON pointer that is not in a manifest, empty where all of it is. It quotes nothing of the manifest.
func missingIn(raw []byte, pointer string) string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return ""
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	tokens := strings.Split(pointer, "/")
	for i, token := range tokens[1:] {
		found := false
		switch parent := value.(type) {
		case map[string]any:
			value, found = parent[unescape.Replace(token)]
		case []any:
			if index, err := strconv.Atoi(token); err == nil && index >= 0 && index < len(parent) {
				value, found = parent[index], true
			}
		}
		if !found {
			return wording.Shorten(strings.Join(tokens[:i+2], "/"), maxMissing)
		}
	}
	return ""
}

func inStep(step *v1beta1.JSONPatchOverride, err error) error {
	return fmt.Errorf("%s %s: %w", step.Operator, step.Path, err)
}

// operation is a step as the standard has it, with its value for the cluster.
func (c *cluster) operation(step *v1beta1.JSONPatchOverride) (map[string]any, error) {
	operation := map[string]any{"op": step.Operator, "path": step.Path}
	if step.Operator != v1beta1.JSONPatchOverrideOpRemove {
		value, err := c.value(step.Value.Raw)
		if err != nil {
			return nil, err
		}
		operation["value"] = value
	}
	return operation, nil
}

// value is what a step adds, for the cluster. Nothing is null.
func (c *cluster) value(raw []byte) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	// Large numbers stay what they are.
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the value is no JSON: %w", err)
	}
	return c.substituteAll(value)
}

// substituteAll replaces the variables in every string of a value, keys of objects included. A string never becomes anything else.
func (c *cluster) substituteAll(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case string:
		return c.substitute(v)
	case []any:
		for i := range v {
			if v[i], err = c.substituteAll(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		substituted := make(map[string]any, len(v))
		for key, inner := range v {
			if key, err = c.substitute(key); err != nil {
				return nil, err
			}
			if substituted[key], err = c.substituteAll(inner); err != nil {
				return nil, err
			}
		}
		return substituted, nil
	}
	return value, nil
}

// substitute replaces the variables in a string. What they stand for is not looked at again.
func (c *cluster) substitute(s string) (string, error) {
	var done strings.Builder
	for {
		name, label := strings.Index(s, wellknown.ClusterNameVariable), strings.Index(s, wellknown.ClusterLabelVariable)
		switch {
		case name < 0 && label < 0:
			done.WriteString(s)
			return done.String(), nil
		case label < 0 || name >= 0 && name < label:
			done.WriteString(s[:name] + c.name)
			s = s[name+len(wellknown.ClusterNameVariable):]
		default:
			done.WriteString(s[:label])
			s = s[label+len(wellknown.ClusterLabelVariable):]
			key, rest, closed := strings.Cut(s, "}")
			if !closed {
				// Neither the value nor what follows in it is quoted: it may be that of a Secret, and statuses have the message.
				return "", fmt.Errorf("a value has %s without a closing brace", wellknown.ClusterLabelVariable)
			}
			value, ok := c.labels[key]
			if !ok {
				if len(validation.IsQualifiedName(key)) > 0 {
					return "", fmt.Errorf("a value has %s with what is no key of a label", wellknown.ClusterLabelVariable)
				}
				return "", fmt.Errorf("the cluster has no label %q", key)
			}
			done.WriteString(value)
			s = rest
		}
	}
}

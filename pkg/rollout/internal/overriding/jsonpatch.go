// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package overriding

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// What stands in a value for something of the cluster.
const (
	clusterNameVariable  = "${MEMBER-CLUSTER-NAME}"
	clusterLabelVariable = "${MEMBER-CLUSTER-LABEL-KEY-"
)

// patch applies the steps of a JSON patch to a manifest, one after the other, so that a message can name the one that does not fit.
func (c *cluster) patch(raw []byte, steps []v1beta1.JSONPatchOverride) ([]byte, error) {
	for i := range steps {
		var err error
		if raw, err = c.step(raw, &steps[i]); err != nil {
			return nil, fmt.Errorf("%s %s: %w", steps[i].Operator, steps[i].Path, err)
		}
	}
	return raw, nil
}

func (c *cluster) step(raw []byte, step *v1beta1.JSONPatchOverride) ([]byte, error) {
	operation := map[string]any{"op": step.Operator, "path": step.Path}
	if step.Operator != v1beta1.JSONPatchOverrideOpRemove {
		value, err := c.value(step.Value.Raw)
		if err != nil {
			return nil, err
		}
		operation["value"] = value
	}
	encoded, err := json.Marshal([]any{operation})
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		return nil, err
	}
	return patch.Apply(raw)
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
		name, label := strings.Index(s, clusterNameVariable), strings.Index(s, clusterLabelVariable)
		switch {
		case name < 0 && label < 0:
			done.WriteString(s)
			return done.String(), nil
		case label < 0 || name >= 0 && name < label:
			done.WriteString(s[:name] + c.name)
			s = s[name+len(clusterNameVariable):]
		default:
			done.WriteString(s[:label])
			s = s[label+len(clusterLabelVariable):]
			key, rest, closed := strings.Cut(s, "}")
			if !closed {
				return "", fmt.Errorf("%s%s is not closed by a brace", clusterLabelVariable, s)
			}
			value, ok := c.labels[key]
			if !ok {
				return "", fmt.Errorf("the cluster has no label %q", key)
			}
			done.WriteString(value)
			s = rest
		}
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"
)

// elision stands in a document for what it leaves out: as a value for any value, as a line of a mapping for any further
// fields of that mapping.
const elision = "..."

var (
	elidedLine = regexp.MustCompile(`(?m)^(\s+)\.\.\.$`)

	// variable are the fields whose values differ from one run to the next; they have to be there all the same.
	variable = sets.New("creationTimestamp", "endTime", "lastTransitionTime", "resourceVersion", "startTime", "uid")
)

// difference is a place where an object differs from the one in the document. A value that is not there is nil.
type difference struct {
	path      string
	want, got any
}

func (d difference) String() string {
	return fmt.Sprintf("%s: the document has %s, printed is %s", d.path, show(d.want), show(d.got))
}

func show(value any) string {
	if value == nil {
		return "nothing"
	}
	data, err := yaml.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSuffix(string(data), "\n")
}

// compareObjects returns where an object as printed differs from the document's.
func compareObjects(want, got string) ([]difference, error) {
	var wantValue, gotValue any
	// Each elided line becomes a field of its own name.
	n := 0
	parsable := elidedLine.ReplaceAllStringFunc(want, func(line string) string {
		n++
		return fmt.Sprintf("%s%q: %d", strings.TrimSuffix(line, elision), fmt.Sprintf("%s%d", elision, n), n)
	})
	if err := yaml.Unmarshal([]byte(parsable), &wantValue); err != nil {
		return nil, fmt.Errorf("in the document: %w", err)
	}
	if err := yaml.Unmarshal([]byte(got), &gotValue); err != nil {
		return nil, err
	}
	return differences("", wantValue, gotValue), nil
}

func differences(path string, want, got any) []difference {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			return mapDifferences(path, want, got)
		}
	case []any:
		if got, ok := got.([]any); ok {
			return listDifferences(path, want, got)
		}
	default:
		field := path[strings.LastIndex(path, ".")+1:]
		if want == got || got != nil && want != nil && (want == elision || variable.Has(field)) {
			return nil
		}
	}
	return []difference{{path, want, got}}
}

func mapDifferences(path string, want, got map[string]any) []difference {
	keys := sets.New[string]()
	partial := false
	for key := range want {
		if strings.HasPrefix(key, elision) {
			partial = true
			continue
		}
		keys.Insert(key)
	}
	if !partial {
		keys.Insert(slices.Collect(maps.Keys(got))...)
	}
	var all []difference
	for _, key := range sets.List(keys) {
		all = append(all, differences(strings.TrimPrefix(path+"."+key, "."), want[key], got[key])...)
	}
	return all
}

func listDifferences(path string, want, got []any) []difference {
	at := func(list []any, i int) any {
		if i < len(list) {
			return list[i]
		}
		return nil
	}
	var all []difference
	for i := range max(len(want), len(got)) {
		all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), at(want, i), at(got, i))...)
	}
	return all
}

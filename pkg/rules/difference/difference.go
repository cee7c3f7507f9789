// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package difference

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
	"github.com/stagegate/stagegate/pkg/rules/secretvalue"
)

// Between returns the places in which an object on a member differs from the hub's, as JSON, at most memberreport.MaxDetails. Of a Secret it
// shows no values.
func Between(member, hub map[string]any, isSecret bool) []v1beta1.PatchDetail {
	d := &differences{secret: isSecret}
	d.find("", member, hub)
	return d.details
}

// differences collects places in which two JSON values differ.
type differences struct {
	// secret reports whether no values are shown.
	secret  bool
	details []v1beta1.PatchDetail
}

// missing is a value that is not there, unlike one that is null.
type missing struct{}

func (d *differences) find(path string, member, hub any) {
	if len(d.details) == memberreport.MaxDetails || reflect.DeepEqual(member, hub) {
		return
	}
	switch m := member.(type) {
	case map[string]any:
		if h, same := hub.(map[string]any); same {
			d.inMaps(path, m, h)
			return
		}
	case []any:
		if h, same := hub.([]any); same {
			d.inLists(path, m, h)
			return
		}
	}
	d.details = append(d.details, v1beta1.PatchDetail{
		Path:          wording.Shorten(path, memberreport.MaxPath),
		ValueInMember: wording.Shorten(d.value(member), memberreport.MaxValue),
		ValueInHub:    wording.Shorten(d.value(hub), memberreport.MaxValue),
	})
}

func (d *differences) inMaps(path string, member, hub map[string]any) {
	keys := maps.Clone(member)
	maps.Copy(keys, hub)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		d.find(path+"/"+pointerEscaper.Replace(key), valueOf(member, key), valueOf(hub, key))
	}
}

func (d *differences) inLists(path string, member, hub []any) {
	for i := range max(len(member), len(hub)) {
		var m, h any = missing{}, missing{}
		if i < len(member) {
			m = member[i]
		}
		if i < len(hub) {
			h = hub[i]
		}
		d.find(path+"/"+strconv.Itoa(i), m, h)
	}
}

func valueOf(values map[string]any, key string) any {
	if v, has := values[key]; has {
		return v
	}
	return missing{}
}

// pointerEscaper escapes a key as JSON pointers want it.
var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func (d *differences) value(value any) string {
	if _, none := value.(missing); none {
		return ""
	}
	if d.secret {
		return secretvalue.Redacted
	}
	if text, isText := value.(string); isText {
		return text
	}
	// What was decoded from JSON can be encoded again.
	data, _ := json.Marshal(value)
	return string(data)
}

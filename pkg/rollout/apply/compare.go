// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/reported"
)

const (
	// maxDetails is how many differences of one object are reported.
	maxDetails = reported.MaxDetails
	// maxPath and maxValue bound where a difference is and what differs, in bytes.
	maxPath, maxValue = reported.MaxPath, reported.MaxValue
)

// comparison is where an object differs from its manifest.
type comparison struct {
	differences []v1beta1.PatchDetail
	// degraded reports whether all fields were compared although only those of the manifest should have been: the member refuses the
	// manifest as invalid, and so does not tell what it would become.
	degraded bool
}

// degradedNote says so in a message.
const degradedNote = "in degraded mode: all fields were compared, since the API server of the member cluster refuses the manifest as invalid"

// compare finds where an object differs from its manifest. Partially, that is what a server-side apply of the manifest would change;
// the member's API server is asked without anything being written, so that defaults and equal notations are no differences.
func (p *pass) compare(ctx context.Context, m *manifest, live *unstructured.Unstructured) (comparison, error) {
	var c comparison
	wanted := m.object
	if p.strategy.ComparisonOption == v1beta1.ComparisonOptionTypePartialComparison {
		applied, err := p.member.client(m).Apply(ctx, m.key.Name, m.object, metav1.ApplyOptions{
			FieldManager: wellknown.FieldManager,
			Force:        true,
			DryRun:       []string{metav1.DryRunAll},
		})
		switch {
		case apierrors.IsInvalid(err):
			c.degraded = true
		case err != nil:
			return c, ofMember(fmt.Errorf("comparing on the member cluster: %w", err))
		default:
			wanted = applied
		}
	}
	d := &differences{secret: m.isSecret()}
	d.find("", comparableParts(live), comparableParts(wanted))
	c.differences = d.details
	return c, nil
}

// comparableParts returns an object without what a manifest cannot determine, and without records of what was applied, which would report
// a difference twice.
func comparableParts(object *unstructured.Unstructured) any {
	content := object.DeepCopy()
	(&manifest{object: content}).clean()
	annotations := content.GetAnnotations()
	delete(annotations, wellknown.SpecHashAnnotation)
	delete(annotations, wellknown.LastAppliedAnnotation)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	content.SetAnnotations(annotations)
	if len(annotations) == 0 {
		unstructured.RemoveNestedField(content.Object, "metadata", "annotations")
	}
	return content.Object
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
	if len(d.details) == maxDetails || reflect.DeepEqual(member, hub) {
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
		Path:          wording.Shorten(path, maxPath),
		ValueInMember: wording.Shorten(d.value(member), maxValue),
		ValueInHub:    wording.Shorten(d.value(hub), maxValue),
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
		return redacted
	}
	if text, isText := value.(string); isText {
		return text
	}
	// What was decoded from JSON can be encoded again.
	data, _ := json.Marshal(value)
	return string(data)
}

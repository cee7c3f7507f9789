// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memberreport

import (
	"iter"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// MaxReason bounds the reason of a condition, in bytes.
const MaxReason = 64

// Conditions yields what a Work says of the manifests that it carries, in its order: what about asks for, cut to the bounds above. What it
// says of anything else, or of a manifest twice, is left out. No more is decoded than what about asks for, and no manifest twice: a status can
// have more entries than a Work has manifests. What is yielded shares with the Work what was not cut, and must not be changed.
func Conditions(work *v1beta1.Work, about func(*v1beta1.ManifestCondition) bool) iter.Seq[v1beta1.ManifestCondition] {
	return func(yield func(v1beta1.ManifestCondition) bool) {
		manifests := work.Spec.Workload.Manifests
		carried := make([]carriedObject, len(manifests))
		for i := range work.Status.ManifestConditions {
			m := &work.Status.ManifestConditions[i]
			at := m.Identifier.Ordinal
			if at < 0 || at >= len(manifests) || carried[at].said || !about(m) {
				continue
			}
			object := &carried[at]
			if !object.decoded {
				*object = carriedObject{id: identify(manifests[at].Raw), decoded: true}
			}
			id := m.Identifier
			id.Ordinal, id.Resource = 0, ""
			if object.said = id == object.id; object.said && !yield(cut(m)) {
				return
			}
		}
	}
}

// carriedObject is what is known of a manifest, and whether the status has said something of it.
type carriedObject struct {
	id            v1beta1.WorkResourceIdentifier
	decoded, said bool
}

// identify returns the identifier that whoever applies a manifest gives it, but for its place and its resource. That of one that cannot be
// read has no kind and no name.
func identify(manifest []byte) v1beta1.WorkResourceIdentifier {
	var object struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"metadata"`
	}
	if err := utiljson.Unmarshal(manifest, &object); err != nil || object.Kind == "" {
		return v1beta1.WorkResourceIdentifier{}
	}
	gvk := schema.FromAPIVersionAndKind(object.APIVersion, object.Kind)
	return v1beta1.WorkResourceIdentifier{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: object.Metadata.Namespace, Name: object.Metadata.Name}
}

// cut returns what is said of a manifest in bounds. Nothing is copied that is in them: a cache shares it.
func cut(said *v1beta1.ManifestCondition) v1beta1.ManifestCondition {
	m := *said
	if slices.ContainsFunc(m.Conditions, func(c metav1.Condition) bool { return len(c.Message) > MaxMessage || len(c.Reason) > MaxReason }) {
		m.Conditions = slices.Clone(m.Conditions)
		for i := range m.Conditions {
			c := &m.Conditions[i]
			// A reason ends in none of these.
			c.Message, c.Reason = wording.Shorten(c.Message, MaxMessage), strings.TrimRight(c.Reason[:min(len(c.Reason), MaxReason)], ",:")
		}
	}
	if d := m.DriftDetails; d != nil && areBeyond(d.ObservedDrifts) {
		d = d.DeepCopy()
		d.ObservedDrifts = cutDetails(d.ObservedDrifts)
		m.DriftDetails = d
	}
	if d := m.DiffDetails; d != nil && areBeyond(d.ObservedDiffs) {
		d = d.DeepCopy()
		d.ObservedDiffs = cutDetails(d.ObservedDiffs)
		m.DiffDetails = d
	}
	return m
}

func areBeyond(details []v1beta1.PatchDetail) bool {
	return len(details) > MaxDetails || slices.ContainsFunc(details, func(d v1beta1.PatchDetail) bool {
		return len(d.Path) > MaxPath || len(d.ValueInMember) > MaxValue || len(d.ValueInHub) > MaxValue
	})
}

func cutDetails(details []v1beta1.PatchDetail) []v1beta1.PatchDetail {
	details = details[:min(len(details), MaxDetails)]
	for i := range details {
		details[i] = v1beta1.PatchDetail{
			Path:          wording.Shorten(details[i].Path, MaxPath),
			ValueInMember: wording.Shorten(details[i].ValueInMember, MaxValue),
			ValueInHub:    wording.Shorten(details[i].ValueInHub, MaxValue),
		}
	}
	return details
}

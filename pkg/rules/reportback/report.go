// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
)

const (
	// MaxObjects is of how many objects of one placement the statuses are written.
	MaxObjects = 100
	// MaxStatus is how many bytes a status may have, as JSON.
	MaxStatus = 64 << 10
)

// Report is what a Work says of one object.
type Report struct {
	ID v1beta1.WorkResourceIdentifier
	// Reported is the status of the member's object.
	Reported *v1beta1.BackReportedStatus
}

// GroupVersion is that in which the object is placed and its status is reported.
func (r Report) GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: r.ID.Group, Version: r.ID.Version}
}

// Name is what messages call the object.
func (r Report) Name() string { return r.ID.Kind + " " + wording.Key(r.ID.Namespace, r.ID.Name) }

// Reports are what a Work says that is meant for objects of the hub, in its order: of what is applied and has a status on the member. What
// an envelope carries is no object of the hub. An agent writes the status of a Work: of what the Work does not carry it has nothing to say.
func Reports(work *v1beta1.Work) []Report {
	if !IsWanted(work.Spec.ReportBackStrategy) || work.DeletionTimestamp != nil || work.Labels[wellknown.EnvelopeTypeLabel] != "" {
		return nil
	}
	var found []Report
	for m := range memberreport.Conditions(work, func(m *v1beta1.ManifestCondition) bool {
		return m.BackReportedStatus != nil && meta.IsStatusConditionTrue(m.Conditions, v1beta1.WorkApplied)
	}) {
		found = append(found, Report{m.Identifier, m.BackReportedStatus})
	}
	return found
}

// Select orders the reports of a placement's Works by their objects, one for each: an object that moves from one Work to another has two
// for a moment, and the newer one counts. Reports of kinds that are never reported are left out, and so is what the placement does not
// select any more; leftOut names the kinds.
func Select(placement v1beta1.PlacementObject, reports []Report) (selected []Report, leftOut []string) {
	kinds := sets.New[string]()
	byKey := map[string]Report{}
	for _, r := range reports {
		key := Key(r.ID)
		switch before, has := byKey[key]; {
		case !IsReported(kindOf(r.ID)):
			kinds.Insert(r.ID.Kind)
		case !Covers(placement, r.ID):
		case !has || before.Reported.ObservationTime.Before(&r.Reported.ObservationTime):
			byKey[key] = r
		}
	}
	for _, r := range byKey {
		selected = append(selected, r)
	}
	slices.SortFunc(selected, func(a, b Report) int { return cmp.Compare(Key(a.ID), Key(b.ID)) })
	return selected, sets.List(kinds)
}

// IsTrimmed reports whether a Work is to report to the hub, and had no room for statuses.
func IsTrimmed(work *v1beta1.Work) bool {
	return IsWanted(work.Spec.ReportBackStrategy) && meta.IsStatusConditionTrue(work.Status.Conditions, v1beta1.WorkStatusTrimmed) &&
		!slices.ContainsFunc(work.Status.ManifestConditions, func(m v1beta1.ManifestCondition) bool { return m.BackReportedStatus != nil })
}

// Status returns the status that is reported, and nothing else of what comes from the member.
func (r Report) Status() (map[string]any, *Refusal) {
	raw := r.Reported.ObservedStatus.Raw
	var reported struct {
		APIVersion string          `json:"apiVersion"`
		Kind       string          `json:"kind"`
		Status     json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(raw, &reported); err != nil {
		return nil, r.refuse(ReasonStatusRefused, "what the member reports is no object")
	}
	if reported.APIVersion != r.GroupVersion().String() || reported.Kind != r.ID.Kind {
		return nil, r.refuse(ReasonStatusRefused, "what the member reports is of another kind")
	}
	if len(reported.Status) > MaxStatus {
		return nil, r.refuse(ReasonStatusTooLarge, fmt.Sprintf("the status on the member has %d bytes, and no more than %d are written", len(reported.Status), MaxStatus))
	}
	var status map[string]any
	if err := utiljson.Unmarshal(reported.Status, &status); err != nil || status == nil {
		return nil, r.refuse(ReasonStatusRefused, "the status on the member is no object")
	}
	return status, nil
}

// OtherWriters are those who have written the status of an object besides a field manager. A status has one writer: two would take turns
// for ever. Whoever may write an object can take its managedFields away: a status that nothing tells the writer of is somebody else's.
func OtherWriters(live *unstructured.Unstructured, manager string) []string {
	others := sets.New[string]()
	if status, _ := live.Object["status"].(map[string]any); len(status) > 0 && len(live.GetManagedFields()) == 0 {
		others.Insert(unknownWriter)
	}
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == manager || entry.FieldsV1 == nil {
			continue
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
			continue
		}
		if _, writes := fields["f:status"]; writes {
			others.Insert(wording.Shorten(entry.Manager, maxName))
		}
	}
	return sets.List(others)
}

// unknownWriter is who has written a status of an object without managedFields.
const unknownWriter = "somebody whom its managedFields do not name"

// maxName bounds what anybody can call themselves.
const maxName = 64

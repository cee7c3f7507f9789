// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rules/availability"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
)

// Reasons of a Work's conditions.
const (
	reasonAllApplied        = "AllManifestsApplied"
	reasonSomeNotApplied    = "SomeManifestsAreNotApplied"
	reasonAllAvailable      = "AllManifestsAvailable"
	reasonSomeNotAvailable  = "SomeManifestsAreNotAvailable"
	reasonWorkNotTrackable  = "WorkNotTrackable"
	reasonAllDiffReported   = "AllManifestsDiffReported"
	reasonSomeDiffsMissing  = "SomeManifestsHaveNotReportedDiff"
	reasonStatusOversized   = "Oversized"
	reasonKeptSinceAdoption = "Adopted"
	messageStatusOversized  = "The status is too large to be stored whole; details of drifts and differences and reported statuses are left out"
	maxWorkSize             = 1415578
	messageAllApplied       = "All the specified manifests have been applied"
	messageAllAvailable     = "All of the applied manifests are available"
	messageWorkNotTrackable = "Some of the applied manifests cannot be tracked for availability"
	messageAllDiffReported  = "All the specified manifests have reported diff"
)

// A status must be storable whatever members say: the API refuses what is more than a member may report, and a write that it refuses is never
// made.
const (
	// maxMessage bounds what a condition says, in bytes.
	maxMessage = memberreport.MaxMessage
	// maxBriefMessage bounds it where a Work has so many manifests that they have no room for more.
	maxBriefMessage = memberreport.BriefMessage
	// maxDetailsOfWork is how many drifts and differences of all objects of a Work are reported.
	maxDetailsOfWork = memberreport.MaxDetailsOfWork
	// maxUnmeasured is how many bytes of texts a status may have without being measured as a whole.
	maxUnmeasured = 64 << 10
)

// extent is how much a status says.
type extent struct {
	// details is how many drifts and differences there may be.
	details int
	// reported reports statuses of objects back.
	reported bool
	// message is how many bytes a message may have.
	message int
}

// extents from the fullest on.
var extents = []extent{
	{details: maxDetailsOfWork, reported: true, message: maxMessage},
	{message: maxMessage},
	{message: maxBriefMessage},
}

// status is the Work's status as it follows from the record, with as much as can be stored. What has not changed keeps its times.
func (p *pass) status() v1beta1.WorkStatus {
	now := metav1.NewTime(p.options.Clock.Now()).Rfc3339Copy()
	var status v1beta1.WorkStatus
	for i, e := range extents {
		var whole bool
		status, whole = p.statusOf(e, now)
		if !whole {
			status.Conditions = append(status.Conditions, conditionsOf(p.work.Status.Conditions, now, p.work.Generation, maxMessage, []conditionVerdict{
				{v1beta1.WorkStatusTrimmed, &verdict{ok: true, reason: reasonStatusOversized, message: messageStatusOversized}},
			})...)
		}
		if i == len(extents)-1 || p.fits(status) {
			break
		}
	}
	return status
}

// statusOf is the status to an extent, and whether that leaves nothing out.
func (p *pass) statusOf(e extent, now metav1.Time) (status v1beta1.WorkStatus, whole bool) {
	old := map[identity]v1beta1.ManifestCondition{}
	for _, c := range p.work.Status.ManifestConditions {
		if id := identityOf(c.Identifier); id.kind != "" {
			old[id] = c
		}
	}
	status = v1beta1.WorkStatus{
		Conditions:         p.workConditions(now),
		ManifestConditions: make([]v1beta1.ManifestCondition, len(p.record.manifests)),
		LeftObjects:        p.work.Status.LeftObjects,
		LeftGeneration:     p.work.Status.LeftGeneration,
	}
	if p.record.isLeftKnown {
		status.LeftObjects = leftObjects(p.record.left)
		if len(status.LeftObjects) == len(p.record.left) {
			status.LeftGeneration = p.work.Generation
		}
	}
	whole = e.message == maxMessage
	for i, m := range p.record.manifests {
		before := old[identityOf(m.identifier())]
		if m.refused != nil {
			before = v1beta1.ManifestCondition{}
			if i < len(p.work.Status.ManifestConditions) {
				before = p.work.Status.ManifestConditions[i]
			}
		}
		r := p.record.results[i]
		status.ManifestConditions[i] = manifestCondition(m, r, e, before, now)
		if n := len(r.drifts) + len(r.diffs); n > e.details {
			e.details, whole = 0, false
		} else {
			e.details -= n
		}
		whole = whole && (e.reported || r.status == nil)
	}
	return status, whole
}

// leftObjects returns what a status has of objects that are left, with as many as it may have.
func leftObjects(left []v1beta1.AppliedResourceMeta) (objects []v1beta1.ResourceIdentifier) {
	for i := range left {
		r := &left[i]
		id := v1beta1.ResourceIdentifier{Group: r.Group, Version: r.Version, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
		if len(objects) < memberreport.MaxLeftObjects && memberreport.SizeOf(&id) <= memberreport.MaxIdentifier {
			objects = append(objects, id)
		}
	}
	return objects
}

// fits reports whether the Work with the status can be stored, and is taken from an agent.
func (p *pass) fits(status v1beta1.WorkStatus) bool {
	if memberreport.RoomOf(&status) > memberreport.MaxRoom {
		return false
	}
	texts := 0
	for i := range status.ManifestConditions {
		c := &status.ManifestConditions[i]
		for j := range c.Conditions {
			texts += len(c.Conditions[j].Message)
		}
		if c.BackReportedStatus != nil {
			texts += len(c.BackReportedStatus.ObservedStatus.Raw)
		}
		if c.DriftDetails != nil {
			texts += sizeOf(c.DriftDetails.ObservedDrifts)
		}
		if c.DiffDetails != nil {
			texts += sizeOf(c.DiffDetails.ObservedDiffs)
		}
	}
	if texts <= maxUnmeasured {
		return true
	}
	whole := *p.work
	whole.Status = status
	data, err := json.Marshal(&whole)
	return err != nil || len(data) <= maxWorkSize
}

func sizeOf(details []v1beta1.PatchDetail) int {
	size := 0
	for i := range details {
		size += len(details[i].Path) + len(details[i].ValueInMember) + len(details[i].ValueInHub)
	}
	return size
}

// manifestCondition returns what became of a manifest. Details that are more than the extent allows are left out, and that there are some is
// not.
func manifestCondition(m *manifest, r *result, e extent, before v1beta1.ManifestCondition, now metav1.Time) v1beta1.ManifestCondition {
	drifts, diffs := r.drifts, r.diffs
	if len(drifts)+len(diffs) > e.details {
		drifts, diffs = nil, nil
	}
	c := v1beta1.ManifestCondition{Identifier: m.identifier(), Conditions: []metav1.Condition{}}
	c.Conditions = conditionsOf(before.Conditions, now, r.generation, e.message, []conditionVerdict{
		{v1beta1.WorkApplied, r.applied}, {v1beta1.WorkAvailable, r.available}, {v1beta1.WorkDiffReported, r.diffReported},
	})
	if len(r.drifts) > 0 {
		c.DriftDetails = &v1beta1.DriftDetails{
			ObservationTime:                   now,
			FirstDriftedObservedTime:          now,
			ObservedInMemberClusterGeneration: r.generation,
			ObservedDrifts:                    drifts,
		}
		if old := before.DriftDetails; old != nil {
			c.DriftDetails.FirstDriftedObservedTime = old.FirstDriftedObservedTime
			if old.ObservedInMemberClusterGeneration == r.generation && equality.Semantic.DeepEqual(old.ObservedDrifts, drifts) {
				c.DriftDetails.ObservationTime = old.ObservationTime
			}
		}
	}
	if len(r.diffs) > 0 {
		c.DiffDetails = &v1beta1.DiffDetails{ObservationTime: now, FirstDiffedObservedTime: now, ObservedDiffs: diffs}
		if r.exists {
			c.DiffDetails.ObservedInMemberClusterGeneration = &r.generation
		}
		if old := before.DiffDetails; old != nil {
			c.DiffDetails.FirstDiffedObservedTime = old.FirstDiffedObservedTime
			if equality.Semantic.DeepEqual(old.ObservedInMemberClusterGeneration, c.DiffDetails.ObservedInMemberClusterGeneration) &&
				equality.Semantic.DeepEqual(old.ObservedDiffs, diffs) {
				c.DiffDetails.ObservationTime = old.ObservationTime
			}
		}
	}
	if r.status != nil && e.reported {
		c.BackReportedStatus = &v1beta1.BackReportedStatus{ObservedStatus: runtime.RawExtension{Raw: r.status}, ObservationTime: now}
		if old := before.BackReportedStatus; old != nil && sameJSON(old.ObservedStatus.Raw, r.status) {
			c.BackReportedStatus = old
		}
	}
	return c
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && equality.Semantic.DeepEqual(x, y)
}

type conditionVerdict struct {
	conditionType string
	verdict       *verdict
}

// conditionsOf are the conditions for the verdicts there are; one without a verdict goes. A message has at most so many bytes: much of it
// is the member's own words.
func conditionsOf(before []metav1.Condition, now metav1.Time, generation int64, limit int, verdicts []conditionVerdict) []metav1.Condition {
	conditions := []metav1.Condition{}
	for _, v := range verdicts {
		if v.verdict == nil {
			continue
		}
		c := metav1.Condition{
			Type: v.conditionType, Status: metav1.ConditionFalse, Reason: v.verdict.reason, Message: wording.Shorten(v.verdict.message, limit),
			ObservedGeneration: generation, LastTransitionTime: now,
		}
		if v.verdict.ok {
			c.Status = metav1.ConditionTrue
		}
		if old := meta.FindStatusCondition(before, v.conditionType); old != nil && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		conditions = append(conditions, c)
	}
	return conditions
}

func (p *pass) workConditions(now metav1.Time) []metav1.Condition {
	remaining, _ := remainingVerdict(p.record.remnants, false, now.Time)
	applied, available, diffReported := verdicts(p.record.results, p.strategy.writes())
	before := p.work.Status.Conditions
	conditions := conditionsOf(before, now, p.work.Generation, maxMessage, []conditionVerdict{
		{v1beta1.WorkApplied, applied}, {v1beta1.WorkAvailable, available}, {v1beta1.WorkDiffReported, diffReported},
		{v1beta1.WorkObjectsKept, p.keptVerdict()}, {v1beta1.WorkObjectsRemaining, remaining},
	})
	// Whoever prunes the placement lets go of what they were shown: the time is that of what is said, and not of the first object.
	if kept, old := meta.FindStatusCondition(conditions, v1beta1.WorkObjectsKept), meta.FindStatusCondition(before, v1beta1.WorkObjectsKept); kept != nil &&
		old != nil && (old.ObservedGeneration != kept.ObservedGeneration || old.Message != kept.Message) {
		kept.LastTransitionTime = now
	}
	return conditions
}

// keptVerdict names the objects that stay on the member since they were there at an adoption, nil for none.
func (p *pass) keptVerdict() *verdict {
	if said := meta.FindStatusCondition(p.work.Status.Conditions, v1beta1.WorkObjectsKept); said != nil && (p.isRestoring() || !p.record.looked) {
		// Until the AppliedWork says it again: what only compares, say, does not look.
		return &verdict{ok: true, reason: reasonKeptSinceAdoption, message: said.Message}
	}
	if len(p.record.kept) == 0 {
		return nil
	}
	owner := p.record.owner
	if owner == nil {
		// It was claimed by a pass before this one, and cannot be now: what is kept is told of when it is.
		return nil
	}
	names := make([]string, len(p.record.kept))
	for i, r := range p.record.kept {
		names[i] = r.Kind + " " + r.Name
		if r.Namespace != "" {
			names[i] = r.Kind + " " + r.Namespace + "/" + r.Name
		}
	}
	return &verdict{ok: true, reason: reasonKeptSinceAdoption, message: fmt.Sprintf(
		"Placed before the adoption at %s and not selected any more, so kept on the member cluster until somebody prunes the placement (AppliedWork %s lists all that it has): %s",
		owner.Annotations[wellknown.AdoptedAnnotation], p.work.Name, wording.List(names))}
}

// verdicts on a whole Work. Availability counts once everything is applied.
func verdicts(results []*result, writes bool) (applied, available, diffReported *verdict) {
	total, appliedCount, availableCount, reportedCount, untrackable := len(results), 0, 0, 0, false
	for _, r := range results {
		if r.applied != nil && r.applied.ok {
			appliedCount++
		}
		if r.available != nil && r.available.ok {
			availableCount++
			untrackable = untrackable || r.available.reason == availability.ReasonNotTrackable
		}
		if r.diffReported != nil && r.diffReported.ok {
			reportedCount++
		}
	}
	switch {
	case !writes && reportedCount == total:
		diffReported = &verdict{ok: true, reason: reasonAllDiffReported, message: messageAllDiffReported}
	case !writes:
		diffReported = &verdict{reason: reasonSomeDiffsMissing, message: fmt.Sprintf(
			"Failed to report diff on all manifests (%d of %d manifests have reported diff)", reportedCount, total)}
	case appliedCount < total:
		applied = &verdict{reason: reasonSomeNotApplied, message: fmt.Sprintf(
			"Failed to apply all manifests (%d of %d manifests are applied)", appliedCount, total)}
	default:
		applied = &verdict{ok: true, reason: reasonAllApplied, message: messageAllApplied}
		switch {
		case availableCount < total:
			available = &verdict{reason: reasonSomeNotAvailable, message: fmt.Sprintf(
				"Some manifests are not available (%d of %d manifests are available)", availableCount, total)}
		case untrackable:
			available = &verdict{ok: true, reason: reasonWorkNotTrackable, message: messageWorkNotTrackable}
		default:
			available = &verdict{ok: true, reason: reasonAllAvailable, message: messageAllAvailable}
		}
	}
	return applied, available, diffReported
}

// summary is a status in a few words, for the log.
func summary(status v1beta1.WorkStatus) string {
	words := ""
	for _, c := range status.Conditions {
		words += c.Type + "=" + string(c.Status) + " "
	}
	return words
}

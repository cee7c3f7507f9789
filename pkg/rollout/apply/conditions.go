// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
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
	messageAllDiffReported  = "All the specified manifests have reported their differences"
)

// status is the Work's status as it follows from the record. What has not changed keeps its times.
func (p *pass) status() v1beta1.WorkStatus {
	now := metav1.NewTime(p.options.Clock.Now()).Rfc3339Copy()
	old := map[identity]v1beta1.ManifestCondition{}
	for _, c := range p.work.Status.ManifestConditions {
		if id := identityOf(c.Identifier); id.kind != "" {
			old[id] = c
		}
	}
	status := v1beta1.WorkStatus{
		Conditions:         p.workConditions(now),
		ManifestConditions: make([]v1beta1.ManifestCondition, len(p.record.manifests)),
	}
	for i, m := range p.record.manifests {
		before := old[identityOf(m.identifier())]
		if m.refused != nil {
			before = v1beta1.ManifestCondition{}
			if i < len(p.work.Status.ManifestConditions) {
				before = p.work.Status.ManifestConditions[i]
			}
		}
		status.ManifestConditions[i] = manifestCondition(m, p.record.results[i], before, now)
	}
	return p.trimmed(status, now)
}

func manifestCondition(m *manifest, r *result, before v1beta1.ManifestCondition, now metav1.Time) v1beta1.ManifestCondition {
	c := v1beta1.ManifestCondition{Identifier: m.identifier(), Conditions: []metav1.Condition{}}
	c.Conditions = conditionsOf(before.Conditions, now, r.generation, []conditionVerdict{
		{v1beta1.WorkApplied, r.applied}, {v1beta1.WorkAvailable, r.available}, {v1beta1.WorkDiffReported, r.diffReported},
	})
	if len(r.drifts) > 0 {
		c.DriftDetails = &v1beta1.DriftDetails{
			ObservationTime:                   now,
			FirstDriftedObservedTime:          now,
			ObservedInMemberClusterGeneration: r.generation,
			ObservedDrifts:                    r.drifts,
		}
		if old := before.DriftDetails; old != nil {
			c.DriftDetails.FirstDriftedObservedTime = old.FirstDriftedObservedTime
			if old.ObservedInMemberClusterGeneration == r.generation && equality.Semantic.DeepEqual(old.ObservedDrifts, r.drifts) {
				c.DriftDetails.ObservationTime = old.ObservationTime
			}
		}
	}
	if len(r.diffs) > 0 {
		c.DiffDetails = &v1beta1.DiffDetails{ObservationTime: now, FirstDiffedObservedTime: now, ObservedDiffs: r.diffs}
		if r.exists {
			c.DiffDetails.ObservedInMemberClusterGeneration = &r.generation
		}
		if old := before.DiffDetails; old != nil {
			c.DiffDetails.FirstDiffedObservedTime = old.FirstDiffedObservedTime
			if equality.Semantic.DeepEqual(old.ObservedInMemberClusterGeneration, c.DiffDetails.ObservedInMemberClusterGeneration) &&
				equality.Semantic.DeepEqual(old.ObservedDiffs, r.diffs) {
				c.DiffDetails.ObservationTime = old.ObservationTime
			}
		}
	}
	if r.status != nil {
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

// conditionsOf are the conditions for the verdicts there are; one without a verdict goes.
func conditionsOf(before []metav1.Condition, now metav1.Time, generation int64, verdicts []conditionVerdict) []metav1.Condition {
	conditions := []metav1.Condition{}
	for _, v := range verdicts {
		if v.verdict == nil {
			continue
		}
		c := metav1.Condition{
			Type: v.conditionType, Status: metav1.ConditionFalse, Reason: v.verdict.reason, Message: v.verdict.message,
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
	applied, available, diffReported := verdicts(p.record.results, p.strategy.writes())
	return conditionsOf(p.work.Status.Conditions, now, p.work.Generation, []conditionVerdict{
		{v1beta1.WorkApplied, applied}, {v1beta1.WorkAvailable, available}, {v1beta1.WorkDiffReported, diffReported},
		{v1beta1.WorkObjectsKept, p.keptVerdict()},
	})
}

// keptVerdict names the objects that stay on the member since they were there at an adoption, nil for none.
func (p *pass) keptVerdict() *verdict {
	if len(p.record.kept) == 0 {
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
		"Placed before the adoption at %s and not selected any more, so kept on the member cluster until somebody prunes the placement: %s",
		p.record.owner.Annotations[wellknown.AdoptedAnnotation], wording.List(names))}
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
			untrackable = untrackable || r.available.reason == reasonNotTrackable
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
			"Failed to report the differences of all manifests (%d of %d manifests have reported theirs)", reportedCount, total)}
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

// trimmed leaves details out of a status with which the Work would be too large to be stored.
func (p *pass) trimmed(status v1beta1.WorkStatus, now metav1.Time) v1beta1.WorkStatus {
	if !slices.ContainsFunc(status.ManifestConditions, func(c v1beta1.ManifestCondition) bool {
		return c.DriftDetails != nil || c.DiffDetails != nil || c.BackReportedStatus != nil
	}) {
		return status
	}
	whole := *p.work
	whole.Status = status
	if data, err := json.Marshal(&whole); err != nil || len(data) <= maxWorkSize {
		return status
	}
	for i := range status.ManifestConditions {
		c := &status.ManifestConditions[i]
		c.BackReportedStatus = nil
		if c.DriftDetails != nil {
			c.DriftDetails.ObservedDrifts = nil
		}
		if c.DiffDetails != nil {
			c.DiffDetails.ObservedDiffs = nil
		}
	}
	status.Conditions = append(status.Conditions, conditionsOf(p.work.Status.Conditions, now, p.work.Generation, []conditionVerdict{
		{v1beta1.WorkStatusTrimmed, &verdict{ok: true, reason: reasonStatusOversized, message: messageStatusOversized}},
	})...)
	return status
}

// summary is a status in a few words, for the log.
func summary(status v1beta1.WorkStatus) string {
	text := ""
	for _, c := range status.Conditions {
		text += c.Type + "=" + string(c.Status) + " "
	}
	return text
}

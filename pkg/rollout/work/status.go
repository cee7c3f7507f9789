// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
)

// Reasons of a binding's conditions.
const (
	reasonNoOverride           = "NoOverrideSpecified"
	reasonOverridden           = "OverriddenSucceeded"
	reasonOverriddenFailed     = "OverriddenFailed"
	reasonAllSynced            = "AllWorkSynced"
	reasonSyncFailed           = "SyncWorkFailed"
	reasonNotBegun             = "RolloutNotStarted"
	reasonGoing                = "WaitingForRemoval"
	reasonApplyInProgress      = "ApplyInProgress"
	reasonAllApplied           = "AllWorkHaveBeenApplied"
	reasonNotAllApplied        = "NotAllWorkHaveBeenApplied"
	reasonAllAvailable         = "AllWorkAreAvailable"
	reasonNotAllAvailable      = "NotAllWorkAreAvailable"
	reasonNotAllTrackable      = "NotAllWorkAreAvailabilityTrackable"
	reasonDiffReportInProgress = wellknown.ReasonDiffReportInProgress
	reasonAllDiffReported      = "AllWorkHaveDiffReported"
	reasonNotAllDiffReported   = "NotAllWorkHaveDiffReported"

	// workNotTrackable is the reason of a Work's Available condition where it is a guess.
	workNotTrackable = "WorkNotTrackable"
)

const (
	// maxPlacements is how many objects each list of a status has at most.
	maxPlacements = 100
	// maxDetails is how many bytes all that a status says of where objects drifted or differ may have. Which objects do is said of all.
	maxDetails = 256 << 10
)

// ownTypes are the conditions that this controller writes, in the order in which they become true.
var ownTypes = []string{
	v1beta1.BindingOverridden, v1beta1.BindingWorkSynchronized, v1beta1.BindingApplied, v1beta1.BindingAvailable,
	v1beta1.BindingDiffReported, v1beta1.BindingObjectsKept, v1beta1.BindingObjectsRemaining,
}

// statusOf is what a binding's status is to be. Conditions of others stay as they are.
func statusOf(binding v1beta1.BindingObject, o outcome, now metav1.Time) v1beta1.ResourceBindingStatus {
	old := binding.BindingStatus()
	status := v1beta1.ResourceBindingStatus{Conditions: slices.DeleteFunc(slices.Clone(old.Conditions), func(c metav1.Condition) bool {
		return slices.Contains(ownTypes, c.Type)
	})}
	for _, c := range bindingConditions(binding, o) {
		c.ObservedGeneration = binding.GetGeneration()
		c.LastTransitionTime = now
		// What is said of a new generation is said for the first time, even if it is the same: who waits for a while after it counts
		// from then.
		before := find(old.Conditions, c.Type)
		if before != nil && before.Status == c.Status && before.ObservedGeneration == c.ObservedGeneration {
			c.LastTransitionTime = before.LastTransitionTime
		}
		status.Conditions = append(status.Conditions, c)
	}
	// A cluster that is let go of is given nothing, and what its Works hold stays known.
	status.SynchronizedVersion = old.SynchronizedVersion
	isWritten := conditions.IsTrue(status.Conditions, v1beta1.BindingWorkSynchronized, binding.GetGeneration())
	if isWritten && (old.SynchronizedVersion == nil || binding.BindingSpec().State == v1beta1.BindingStateBound) {
		bindingrules.RecordSynchronized(&status, binding.BindingSpec())
	}
	bindingrules.RecordAnswer(&status, binding.GetGeneration(), o.isAccounted())
	if o.err == nil {
		for _, u := range o.unusable {
			// It is as old as what the conditions say of it, which come to their end with it.
			since := status.Conditions[len(status.Conditions)-1].LastTransitionTime
			status.FailedPlacements = append(status.FailedPlacements, u.failedPlacement(since, binding.GetGeneration()))
		}
		collect(&status, o.works)
		if c := objectsKept(o.works); c != nil {
			c.ObservedGeneration = binding.GetGeneration()
			status.Conditions = append(status.Conditions, *c)
		}
		leaving := slices.Concat(o.leaving, o.going)
		c := objectsRemaining(slices.Concat(o.works, leaving))
		if len(leaving) > 0 && o.unreachable != "" {
			c = away(binding, o.unreachable, c, now)
		}
		if c != nil {
			c.ObservedGeneration = binding.GetGeneration()
			status.Conditions = append(status.Conditions, *c)
		}
	}
	return status
}

// bindingConditions end with the first that is not True.
func bindingConditions(binding v1beta1.BindingObject, o outcome) []metav1.Condition {
	var override *overrideError
	if errors.As(o.err, &override) {
		return []metav1.Condition{isFalse(v1beta1.BindingOverridden, reasonOverriddenFailed,
			"Failed to apply the override rules on the resources: %v", o.err)}
	}
	overridden := isTrue(v1beta1.BindingOverridden, reasonNoOverride, "No override rules are configured for the selected resources")
	if isOverridden(binding.BindingSpec()) {
		overridden = isTrue(v1beta1.BindingOverridden, reasonOverridden, wellknown.MessageOverridden)
		if message := leftOut(o.works); message != "" && o.err == nil {
			overridden.Message += ". " + message
		}
	}
	found := []metav1.Condition{overridden}
	if o.err == nil && len(o.unusable) > 0 {
		return unusableConditions(overridden, o.unusable)
	}
	if o.err != nil {
		return append(found, isFalse(v1beta1.BindingWorkSynchronized, reasonSyncFailed,
			"Failed to synchronize the work to the latest: %v", o.err))
	}
	if len(o.going) > 0 {
		return append(found, isFalse(v1beta1.BindingWorkSynchronized, reasonGoing,
			"Nothing of %s is written before what Work %s of an earlier version has placed is removed from the cluster", binding.BindingSpec().ResourceSnapshotName, o.going[0].Name))
	}
	if o.notBegun {
		return append(found, isFalse(v1beta1.BindingWorkSynchronized, reasonNotBegun,
			"The works do not hold %s yet. Its rollout begins again with a run that updates the cluster, or by RollingUpdate",
			binding.BindingSpec().ResourceSnapshotName))
	}
	found = append(found, isTrue(v1beta1.BindingWorkSynchronized, reasonAllSynced, "All of the works are synchronized to the latest"))
	if bindingrules.Compares(binding.BindingSpec().ApplyStrategy) {
		return append(found, diffReported(o))
	}
	applied := applied(o)
	if found = append(found, applied); applied.Status == metav1.ConditionTrue {
		found = append(found, available(o.works))
	}
	return found
}

// underWay is a condition for what is not done yet. Where the cluster is known to be of no use now, that is why.
func (o outcome) underWay(conditionType, reason, format string, args ...any) metav1.Condition {
	if o.unreachable != "" {
		return isFalse(conditionType, wellknown.ReasonClusterUnreachable, "%s", o.unreachable)
	}
	return isFalse(conditionType, reason, format, args...)
}

// applied sums the Works up. A failure goes before what is still under way, since it is what somebody must look at.
func applied(o outcome) metav1.Condition {
	works := o.works
	failed, waiting := firstWith(works, v1beta1.WorkApplied, metav1.ConditionFalse), firstWith(works, v1beta1.WorkApplied, "")
	switch {
	case failed != nil:
		return isFalse(v1beta1.BindingApplied, reasonNotAllApplied, "Work object %s has failed to apply", failed.Name)
	case waiting == nil:
		done := isTrue(v1beta1.BindingApplied, reasonAllApplied, "All corresponding work objects are applied")
		if kept := objectsKept(works); kept != nil {
			done.Message += ". " + kept.Message
		}
		return done
	case firstWith(works, v1beta1.WorkApplied, metav1.ConditionTrue) == nil:
		return o.underWay(v1beta1.BindingApplied, reasonApplyInProgress, "Resources are being applied")
	default:
		return o.underWay(v1beta1.BindingApplied, reasonNotAllApplied, "Work object %s has not yet completed the apply op", waiting.Name)
	}
}

const (
	// maxKeptMessage is how long the message of what is kept may become before Works are only named.
	maxKeptMessage = 8 << 10
	// maxKeptWorks bounds that message with the names. One condition of a binding quotes it, and has at most 32768 bytes.
	maxKeptWorks = 16 << 10
)

// objectsKept sums up what the Works have kept since an adoption, since the time at which the last of them began to. Nil where they
// keep nothing.
func objectsKept(works []*v1beta1.Work) *metav1.Condition {
	var sum *metav1.Condition
	for _, work := range works {
		c := keptBy(work)
		if c == nil {
			continue
		}
		message := wording.Shorten(c.Message, memberreport.MaxMessage)
		switch {
		case sum == nil:
			sum = c.DeepCopy()
			sum.Message = message
			continue
		case len(sum.Message)+len(message) > maxKeptMessage:
			sum.Message += fmt.Sprintf(". Work object %s has kept more", work.Name)
		default:
			sum.Message += ". " + message
		}
		if c.LastTransitionTime.After(sum.LastTransitionTime.Time) {
			sum.LastTransitionTime = c.LastTransitionTime
		}
	}
	if sum != nil {
		sum.Message = wording.Shorten(sum.Message, maxKeptWorks)
	}
	return sum
}

func available(works []*v1beta1.Work) metav1.Condition {
	if work := firstWith(works, v1beta1.WorkAvailable, metav1.ConditionFalse); work != nil {
		return isFalse(v1beta1.BindingAvailable, reasonNotAllAvailable, "Work object %s is not yet available", work.Name)
	}
	if work := firstWith(works, v1beta1.WorkAvailable, ""); work != nil {
		return isFalse(v1beta1.BindingAvailable, reasonNotAllAvailable, "Work object %s has not yet completed availability check", work.Name)
	}
	for _, work := range works {
		if reasonOf(work.Status.Conditions, v1beta1.WorkAvailable) == workNotTrackable {
			return isTrue(v1beta1.BindingAvailable, reasonNotAllTrackable, "The availability of work object %s is not trackable", work.Name)
		}
	}
	return isTrue(v1beta1.BindingAvailable, reasonAllAvailable, "All corresponding work objects are available")
}

func diffReported(o outcome) metav1.Condition {
	works := o.works
	const t = v1beta1.WorkDiffReported
	failed, waiting := firstWith(works, t, metav1.ConditionFalse), firstWith(works, t, "")
	switch {
	case failed != nil:
		return isFalse(v1beta1.BindingDiffReported, reasonNotAllDiffReported, "Work object %s has failed to report diff%s", failed.Name, why(failed, t))
	case waiting == nil:
		return isTrue(v1beta1.BindingDiffReported, reasonAllDiffReported, "All corresponding work objects have reported diff")
	case firstWith(works, t, metav1.ConditionTrue) == nil:
		return o.underWay(v1beta1.BindingDiffReported, reasonDiffReportInProgress, "Diff reporting on resources is in progress")
	default:
		// Not the reason of a failure, by which rules and health checks tell one: no list of the status does.
		return o.underWay(v1beta1.BindingDiffReported, reasonDiffReportInProgress, "Work object %s has not yet completed diff reporting", waiting.Name)
	}
}

// why says of which object of a Work a condition is False, and what for: no list of a status has those whose differences are not reported.
func why(work *v1beta1.Work, conditionType string) string {
	isFalse := func(m *v1beta1.ManifestCondition) bool {
		return meta.IsStatusConditionFalse(m.Conditions, conditionType)
	}
	for m := range memberreport.Conditions(work, isFalse) {
		return fmt.Sprintf(": %s %s: %s", m.Identifier.Kind, wording.Key(m.Identifier.Namespace, m.Identifier.Name), find(m.Conditions, conditionType).Message)
	}
	return ""
}

// firstWith is the first Work whose condition has a status at the Work's generation; "" means none yet.
func firstWith(works []*v1beta1.Work, conditionType string, status metav1.ConditionStatus) *v1beta1.Work {
	i := slices.IndexFunc(works, func(w *v1beta1.Work) bool {
		return conditions.Status(w.Status.Conditions, conditionType, w.Generation) == status
	})
	if i < 0 {
		return nil
	}
	return works[i]
}

// collect gathers the objects that failed, drifted or differ, sorted by what they are. Failures that cannot heal come first: lists are cut,
// and messages name the first.
func collect(status *v1beta1.ResourceBindingStatus, works []*v1beta1.Work) {
	hopeless, others := status.FailedPlacements, []v1beta1.FailedResourcePlacement(nil)
	for _, work := range works {
		if !isCurrent(work) {
			continue
		}
		for m := range memberreport.Conditions(work, isOfNote) {
			id := v1beta1.ResourceIdentifier{
				Group: m.Identifier.Group, Version: m.Identifier.Version, Kind: m.Identifier.Kind,
				Namespace: m.Identifier.Namespace, Name: m.Identifier.Name, Envelope: envelopeOf(work),
			}
			for _, t := range []string{v1beta1.WorkApplied, v1beta1.WorkAvailable} {
				if c := find(m.Conditions, t); c != nil && c.Status == metav1.ConditionFalse {
					list := &others
					if wellknown.CannotHeal(c.Reason, m.DiffDetails != nil) {
						list = &hopeless
					}
					*list = append(*list, v1beta1.FailedResourcePlacement{ResourceIdentifier: id, Condition: *c})
					break
				}
			}
			if d := m.DriftDetails; d != nil {
				status.DriftedPlacements = append(status.DriftedPlacements, v1beta1.DriftedResourcePlacement{
					ResourceIdentifier: id, ObservationTime: d.ObservationTime, FirstDriftedObservedTime: d.FirstDriftedObservedTime,
					TargetClusterObservedGeneration: d.ObservedInMemberClusterGeneration, ObservedDrifts: d.ObservedDrifts,
				})
			}
			if d := m.DiffDetails; d != nil {
				status.DiffedPlacements = append(status.DiffedPlacements, v1beta1.DiffedResourcePlacement{
					ResourceIdentifier: id, ObservationTime: d.ObservationTime, FirstDiffedObservedTime: d.FirstDiffedObservedTime,
					TargetClusterObservedGeneration: d.ObservedInMemberClusterGeneration, ObservedDiffs: d.ObservedDiffs,
				})
			}
		}
	}
	for _, list := range [][]v1beta1.FailedResourcePlacement{hopeless, others} {
		slices.SortStableFunc(list, func(a, b v1beta1.FailedResourcePlacement) int {
			return compare(a.ResourceIdentifier, b.ResourceIdentifier)
		})
	}
	status.FailedPlacements = slices.Concat(hopeless, others)
	status.FailedPlacements = status.FailedPlacements[:min(len(status.FailedPlacements), maxPlacements)]
	status.DriftedPlacements = sortedUpTo(status.DriftedPlacements, func(p v1beta1.DriftedResourcePlacement) v1beta1.ResourceIdentifier { return p.ResourceIdentifier })
	status.DiffedPlacements = sortedUpTo(status.DiffedPlacements, func(p v1beta1.DiffedResourcePlacement) v1beta1.ResourceIdentifier { return p.ResourceIdentifier })
	room := maxDetails
	for i := range status.DriftedPlacements {
		status.DriftedPlacements[i].ObservedDrifts = upTo(&room, status.DriftedPlacements[i].ObservedDrifts)
	}
	for i := range status.DiffedPlacements {
		status.DiffedPlacements[i].ObservedDiffs = upTo(&room, status.DiffedPlacements[i].ObservedDiffs)
	}
}

// isOfNote reports whether a list of a binding's status has what a Work says of a manifest.
func isOfNote(m *v1beta1.ManifestCondition) bool {
	return m.DriftDetails != nil || m.DiffDetails != nil ||
		meta.IsStatusConditionFalse(m.Conditions, v1beta1.WorkApplied) || meta.IsStatusConditionFalse(m.Conditions, v1beta1.WorkAvailable)
}

// upTo returns the details of an object if there is room for all of them, which they then take.
func upTo(room *int, details []v1beta1.PatchDetail) []v1beta1.PatchDetail {
	size := 0
	for i := range details {
		size += len(details[i].Path) + len(details[i].ValueInMember) + len(details[i].ValueInHub)
	}
	if size > *room {
		return nil
	}
	*room -= size
	return details
}

// isCurrent reports whether a Work's status is about its generation.
func isCurrent(work *v1beta1.Work) bool {
	return conditions.Status(work.Status.Conditions, v1beta1.WorkApplied, work.Generation) != "" ||
		conditions.Status(work.Status.Conditions, v1beta1.WorkDiffReported, work.Generation) != ""
}

func sortedUpTo[T any](items []T, id func(T) v1beta1.ResourceIdentifier) []T {
	slices.SortStableFunc(items, func(a, b T) int { return compare(id(a), id(b)) })
	return items[:min(len(items), maxPlacements)]
}

func compare(a, b v1beta1.ResourceIdentifier) int {
	return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Version, b.Version), strings.Compare(a.Kind, b.Kind),
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), compareEnvelopes(a.Envelope, b.Envelope))
}

// compareEnvelopes has what is in no envelope first.
func compareEnvelopes(a, b *v1beta1.EnvelopeIdentifier) int {
	var none v1beta1.EnvelopeIdentifier
	if a == nil {
		a = &none
	}
	if b == nil {
		b = &none
	}
	return cmp.Or(strings.Compare(string(a.Type), string(b.Type)), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func isTrue(conditionType, reason, format string, args ...any) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func isFalse(conditionType, reason, format string, args ...any) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: metav1.ConditionFalse, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func find(all []metav1.Condition, conditionType string) *metav1.Condition {
	return meta.FindStatusCondition(all, conditionType)
}

func reasonOf(all []metav1.Condition, conditionType string) string {
	if c := find(all, conditionType); c != nil {
		return c.Reason
	}
	return ""
}

// summary is a status in a few words, for the log.
func summary(status v1beta1.ResourceBindingStatus) string {
	words := make([]string, len(status.Conditions))
	for i, c := range status.Conditions {
		words[i] = c.Type + "=" + string(c.Status)
	}
	return strings.Join(words, " ")
}

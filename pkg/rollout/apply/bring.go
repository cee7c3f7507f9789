// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/availability"
)

// An object that comes, goes or changes between reading and writing is read again this often.
const attempts = 3

// apply brings one object to what its manifest says.
func (p *pass) apply(ctx context.Context, m *manifest) *result {
	switch {
	case m.refused != nil:
		return blocked(m.refused.reason, m.refused.message)
	case !m.isResolved():
		return failed(m.unknown)
	case p.closed != nil:
		return failed(p.closed)
	}
	var err error
	var live *unstructured.Unstructured
	for range attempts {
		if live, err = get(ctx, p.member.client(m), m.key.Name); err != nil {
			return failed(err)
		}
		if err = p.mayTouch(ctx, m, live); err != nil {
			return untouched(err)
		}
		m.note(live)
		if live == nil {
			if r := p.completedBefore(m); r != nil {
				return r
			}
		}
		if live != nil {
			r, handed := p.barred(ctx, m, live)
			if r != nil {
				return p.observe(r, live)
			}
			if len(handed) > 0 {
				if live, err = p.receive(ctx, m, live, handed); apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
					continue
				} else if err != nil {
					break
				}
			}
		}
		var applied *unstructured.Unstructured
		if applied, err = p.write(ctx, m, live); err == nil {
			return p.succeeded(ctx, m, applied)
		}
		if !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) && !hasChanged(err) {
			break
		}
	}
	if errors.Is(err, errStale) {
		return &result{again: err}
	}
	return p.unwritten(m, live, p.record.results[m.ordinal], ofMember(p.explained(err, m.key.Namespace)))
}

// hasChanged reports whether a write was refused because the object is another than the one that was read.
func hasChanged(err error) bool {
	return apierrors.IsConflict(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}

// barred reports why an object that exists is not written to, nil where it may be. Then it returns the AppliedWorks that hand the object
// over: those of the same placement, and those of placements that this one wins against.
func (p *pass) barred(ctx context.Context, m *manifest, live *unstructured.Unstructured) (*result, []string) {
	if live.GetDeletionTimestamp() != nil {
		return blocked(reasonApplyFailed, failedToApply(errors.New("the object is being deleted on the member cluster"))), nil
	}
	owners := ownersOf(live, p.work.Name)
	var err error
	if owners.placements, err = p.withoutForgotten(ctx, live, owners.placements); err != nil {
		return failed(err), nil
	}
	handed, r := p.handed(ctx, m, &owners)
	if r != nil {
		return r, nil
	}
	rivals, err := p.rivals(ctx, live, owners.placements, handed)
	if err != nil {
		return failed(err), nil
	}
	rivals, outranked := p.outranked(rivals)
	owners.placements = slices.DeleteFunc(owners.placements, func(name string) bool { return slices.Contains(outranked, name) })
	switch winner := p.yields(rivals); {
	case !owners.ours && len(handed) == 0:
		return p.takeOver(ctx, m, live, owners, rivals), outranked
	case winner != nil:
		return blocked(reasonFailedToTakeOver, belongsTo([]rival{*winner})), nil
	}
	handed = append(handed, outranked...)
	if others := append(owners.placements, owners.others...); len(others) > 0 && !p.strategy.AllowCoOwnership {
		return blocked(reasonApplyFailed, failedToApply(fmt.Errorf("the object is also owned by %s, and co-ownership is not allowed",
			strings.Join(others, ", ")))), nil
	}
	return p.drifted(ctx, m, live), handed
}

// drifted reports why an object of the placement is not written to because it was changed on the member, nil where it may be.
func (p *pass) drifted(ctx context.Context, m *manifest, live *unstructured.Unstructured) *result {
	if p.strategy.WhenToApply != v1beta1.WhenToApplyTypeIfNotDrifted || live.GetAnnotations()[wellknown.SpecHashAnnotation] != m.hash {
		return nil
	}
	found, err := p.compare(ctx, m, live)
	if err != nil {
		return &result{
			applied: &verdict{reason: reasonDriftUnknown, message: fmt.Sprintf("Failed to look for drifts (error: %v)", err)},
			again:   err,
		}
	}
	if len(found.differences) == 0 {
		return nil
	}
	r := blocked(reasonFoundDrifts, "The object was changed on the member cluster, and is applied only if it was not (whenToApply is IfNotDrifted): "+
		"undo the change, or set whenToApply to Always to overwrite it")
	if found.degraded {
		r.applied.reason = reasonFoundDriftsDegraded
		r.applied.message += "; found " + degradedNote
	}
	r.drifts = found.differences
	return r
}

// takeOver returns why an object that was on the member before is not taken over, nil if it may be.
func (p *pass) takeOver(ctx context.Context, m *manifest, live *unstructured.Unstructured, owners owners, rivals []rival) *result {
	switch {
	case len(rivals) > 0:
		return blocked(reasonFailedToTakeOver, belongsTo(rivals))
	case len(owners.others) > 0 && !p.strategy.AllowCoOwnership:
		return blocked(reasonFailedToTakeOver, fmt.Sprintf("The object is owned by %s, and co-ownership is not allowed",
			strings.Join(owners.others, ", ")))
	}
	switch p.strategy.WhenToTakeOver {
	case v1beta1.WhenToTakeOverTypeNever:
		return blocked(reasonNotTakenOver, "The object was on the member cluster before, and is not taken over (whenToTakeOver is Never): "+
			"remove it, or set whenToTakeOver to IfNoDiff or Always")
	case v1beta1.WhenToTakeOverTypeIfNoDiff:
		found, err := p.compare(ctx, m, live)
		if err != nil {
			r := blocked(reasonFailedToTakeOver, fmt.Sprintf("Failed to compare the object with the manifest (error: %v)", err))
			r.again = err
			return r
		}
		if len(found.differences) > 0 {
			r := blocked(reasonFailedToTakeOver,
				"The object was on the member cluster before and differs from the manifest (whenToTakeOver is IfNoDiff): "+
					"make them equal, or set whenToTakeOver to Always to overwrite it")
			if found.degraded {
				r.applied.message += "; found " + degradedNote
			}
			r.diffs = found.differences
			return r
		}
	}
	return nil
}

func (p *pass) succeeded(ctx context.Context, m *manifest, live *unstructured.Unstructured) *result {
	r := &result{
		applied:   &verdict{ok: true, reason: reasonApplied, message: "Manifest has been applied successfully"},
		available: availabilityOf(live),
	}
	if isTakenOver(live) {
		r.applied.message += fmt.Sprintf("; the %s was on the member cluster before, and stays there when it is not placed any more", live.GetKind())
	}
	if p.strategy.WhenToApply == v1beta1.WhenToApplyTypeAlways &&
		p.strategy.ComparisonOption == v1beta1.ComparisonOptionTypeFullComparison {
		found, err := p.compare(ctx, m, live)
		if err != nil {
			r.applied.reason = reasonAppliedDriftUnknown
			r.applied.message += fmt.Sprintf(", but drifts could not be looked for (error: %v)", err)
			r.again = err
		}
		r.drifts = found.differences
	}
	return p.observe(r, live)
}

// report compares an object with its manifest and writes nothing.
func (p *pass) report(ctx context.Context, m *manifest) *result {
	notReported := func(message string, again error) *result {
		return &result{diffReported: &verdict{reason: reasonFailedToReportDiff, message: message}, again: again}
	}
	switch {
	case m.refused != nil:
		return notReported(m.refused.message, nil)
	case !m.isResolved():
		return notReported(fmt.Sprintf("Failed to report differences (error: %v)", m.unknown), m.unknown)
	}
	live, err := get(ctx, p.member.client(m), m.key.Name)
	if err == nil {
		err = p.mayTouch(ctx, m, live)
	}
	switch {
	case isForeign(err):
		return &result{diffReported: &verdict{reason: reasonForeignNamespace, message: err.Error()}}
	case live == nil && apierrors.IsNotFound(err):
		// The member does not have the namespace either.
	case err != nil:
		return notReported(fmt.Sprintf("Failed to report differences (error: %v)", err), err)
	}
	m.note(live)
	found := comparison{differences: []v1beta1.PatchDetail{{Path: "/", ValueInHub: "(the whole object)"}}}
	if live != nil {
		if found, err = p.compare(ctx, m, live); err != nil {
			return p.observe(notReported(fmt.Sprintf("Failed to report differences (error: %v)", err), err), live)
		}
	}
	r := &result{diffs: found.differences}
	switch {
	case len(found.differences) == 0:
		r.diffReported = &verdict{ok: true, reason: reasonNoDiffFound, message: "No diff has been found between the hub cluster and the member cluster"}
	case found.degraded:
		r.diffReported = &verdict{ok: true, reason: reasonFoundDiffDegraded, message: "Diff has been found between the hub cluster and the member cluster, " + degradedNote}
	default:
		r.diffReported = &verdict{ok: true, reason: reasonFoundDiff, message: "Diff has been found between the hub cluster and the member cluster"}
	}
	if live == nil {
		return r
	}
	return p.observe(r, live)
}

// observe notes what the object was like when the result came about.
func (p *pass) observe(r *result, live *unstructured.Unstructured) *result {
	r.exists = true
	r.uid = live.GetUID()
	r.version = live.GetResourceVersion()
	r.generation = live.GetGeneration()
	r.completed = live.GroupVersionKind().GroupKind() == availability.JobKind && availability.JobHasCompleted(live)
	if report := p.work.Spec.ReportBackStrategy; report != nil && report.Type == v1beta1.ReportBackStrategyTypeMirror {
		r.status = statusOf(live)
	}
	return r
}

// statusOf is an object of the same name with nothing but the status, nil where it has none.
func statusOf(live *unstructured.Unstructured) []byte {
	status, has := live.Object["status"]
	if !has {
		return nil
	}
	metadata := map[string]any{"name": live.GetName()}
	if live.GetNamespace() != "" {
		metadata["namespace"] = live.GetNamespace()
	}
	// What was decoded from JSON can be encoded again.
	data, _ := json.Marshal(map[string]any{
		"apiVersion": live.GetAPIVersion(), "kind": live.GetKind(), "metadata": metadata, "status": status,
	})
	return data
}

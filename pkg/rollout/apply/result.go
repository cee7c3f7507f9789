// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rules/availability"
)

// Reasons of a manifest's conditions.
const (
	reasonApplied             = "Applied"
	reasonAppliedDriftUnknown = "AppliedWithFailedDriftDetection"
	reasonApplyFailed         = "ManifestApplyFailed"
	reasonRefused             = wellknown.ReasonManifestRefused
	reasonDecodingFailed      = wellknown.ReasonManifestUndecodable
	reasonFoundGenerateName   = wellknown.ReasonManifestGeneratesName
	reasonDuplicated          = wellknown.ReasonManifestDuplicated
	reasonFailedToTakeOver    = wellknown.ReasonManifestFailedToTakeOver
	reasonNotTakenOver        = wellknown.ReasonManifestNotTakenOver
	reasonFoundDrifts         = wellknown.ReasonManifestDrifted
	reasonFoundDriftsDegraded = wellknown.ReasonManifestDriftedDegraded
	reasonDriftUnknown        = "FailedToRunDriftDetection"
	reasonForeignNamespace    = "NamespaceNotAccepted"

	reasonNoDiffFound        = "NoDiffFound"
	reasonFoundDiff          = "FoundDiff"
	reasonFoundDiffDegraded  = "FoundDiffInDegradedMode"
	reasonFailedToReportDiff = "FailedToReportDiff"
)

// verdict is what a condition says.
type verdict struct {
	ok              bool
	reason, message string
}

// availabilityOf returns what the Available condition of a manifest says for an object on the member.
func availabilityOf(live *unstructured.Unstructured) *verdict {
	v := availability.Of(live)
	return &verdict{ok: v.OK, reason: v.Reason, message: v.Message}
}

// result is what became of a manifest.
type result struct {
	// applied is set unless differences are only reported.
	applied *verdict
	// available is set where applied is ok.
	available *verdict
	// diffReported is set where differences are only reported.
	diffReported *verdict

	drifts, diffs []v1beta1.PatchDetail

	// exists is true if the member has the object; the other fields are empty otherwise.
	exists     bool
	uid        types.UID
	version    string
	generation int64
	// completed reports whether the object is a Job that has done its work.
	completed bool
	// status of the object as JSON, where it is to be reported back.
	status []byte

	// again is why the manifest is tried again without anything having changed; nil where only a change can help.
	again error
	// deniedSince is since when the member has denied the manifest without a break, zero where the last answer was another.
	deniedSince time.Time
	// held is true if another Work of the placement has the object. A change of it is not an event of the object.
	held bool
}

// settled reports whether the manifest need not be looked at until its object changes.
func (r *result) settled() bool { return r != nil && r.again == nil && r.exists && !r.held }

func failedToApply(err error) string {
	return fmt.Sprintf("Failed to apply the manifest (error: %v)", err)
}

// failed is the result of a manifest that could not be applied and is tried again.
func failed(err error) *result {
	return &result{applied: &verdict{reason: reasonApplyFailed, message: failedToApply(err)}, again: err}
}

// panicked is the result of a manifest over which the program has failed, be it to apply it or to report differences.
func panicked(err error, writes bool) *result {
	if writes {
		return failed(err)
	}
	message := fmt.Sprintf("Failed to report differences (error: %v)", err)
	return &result{diffReported: &verdict{reason: reasonFailedToReportDiff, message: message}, again: err}
}

// untouched is the result of a manifest whose object may not be touched. It looks for nothing of the object: that is not the placement's
// to know.
func untouched(err error) *result {
	if isForeign(err) {
		return blocked(reasonForeignNamespace, err.Error())
	}
	return failed(err)
}

// blocked is the result of a manifest that is not applied until something changes.
func blocked(reason, message string) *result {
	return &result{applied: &verdict{reason: reason, message: message}}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// step is one step on the way of the resources to the clusters: the binding's condition, and what the placement says of it.
type step struct {
	// conditionType is the same on bindings, per cluster and, with a prefix, on the placement.
	conditionType string
	// cluster is what is said of a cluster that has not come to the step.
	cluster pending
	// True, False and Unknown are what the placement says, each of a number of clusters.
	whenTrue, whenFalse, whenUnknown summary
	// empty is the message of True where the version has no resources; empty where that makes no difference.
	empty string
}

type pending struct{ reason, message string }

type summary struct{ reason, format string }

func (s summary) message(clusters int) string { return fmt.Sprintf(s.format, clusters) }

var rolloutStarted = step{
	conditionType: v1beta1.PlacementRolloutStarted,
	cluster:       pending{"RolloutStartedUnknown", "In the process of deciding whether to roll out some version of the resources or not"},
	whenTrue:      summary{"RolloutStarted", "All %d cluster(s) start rolling out the latest resource"},
	whenFalse:     summary{"RolloutNotStartedYet", "The rollout is being blocked by the rollout strategy in %d cluster(s)"},
	whenUnknown:   summary{"RolloutStartedUnknown", "There are still %d cluster(s) in the process of deciding whether to roll out the latest resources or not"},
}

var overridden = step{
	conditionType: v1beta1.PlacementOverridden,
	cluster:       pending{"OverriddenPending", "In the process of overriding the selected resources if there is any override defined"},
	whenTrue:      summary{"OverriddenSucceeded", "The selected resources are successfully overridden in %d cluster(s)"},
	whenFalse:     summary{"OverriddenFailed", "Failed to override resources in %d cluster(s)"},
	whenUnknown:   summary{"OverriddenPending", "There are still %d cluster(s) in the process of overriding the selected resources if there is any override defined"},
}

var workSynchronized = step{
	conditionType: v1beta1.PlacementWorkSynchronized,
	cluster:       pending{"WorkSynchronizedUnknown", "In the process of creating or updating the work object(s) in the hub cluster"},
	whenTrue:      summary{"WorkSynchronized", "Work(s) are successfully created or updated in %d target cluster(s)' namespaces"},
	whenFalse:     summary{"WorkNotSynchronizedYet", "There are %d cluster(s) which have not finished creating or updating work(s) yet"},
	whenUnknown:   summary{"WorkSynchronizedUnknown", "There are still %d cluster(s) in the process of creating or updating the work object(s) in the hub cluster"},
}

var applied = step{
	conditionType: v1beta1.PlacementApplied,
	cluster:       pending{"ApplyPending", "In the process of applying the resources on the member cluster"},
	whenTrue:      summary{"ApplySucceeded", "The selected resources are successfully applied to %d cluster(s)"},
	empty:         "The version has no resources: nothing is to be applied to %d cluster(s)",
	whenFalse:     summary{"ApplyFailed", "Failed to apply resources to %d cluster(s)"},
	whenUnknown:   summary{"ApplyPending", "There are still %d cluster(s) in the process of applying the resources on the member cluster"},
}

var available = step{
	conditionType: v1beta1.PlacementAvailable,
	cluster:       pending{"ResourceAvailableUnknown", "The availability of the selected resources is unknown yet"},
	whenTrue:      summary{"ResourceAvailable", "The selected resources in %d cluster(s) are available now"},
	empty:         "The version has no resources: there is nothing to be available in %d cluster(s)",
	whenFalse:     summary{"ResourceNotAvailableYet", "The selected resources in %d cluster(s) are still not available yet"},
	whenUnknown:   summary{"ResourceAvailableUnknown", "There are still %d cluster(s) in the process of checking the availability of the selected resources"},
}

var diffReported = step{
	conditionType: v1beta1.PlacementDiffReported,
	cluster:       pending{"DiffReportingPending", "Diff reporting has just started; its status is not yet to be known"},
	whenTrue:      summary{"DiffReportingCompleted", "Diff reporting in %d cluster(s) has been completed"},
	empty:         "The version has no resources: nothing is to be compared with %d cluster(s)",
	whenFalse:     summary{"DiffReportingIncompleteOrFailed", "Diff reporting in %d clusters is still in progress or has failed"},
	whenUnknown:   summary{"DiffReportingPending", "There are still %d cluster(s) in the process of checking for configuration differences"},
}

// messageNothing is said in place of the last steps of a placement that never selected anything: nothing is no success.
const messageNothing = "Nothing is placed on %d cluster(s), since the placement selects nothing: mend its resource selectors, or create what they select"

// noOverrides is said of a placement, and of a cluster, that no override changes.
var noOverrides = pending{"NoOverrideSpecified", "No override rules are configured for the selected resources"}

// steps of a placement, in order.
func steps(spec *v1beta1.PlacementSpec) []step {
	way := []step{rolloutStarted, overridden, workSynchronized}
	if apply := spec.Strategy.ApplyStrategy; apply != nil && apply.Type == v1beta1.ApplyStrategyTypeReportDiff {
		return append(way, diffReported)
	}
	return append(way, applied, available)
}

// allSteps are every step that any placement can have a condition of.
var allSteps = []step{rolloutStarted, overridden, workSynchronized, applied, available, diffReported}

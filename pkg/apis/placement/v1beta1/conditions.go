// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package v1beta1

// Condition types of the kinds of this package. Reasons belong to the controller that sets them.
const (
	// RunInitialized is True once a run is planned and False when it cannot be.
	RunInitialized = "Initialized"
	// RunProgressing is True while a run starts clusters, False while it waits, is stopped or over, Unknown while it stops.
	RunProgressing = "Progressing"
	// RunSucceeded is True once a run is done and False when it failed or was rejected.
	RunSucceeded = "Succeeded"

	// StageProgressing is to a stage what RunProgressing is to a run.
	StageProgressing = "Progressing"
	// StageSucceeded is True once a stage and the tasks after it are done and False when it failed.
	StageSucceeded = "Succeeded"

	// ClusterStarted is True once a cluster's update has begun.
	ClusterStarted = "Started"
	// ClusterSucceeded is True once a cluster is updated and False when it failed.
	ClusterSucceeded = "Succeeded"

	// TaskApprovalRequestCreated is True once the approval request of a task exists.
	TaskApprovalRequestCreated = "ApprovalRequestCreated"
	// TaskApprovalRequestApproved is True once it is approved.
	TaskApprovalRequestApproved = "ApprovalRequestApproved"
	// TaskWaitTimeElapsed is True once a timed wait is over.
	TaskWaitTimeElapsed = "WaitTimeElapsed"

	// RequestApproved is True once an approval request is approved and False once it is rejected.
	RequestApproved = "Approved"
	// RequestApprovalAccepted is True once the run has acted on the approval; the controller alone sets it.
	RequestApprovalAccepted = "ApprovalAccepted"

	// PolicySnapshotScheduled is True when all clusters that the policy wants are picked.
	PolicySnapshotScheduled = "Scheduled"

	// BindingRolloutStarted is True once a version is on its way to the cluster.
	BindingRolloutStarted = "RolloutStarted"
	// BindingOverridden is True once the overrides are applied to the manifests.
	BindingOverridden = "Overridden"
	// BindingWorkSynchronized is True once the Works hold the wanted manifests.
	BindingWorkSynchronized = "WorkSynchronized"
	// BindingApplied is True once every manifest is applied.
	BindingApplied = "Applied"
	// BindingAvailable is True once everything applied is available.
	BindingAvailable = "Available"
	// BindingDiffReported is True once differences are reported, where nothing is applied.
	BindingDiffReported = "DiffReported"
	// BindingObjectsKept is True while the cluster keeps objects that were placed before an adoption and that the version does not
	// have, since a time that is its lastTransitionTime. Absent otherwise.
	BindingObjectsKept = "ObjectsKept"
	// BindingObjectsRemaining is True while objects that are to go from the cluster are there still, some time after their deletion. Absent
	// otherwise.
	BindingObjectsRemaining = "ObjectsRemaining"

	// WorkApplied is True once a manifest, or all manifests of a Work, are applied.
	WorkApplied = "Applied"
	// WorkAvailable is True once they are available.
	WorkAvailable = "Available"
	// WorkDiffReported is True once their differences are reported.
	WorkDiffReported = "DiffReported"
	// WorkStatusTrimmed is True when details were left out of a Work's status to keep it storable.
	WorkStatusTrimmed = "StatusTrimmed"
	// WorkObjectsKept is True while objects that were placed before an adoption, and are not selected any more, are kept on the member.
	WorkObjectsKept = "ObjectsKept"
	// WorkObjectsRemaining is True while objects that are to go from the member, with the Work or since its version lacks them, are there
	// still, some time after their deletion. The message names them and what holds them. Absent otherwise.
	WorkObjectsRemaining = "ObjectsRemaining"

	// PlacementScheduled is True when all wanted clusters are picked. On a placement, these types have the kind as a prefix;
	// see PlacementConditionType.
	PlacementScheduled = "Scheduled"
	// PlacementResourcesSelected is False while the resources cannot be selected, or none are; True where only some selectors find
	// something; and absent otherwise.
	PlacementResourcesSelected = "ResourcesSelected"
	// PlacementRolloutStarted is True when all picked clusters roll out the same version.
	PlacementRolloutStarted = "RolloutStarted"
	// PlacementOverridden is True when overrides are applied for all of them.
	PlacementOverridden = "Overridden"
	// PlacementWorkSynchronized is True when the Works of all of them are up to date.
	PlacementWorkSynchronized = "WorkSynchronized"
	// PlacementApplied is True when the resources are applied on all of them.
	PlacementApplied = "Applied"
	// PlacementAvailable is True when the resources are available on all of them.
	PlacementAvailable = "Available"
	// PlacementDiffReported is True when differences are reported for all of them.
	PlacementDiffReported = "DiffReported"
	// PlacementObjectsKept is the binding's ObjectsKept in the status of each cluster. On a placement itself there is none.
	PlacementObjectsKept = "ObjectsKept"
	// PlacementObjectsRemaining is True while objects that are to go from clusters are there still, be the placement being deleted or not.
	// The message names clusters and objects. Absent otherwise, and in the status of each cluster.
	PlacementObjectsRemaining = "ObjectsRemaining"
	// PlacementStatusReportedBack is True when the objects on the hub have the statuses that the cluster has, where the placement asks
	// for that, and absent where it does not.
	PlacementStatusReportedBack = "StatusReportedBack"
	// PlacementStatusSynced is True when the status is mirrored into the selected namespace.
	PlacementStatusSynced = "StatusSynced"

	// EvictionValid is True when an eviction names a placement on a cluster.
	EvictionValid = "Valid"
	// EvictionExecuted is True once it is carried out.
	EvictionExecuted = "Executed"
)

// PlacementConditionType is the type that a condition has on a placement: ClusterResourcePlacementScheduled for a cluster-scoped
// one, ResourcePlacementScheduled for one in a namespace.
func PlacementConditionType(namespace, conditionType string) string {
	if namespace == "" {
		return "ClusterResourcePlacement" + conditionType
	}
	return "ResourcePlacement" + conditionType
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wellknown holds the labels, annotations, finalizers, names of objects and reasons that controllers, users and other implementations of the
// API agree on. It knows no types.
package wellknown

// Prefix of every label, annotation and finalizer of the fleet.
const Prefix = "kubernetes-fleet.io/"

// NotificationSinkLabel on a Secret in SystemNamespace names the one NotificationSink that may read it.
const NotificationSinkLabel = "rollout.stagegate.dev/notification-sink"

// Namespaces.
const (
	// SystemNamespace is the namespace of the server on the hub; the members' credentials are kept in it.
	SystemNamespace = "fleet-system"
	// MemberNamespacePrefix begins the name of each member's namespace on the hub.
	MemberNamespacePrefix = "fleet-member-"
)

// Finalizers.
const (
	// MemberClusterFinalizer on a MemberCluster goes when the member has left.
	MemberClusterFinalizer = Prefix + "membercluster-finalizer"
	// ClusterProfileFinalizer on a MemberCluster goes when its ClusterProfile has gone.
	ClusterProfileFinalizer = Prefix + "cluster-profile-cleanup"
	// PlacementCleanupFinalizer on a placement goes when its snapshots are gone.
	PlacementCleanupFinalizer = Prefix + "crp-cleanup"
	// SchedulerCleanupFinalizer on a placement goes when its bindings are gone.
	SchedulerCleanupFinalizer = Prefix + "scheduler-cleanup"
	// SchedulerBindingFinalizer on a binding goes when the scheduler has seen the deletion.
	SchedulerBindingFinalizer = Prefix + "scheduler-crb-cleanup"
	// WorkCleanupFinalizer on a binding goes when its Works are gone, on a Work when what it applied is gone.
	WorkCleanupFinalizer = Prefix + "work-cleanup"
	// AppliedWorkFinalizer on an AppliedWork keeps it, where somebody deletes it on the member, until what it owns was let go of: the
	// member's garbage collector would delete all of that.
	AppliedWorkFinalizer = Prefix + "applied-work-cleanup"
	// OverrideCleanupFinalizer on an override goes when the versions of it that nothing uses are gone.
	OverrideCleanupFinalizer = Prefix + "override-cleanup"
	// UpdateRunFinalizer on a run goes when its approval requests are gone.
	UpdateRunFinalizer = Prefix + "stagedupdaterun-finalizer"
)

// PlacementFinalizers are the server's on a placement. As long as it has them, something of it may be on its clusters.
var PlacementFinalizers = []string{PlacementCleanupFinalizer, SchedulerCleanupFinalizer}

// UpdateRunFinalizers are the server's on a run. As long as it has them, it may be moving clusters, and has its turn.
var UpdateRunFinalizers = []string{UpdateRunFinalizer}

// Labels.
const (
	// MemberNameLabel on a MemberCluster is its name, for use in selectors.
	MemberNameLabel = Prefix + "member-name"
	// FleetResourceLabel is "true" on what Stagegate makes on the hub.
	FleetResourceLabel = Prefix + "is-fleet-resource"
	// ParentPlacementLabel on snapshots, policy snapshots, bindings and Works is the placement's name, in both scopes.
	ParentPlacementLabel = Prefix + "parent-CRP"
	// ParentNamespaceLabel on a Work is the namespace of its placement, if that has one.
	ParentNamespaceLabel = Prefix + "parent-placement-namespace"
	// LatestSnapshotLabel is "true" on the newest snapshot of its parent and "false" on others.
	LatestSnapshotLabel = Prefix + "is-latest-snapshot"
	// ResourceIndexLabel on a resource snapshot is its index.
	ResourceIndexLabel = Prefix + "resource-index"
	// PolicyIndexLabel on a policy snapshot is its index.
	PolicyIndexLabel = Prefix + "policy-index"
	// ParentOverrideLabel on an override snapshot is the override's name.
	ParentOverrideLabel = Prefix + "parent-resource-override"
	// OverrideIndexLabel on an override snapshot is its index.
	OverrideIndexLabel = Prefix + "override-index"
	// ParentBindingLabel on a Work is the binding it belongs to.
	ParentBindingLabel = Prefix + "parent-resource-binding"
	// ParentSnapshotIndexLabel on a Work is the index of the resource snapshot that it holds.
	ParentSnapshotIndexLabel = Prefix + "parent-resource-snapshot-index"
	// EnvelopeTypeLabel on a Work with what an envelope carries is the kind of the envelope.
	EnvelopeTypeLabel = Prefix + "envelope-work"
	// EnvelopeNameLabel and EnvelopeNamespaceLabel on a Work with what an envelope carries name the envelope. One without a namespace has
	// no label for that, and a name that is longer than a label takes is in EnvelopeNameAnnotation.
	EnvelopeNameLabel      = Prefix + "envelope-name"
	EnvelopeNamespaceLabel = Prefix + "envelope-namespace"
	// TargetUpdateRunLabel and TargetUpdatingStageLabel on an approval request name the run and the stage that wait, the stage by its
	// alias.
	TargetUpdateRunLabel     = Prefix + "targetUpdateRun"
	TargetUpdatingStageLabel = Prefix + "targetUpdatingStage"
	// TaskTypeLabel on an approval request is beforeStage or afterStage.
	TaskTypeLabel = Prefix + "taskType"
	// AcceptPlacementsLabel is "true" on a member's Namespace that takes what ResourcePlacements of the hub's namespace of its name place,
	// although no ClusterResourcePlacement has brought it, and on a MemberCluster of which all Namespaces do.
	AcceptPlacementsLabel = Prefix + "accept-placements"
	// LatestApprovalLabel on an approval request is "true".
	LatestApprovalLabel = Prefix + "isLatestUpdateRunApproval"
)

// Values of TaskTypeLabel.
const (
	BeforeStageTask = "beforeStage"
	AfterStageTask  = "afterStage"
)

// Annotations.
const (
	// UnreadableAnnotation on an object that is got by its name says why only its metadata is there: it is too large to be read. It is
	// stored only where such an object is being deleted and waits for its finalizers.
	UnreadableAnnotation = Prefix + "unreadable"
	// ImportedOwnersAnnotation on an object of the hub has the owner references to objects of the fleet, as JSON, that the import from KubeFleet took
	// off it. The way back puts them on again.
	ImportedOwnersAnnotation = "rollout.stagegate.dev/owners-before-import"
	// ResourceHashAnnotation on a master resource snapshot is the hash of everything selected.
	ResourceHashAnnotation = Prefix + "resource-hash"
	// NumberOfSnapshotsAnnotation on a master resource snapshot counts it and its parts.
	NumberOfSnapshotsAnnotation = Prefix + "number-of-resource-snapshots"
	// NumberOfEnvelopesAnnotation on a master resource snapshot counts the envelopes in it.
	NumberOfEnvelopesAnnotation = Prefix + "number-of-enveloped-object"
	// SubindexAnnotation on a part of a resource snapshot is its number, from 0.
	SubindexAnnotation = Prefix + "subindex-of-resource-snapshot"
	// PlacementGenerationAnnotation on a policy snapshot is the placement's generation that it was last made for.
	PlacementGenerationAnnotation = Prefix + "CRP-generation"
	// NumberOfClustersAnnotation on a policy snapshot is the wanted number of clusters under PickN.
	NumberOfClustersAnnotation = Prefix + "number-of-clusters"
	// PreviousBindingStateAnnotation on an Unscheduled binding is the state it had before.
	PreviousBindingStateAnnotation = Prefix + "previous-binding-state"
	// EvictedByAnnotation on a binding is the eviction that takes the placement off its cluster, as name/uid. It is worth nothing without
	// that eviction.
	EvictedByAnnotation = Prefix + "evicted-by"
	// ParentSnapshotNameAnnotation on a Work is the resource snapshot that it holds.
	ParentSnapshotNameAnnotation = Prefix + "parent-resource-snapshot-name"
	// ClusterOverrideHashAnnotation and OverrideHashAnnotation on a Work are hashes of the override snapshots in force.
	ClusterOverrideHashAnnotation = Prefix + "parent-cluster-resource-override-snapshot-hash"
	OverrideHashAnnotation        = Prefix + "parent-resource-override-snapshot-hash"
	// SpecHashAnnotation on an applied object is the hash of the manifest.
	SpecHashAnnotation = Prefix + "spec-hash"
	// LastAppliedAnnotation on an applied object is the manifest last applied, the base of a three-way merge.
	LastAppliedAnnotation = Prefix + "last-applied-configuration"
	// WorkGenerationAnnotation on an AppliedWork is the highest generation of the Work that was applied. A lower one never
	// overwrites it.
	WorkGenerationAnnotation = Prefix + "work-generation"
	// UpdateRunAnnotation on a binding is the run that last moved it, UpdateRunTurnAnnotation the number of the turn in which it
	// did. A turn never overwrites a later one. UpdateRunUIDAnnotation has that number once more and the uid of the run, with a slash
	// between them: a server that does not know it leaves an older one there.
	UpdateRunAnnotation     = Prefix + "update-run"
	UpdateRunTurnAnnotation = Prefix + "update-run-turn"
	UpdateRunUIDAnnotation  = Prefix + "update-run-uid"
	// MovedByAnnotation on a placement is the uid of the last run that began to move it under rollout policies, with its turn and the time.
	// Nobody reads it: its write has a deletion of the placement that is under way be looked at once more.
	MovedByAnnotation = Prefix + "moved-by"
	// AppliedVersionAnnotation on a binding is the version that was last to be applied to its cluster, or to be in part, and those before it that
	// may be there still, until the member has all of one that is applied. What the Works are known to hold is in the status.
	AppliedVersionAnnotation = Prefix + "last-applied-version"
	// DeletePropagationAnnotation on a Work that is about to be deleted is Delete where the applied objects are to go from the
	// member, and Abandon where they are to stay. A Work that is deleted without it was deleted by mistake, or along with its
	// namespace: the objects stay.
	DeletePropagationAnnotation = Prefix + "delete-propagation-policy"
	// StoreIDAnnotation names the Stagegate store that rules a hub or a member.
	StoreIDAnnotation = Prefix + "store-id"
	// HubUIDAnnotation names the hub whose store rules a member, by the uid of the hub's namespace kube-system. On a resource
	// snapshot it is the hub whose content the snapshot holds, on a Work that of its snapshot.
	HubUIDAnnotation = Prefix + "hub-uid"
	// AdoptedAnnotation on an AppliedWork is the time at which it was taken over from another store, hub or Work. As long as it is
	// there, nothing that the AppliedWork lists is removed from the member.
	AdoptedAnnotation = Prefix + "adopted"
	// PruneAnnotation on a Work is the resource snapshot for which somebody has asked that objects which stayed after an adoption go.
	// PruneTimeAnnotation is when: it does not stand for what is kept since a later adoption.
	PruneAnnotation     = Prefix + "prune"
	PruneTimeAnnotation = Prefix + "prune-time"
	// LostAppliedWorkAnnotation on a Work is what its AppliedWork listed that was deleted on the member, until that is recreated and owns
	// again what it owned: base64 of gzipped JSON, see pkg/rules/loss. The agent of the member writes it, and whoever has its token may.
	LostAppliedWorkAnnotation = Prefix + "lost-applied-work"
	// KeptForAnnotation on an object on a member names, separated by commas, the AppliedWorks that owned it until they were deleted there.
	// It stands for their owner references, and goes when they own the object again. After a name and a slash it has the time since which the
	// AppliedWork has kept what it lists, and "namespace" where it said that the namespace of the object takes more.
	KeptForAnnotation = Prefix + "kept-for"
	// TakenOverAnnotation on a Namespace or CustomResourceDefinition on a member is "true" where it was on the member before it was placed.
	// It stays there when it is not placed any more, since what it contains is not the placement's.
	TakenOverAnnotation = Prefix + "taken-over"
	// AdoptClusterUIDAnnotation on a MemberCluster is the uid of the cluster that is to be the member from now on, in place of the one
	// that has joined.
	AdoptClusterUIDAnnotation = Prefix + "adopt-cluster-uid"
	// DeliveryAnnotation on a MemberCluster is DeliveryPull where an agent on the member fetches what is placed there, and DeliveryPush, as
	// which none counts, where the server brings it. On the InternalMemberCluster it tells the agent whether it is its turn.
	DeliveryAnnotation = Prefix + "delivery"
	// ClusterUIDAnnotation on an InternalMemberCluster is the uid of the cluster that has joined, for the agent to compare with its own.
	ClusterUIDAnnotation = Prefix + "cluster-uid"
	// MemberNameAnnotation names the MemberCluster as which a cluster has joined.
	MemberNameAnnotation = Prefix + "member-name"
	// AcceptPlacementsAnnotation on a Work of a ResourcePlacement is "true" where the MemberCluster has AcceptPlacementsLabel.
	AcceptPlacementsAnnotation = Prefix + "accept-placements"
	// NumberOfWorksAnnotation on a Work counts the Works that its version of the placement has on the cluster. Until there are that
	// many of one version, nothing says that an object which one of them has dropped is not another's.
	NumberOfWorksAnnotation = Prefix + "number-of-works"
	// EnvelopeNameAnnotation on a Work with what an envelope carries names the envelope where EnvelopeNameLabel cannot.
	EnvelopeNameAnnotation = Prefix + "envelope-name"
	// EnvelopeWorksAnnotation on the first Work of a version lists which envelopes have Works in that version, by EnvelopeHash: those are
	// counted by NumberOfWorksAnnotation as well.
	EnvelopeWorksAnnotation = Prefix + "envelope-works"
	// LeftOutOverridesAnnotation on a Work lists versions of overrides that do not fit what it holds, and that were left out: JSON of
	// overrides.LeftOut.
	LeftOutOverridesAnnotation = Prefix + "left-out-overrides"
)

// NoClusterPicked begins the part of a message which tells why a placement's policy picks no cluster.
const NoClusterPicked = "no cluster is picked: "

// ReasonNothingSelected is the reason of a placement's conditions that are False since its selectors select nothing.
const ReasonNothingSelected = "NothingSelected"

// ReasonRolloutPolicyViolated is the reason of a RolloutStarted that is False since rollout policies keep a cluster from RollingUpdate. The
// message is what they refuse.
const ReasonRolloutPolicyViolated = "RolloutPolicyViolated"

// MessageOverridden is the message of a binding's condition Overridden that is True. What was left out follows after ". ".
const MessageOverridden = "Successfully applied the override rules on the resources"

// ReasonClusterUnreachable is the reason of a binding's condition that is False since nothing can be done on the cluster now. Its message
// is that of the MemberCluster.
const ReasonClusterUnreachable = "ClusterUnreachable"

// PlacedBy begins the message of an object that another placement has on the cluster. The name of that placement follows.
const PlacedBy = "The object is placed by "

// ReasonDiffReportInProgress is the reason of a binding's condition DiffReported as long as its cluster is being compared.
const ReasonDiffReportInProgress = "DiffReportInProgress"

// Reasons of a manifest's condition Applied that is False and stays so however often it is tried: only a change helps, on the hub or on
// the member.
const (
	// ReasonManifestRefused is that the member refuses what is applied: the object is invalid, changes what cannot be changed, or is not
	// allowed there. The message has the member's own words and ends with what helps.
	ReasonManifestRefused = "ManifestRefused"
	// ReasonManifestUndecodable is that the manifest is no object with a name.
	ReasonManifestUndecodable = "DecodingErred"
	// ReasonManifestGeneratesName is that each apply would make another object.
	ReasonManifestGeneratesName = "FoundGenerateName"
	// ReasonManifestDuplicated is that another manifest of the Work is of the same object.
	ReasonManifestDuplicated = "Duplicated"
	// ReasonManifestNotTakenOver is that the object was on the member before, and whenToTakeOver is Never.
	ReasonManifestNotTakenOver = "NotTakenOver"
	// ReasonEnvelopeUnusable is that the envelope of the object cannot be used, so that nothing of it is applied.
	ReasonEnvelopeUnusable = "EnvelopeUnusable"
	// ReasonManifestDrifted is that the object was changed on the member, and whenToApply is IfNotDrifted.
	ReasonManifestDrifted = "FoundDrifts"
	// ReasonManifestDriftedDegraded is the same where the member refuses the manifest as invalid, so that all fields were compared.
	ReasonManifestDriftedDegraded = "FoundDriftsInDegradedMode"
)

// ReasonManifestFailedToTakeOver is the reason of a manifest's condition Applied that is False since the object belongs to somebody else, or was on
// the member before and differs from the manifest.
const ReasonManifestFailedToTakeOver = "FailedToTakeOver"

// IsLeftAlone reports whether the reason of a manifest's condition Applied is that the object stays on the member as it is there: nothing is known
// against it.
func IsLeftAlone(reason string) bool {
	switch reason {
	case ReasonManifestNotTakenOver, ReasonManifestFailedToTakeOver, ReasonManifestDrifted, ReasonManifestDriftedDegraded:
		return true
	}
	return false
}

// ReasonJobFailed is the reason of a manifest's condition Available that is False since the Job has failed: it does not run again by itself.
const ReasonJobFailed = "JobFailed"

// CannotHeal reports whether the reason of a manifest's condition Applied or Available is one that no other try mends. FailedToTakeOver is one
// where the object differs from the manifest; one that belongs to another placement goes over when that lets go of it.
func CannotHeal(reason string, differs bool) bool {
	switch reason {
	case ReasonManifestRefused, ReasonManifestUndecodable, ReasonManifestGeneratesName, ReasonManifestDuplicated,
		ReasonManifestNotTakenOver, ReasonManifestDrifted, ReasonManifestDriftedDegraded, ReasonEnvelopeUnusable, ReasonJobFailed:
		return true
	case ReasonManifestFailedToTakeOver:
		return differs
	}
	return false
}

// Values of DeliveryAnnotation.
const (
	DeliveryPush = "Push"
	DeliveryPull = "Pull"
)

// AgentVersionProperty is the property of a member that has the version of its agent.
const AgentVersionProperty = Prefix + "agent-version"

// MemberAgentRole is the ClusterRole that the identity of a member has in the member's namespace on the hub while an agent serves it, and
// the RoleBinding that gives it.
const MemberAgentRole = "stagegate-member-agent"

// WorkVersionAnnotations on a Work say which version of its placement it holds.
var WorkVersionAnnotations = []string{ParentSnapshotNameAnnotation, ClusterOverrideHashAnnotation, OverrideHashAnnotation}

// DeleteStageName is the name of the last stage of every run.
const DeleteStageName = Prefix + "deleteStage"

// DeleteStageAlias stands for DeleteStageName where no slash is allowed: in names of objects and in values of labels. No stage of a
// strategy is called so, since names of stages have no dash.
const DeleteStageAlias = "delete-stage"

// What stands in a value of an override for something of the cluster that it is made for.
const (
	// ClusterNameVariable stands for the name of the cluster.
	ClusterNameVariable = "${MEMBER-CLUSTER-NAME}"
	// ClusterLabelVariable, with the key of a label and a closing brace after it, stands for the value of that label of the cluster.
	ClusterLabelVariable = "${MEMBER-CLUSTER-LABEL-KEY-"
)

// FieldManager under which objects are applied to members.
const FieldManager = "work-api-agent"

// Reasons of a run's conditions by which the server tells how the run stands, and what a user may ask of it. The controller sets them.
const (
	// ReasonRunNotInitialized is that of a run that could not be planned.
	ReasonRunNotInitialized = "UpdateRunInitializedFailed"
	// ReasonRunWaiting is that of a run which waits for something else than the clusters that it updates.
	ReasonRunWaiting = "UpdateRunWaiting"
	// ReasonRunStuck is that of a run which waits for clusters that take too long.
	ReasonRunStuck = "UpdateRunStuck"
	// ReasonRunStopping is that of a run which is to stop and waits for the clusters in flight.
	ReasonRunStopping = "UpdateRunStopping"
	// ReasonRunStopped is that of a run which is stopped.
	ReasonRunStopped = "UpdateRunStopped"
	// ReasonRunFailed is that of a run which cannot go on.
	ReasonRunFailed = "UpdateRunFailed"
	// ReasonRunPaused is that of a run which waits for somebody to look after clusters that have failed.
	ReasonRunPaused = "UpdateRunPaused"
	// ReasonStageSkipped is that of a stage without clusters.
	ReasonStageSkipped = "StageUpdatingSkippedNoClusters"
	// ReasonClusterSucceeded is that of a cluster that has what the run gives it, or was compared with that.
	ReasonClusterSucceeded = "ClusterUpdatingSucceeded"
	// ReasonClusterFailed is that of a cluster that was given up.
	ReasonClusterFailed = "ClusterUpdatingFailed"
	// ReasonClusterSkipped is that of a cluster that was left out.
	ReasonClusterSkipped = "ClusterUpdatingSkipped"
	// ReasonClusterFailureSkipped is that of a cluster that was given up and then left out.
	ReasonClusterFailureSkipped = "ClusterUpdatingFailureSkipped"
	// ReasonWaitSkipped is that of a timed wait that somebody has passed over.
	ReasonWaitSkipped = "StageTaskWaitSkipped"
)

// Reasons of the entries of a run's history, and of the Events about them.
const (
	// HistoryInitialized: a run is planned.
	HistoryInitialized = "Initialized"
	// HistoryInitFailed: a run could not be planned, for good.
	HistoryInitFailed = "InitializationFailed"
	// HistoryStarted: a run has begun to update clusters.
	HistoryStarted = "Started"
	// HistoryResumed: a run that was stopped goes on.
	HistoryResumed = "Resumed"
	// HistoryWaitingForTurn: a run waits for another run of its placement.
	HistoryWaitingForTurn = "WaitingForTurn"
	// HistoryStageStarted: a stage has begun.
	HistoryStageStarted = "StageStarted"
	// HistoryStageSkipped: a stage has no clusters.
	HistoryStageSkipped = "StageSkipped"
	// HistoryStageSucceeded: a stage is completed.
	HistoryStageSucceeded = "StageSucceeded"
	// HistoryApproval: a stage waits for an approval.
	HistoryApproval = "WaitingForApproval"
	// HistoryApproved: an approval request has the approvals that it needs.
	HistoryApproved = "Approved"
	// HistoryRejected: somebody has rejected an approval request, which ends the run.
	HistoryRejected = "Rejected"
	// HistoryExpired: an approval request was not approved in time, which ends the run.
	HistoryExpired = "ApprovalExpired"
	// HistoryForeignRequest: the name of an approval request is taken by an object of somebody else.
	HistoryForeignRequest = "ApprovalRequestNotOwned"
	// HistoryWaitElapsed: the wait after a stage is over.
	HistoryWaitElapsed = "WaitTimeElapsed"
	// HistoryClusterSkipped: a cluster is left out.
	HistoryClusterSkipped = "ClusterSkipped"
	// HistoryClusterFailed: a cluster was given up.
	HistoryClusterFailed = "ClusterFailed"
	// HistoryPaused: a run waits for somebody to look after clusters that have failed.
	HistoryPaused = "Paused"
	// HistoryRolledBack: another run takes back what this one has done.
	HistoryRolledBack = "RolledBack"
	// HistoryStuck: a run waits for clusters that take too long.
	HistoryStuck = "Stuck"
	// HistoryRecovered: a run that was stuck makes progress again.
	HistoryRecovered = "Recovered"
	// HistoryStopping: a run is to stop and waits for the clusters in flight.
	HistoryStopping = "Stopping"
	// HistoryStopped: a run is stopped.
	HistoryStopped = "Stopped"
	// HistorySucceeded: a run is completed.
	HistorySucceeded = "Succeeded"
	// HistoryFailed: a run cannot go on.
	HistoryFailed = "Failed"
	// HistoryPolicyChanged: rollout policies of now refuse a run, which ends it.
	HistoryPolicyChanged = "PolicyChanged"
	// HistoryPolicyOverridden: a run violates rollout policies by its policyOverride.
	HistoryPolicyOverridden = "PolicyOverridden"
	// HistoryPolicyViolated: a run violates rollout policies that only warn.
	HistoryPolicyViolated = "PolicyViolated"
)

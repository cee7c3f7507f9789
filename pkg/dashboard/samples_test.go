// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func condition(conditionType string, status metav1.ConditionStatus, reason, message string, ago time.Duration) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: message, LastTransitionTime: before(ago)}
}

func before(ago time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(-ago)) }

func at(ago time.Duration) *metav1.Time {
	t := before(ago)
	return &t
}

// sampleCluster makes a cluster of a stage: updated, updating, failed or pending.
func sampleCluster(name, state, message string, ago time.Duration) v1beta1.ClusterUpdatingStatus {
	earlier := "3"
	c := v1beta1.ClusterUpdatingStatus{ClusterName: name, ResourceSnapshotIndex: "4", Message: message}
	started := condition(v1beta1.ClusterStarted, metav1.ConditionTrue, "ClusterUpdatingStarted", "", ago)
	switch state {
	case "updated":
		c.Conditions = []metav1.Condition{started, condition(v1beta1.ClusterSucceeded, metav1.ConditionTrue, wellknown.ReasonClusterSucceeded, "", ago)}
	case "updating":
		c.Conditions = []metav1.Condition{started}
	case "failed":
		c.Conditions = []metav1.Condition{started, condition(v1beta1.ClusterSucceeded, metav1.ConditionFalse, "ClusterUpdatingFailed", message, ago)}
	}
	if state != "pending" {
		c.PreviousResourceSnapshotIndex = &earlier
	}
	return c
}

func doneStage(name string, ago time.Duration, clusters ...v1beta1.ClusterUpdatingStatus) v1beta1.StageUpdatingStatus {
	return v1beta1.StageUpdatingStatus{StageName: name, Clusters: clusters, StartTime: at(ago + time.Minute), EndTime: at(ago), Conditions: []metav1.Condition{
		condition(v1beta1.StageProgressing, metav1.ConditionFalse, "StageUpdatingSucceeded", "", ago), condition(v1beta1.StageSucceeded, metav1.ConditionTrue, "StageUpdatingSucceeded", "", ago),
	}}
}

func enteredStage(name string, ago time.Duration, clusters ...v1beta1.ClusterUpdatingStatus) v1beta1.StageUpdatingStatus {
	return v1beta1.StageUpdatingStatus{StageName: name, Clusters: clusters, StartTime: at(ago), Conditions: []metav1.Condition{
		condition(v1beta1.StageProgressing, metav1.ConditionTrue, "StageUpdatingStarted", "", ago),
	}}
}

// sampleRun makes a run with a condition that says how it progresses.
func sampleRun(namespace, name string, progressing metav1.Condition, stages ...v1beta1.StageUpdatingStatus) v1beta1.UpdateRunObject {
	var run v1beta1.UpdateRunObject = &v1beta1.ClusterStagedUpdateRun{}
	if namespace != "" {
		run = &v1beta1.StagedUpdateRun{}
	}
	run.SetNamespace(namespace)
	run.SetName(name)
	run.SetUID(types.UID("uid-of-" + strings.Split(name, "<")[0]))
	run.SetCreationTimestamp(before(20 * time.Minute))
	*run.RunSpec() = v1beta1.UpdateRunSpec{PlacementName: "checkout", StagedUpdateStrategyName: "three-rings", ResourceSnapshotIndex: "4", State: v1beta1.StateRun}
	*run.RunStatus() = v1beta1.UpdateRunStatus{
		CreatedBy: &v1beta1.DecisionUser{Username: "ci-bot"}, ResourceSnapshotIndexUsed: "4", StagesStatus: stages, Turn: &v1beta1.UpdateRunTurn{Number: 1},
		DeletionStageStatus: &v1beta1.StageUpdatingStatus{StageName: wellknown.DeleteStageName},
		Conditions:          []metav1.Condition{condition(v1beta1.RunInitialized, metav1.ConditionTrue, "UpdateRunInitialized", "", 20*time.Minute), progressing},
		History: []v1beta1.UpdateRunHistoryEntry{
			{Number: 1, Time: before(19 * time.Minute), Reason: "Started", User: "ci-bot", Message: "release 4.2, CHG-1042"},
			{Number: 2, Time: before(15 * time.Minute), Reason: "StageSucceeded", Stage: "staging", Message: "Stage staging is completed: 1 cluster updated"},
		},
	}
	return run
}

// over has a run end.
func over(run v1beta1.UpdateRunObject, status metav1.ConditionStatus, outcome v1beta1.UpdateRunOutcome, message string, ago time.Duration) v1beta1.UpdateRunObject {
	s := run.RunStatus()
	s.Outcome, s.EndTime = outcome, at(ago)
	s.Conditions = append(s.Conditions, condition(v1beta1.RunSucceeded, status, "Over", message, ago))
	return run
}

// waitingRun waits for an approval before its second stage of two clusters.
func waitingRun(namespace, name string) v1beta1.UpdateRunObject {
	canary := enteredStage("canary", 14*time.Minute, sampleCluster("oslo", "pending", "", 0), sampleCluster("paris", "pending", "", 0))
	canary.BeforeStageTaskStatus = []v1beta1.StageTaskStatus{{
		Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: name + "-before-canary",
		Conditions: []metav1.Condition{condition(v1beta1.TaskApprovalRequestCreated, metav1.ConditionTrue, "Created", "", 14*time.Minute)},
	}}
	staging := doneStage("staging", 15*time.Minute, sampleCluster("lab", "updated", "", 16*time.Minute))
	staging.AfterStageTaskStatus = []v1beta1.StageTaskStatus{{
		Type: v1beta1.StageTaskTypeTimedWait, Conditions: []metav1.Condition{condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, "Elapsed", "", 15*time.Minute)},
	}}
	return sampleRun(namespace, name, condition(v1beta1.RunProgressing, metav1.ConditionFalse, wellknown.ReasonRunWaiting, "The updateRun is waiting for an approval", 14*time.Minute), staging, canary)
}

func sampleRequest(namespace, run string, clusters ...string) v1beta1.ApprovalRequestObject {
	var request v1beta1.ApprovalRequestObject = &v1beta1.ClusterApprovalRequest{}
	if namespace != "" {
		request = &v1beta1.ApprovalRequest{}
	}
	request.SetNamespace(namespace)
	request.SetName(run + "-before-canary")
	request.SetUID("uid-of-request")
	request.SetCreationTimestamp(before(14 * time.Minute))
	request.SetLabels(map[string]string{wellknown.TargetUpdateRunLabel: run, wellknown.TaskTypeLabel: wellknown.BeforeStageTask})
	*request.RequestSpec() = v1beta1.ApprovalRequestSpec{
		TargetUpdateRun: run, TargetStage: "canary", Requester: &v1beta1.DecisionUser{Username: "ci-bot"},
		Rollout: &v1beta1.StageRollout{PlacementName: "checkout", ResourceSnapshotIndex: "4", Clusters: clusters, ClusterCount: int32(len(clusters))},
	}
	return request
}

func sampleMember(name, environment string, healthy bool) *clusterv1beta1.MemberCluster {
	m := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID(name), CreationTimestamp: before(90 * 24 * time.Hour), Labels: map[string]string{"environment": environment, "region": "eu-north"},
	}}
	health := condition(clusterv1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionTrue, "Healthy", "", time.Hour)
	if !healthy {
		health = condition(clusterv1beta1.ConditionTypeMemberClusterHealthy, metav1.ConditionFalse, "Unreachable", "Get \"https://"+name+".example.com:6443/readyz\": dial tcp: i/o timeout", time.Hour)
	}
	m.Status.Conditions = []metav1.Condition{condition(clusterv1beta1.ConditionTypeMemberClusterJoined, metav1.ConditionTrue, "Joined", "", time.Hour), health}
	return m
}

func samplePlacement(name string, clusters ...string) *v1beta1.ClusterResourcePlacement {
	p := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: before(30 * 24 * time.Hour)}}
	p.Spec.Strategy.Type = v1beta1.ExternalRolloutStrategyType
	p.Status.ObservedResourceIndex = "3"
	for i, c := range clusters {
		index := "3"
		if i == 0 {
			index = "4"
		}
		p.Status.PerClusterPlacementStatuses = append(p.Status.PerClusterPlacementStatuses, v1beta1.PerClusterPlacementStatus{ClusterName: c, ObservedResourceIndex: index})
	}
	for _, t := range []string{v1beta1.PlacementScheduled, v1beta1.PlacementRolloutStarted, v1beta1.PlacementApplied, v1beta1.PlacementAvailable} {
		p.Status.Conditions = append(p.Status.Conditions, condition(v1beta1.PlacementConditionType("", t), metav1.ConditionTrue, t, "", time.Hour))
	}
	return p
}

// sampleSnapshot makes a version of a placement.
func sampleSnapshot(placement, index string, latest bool, ago time.Duration, manifests ...string) *v1beta1.ClusterResourceSnapshot {
	s := &v1beta1.ClusterResourceSnapshot{ObjectMeta: metav1.ObjectMeta{
		Name: placement + "-" + index + "-snapshot", CreationTimestamp: before(ago),
		Labels:      map[string]string{wellknown.ParentPlacementLabel: placement, wellknown.ResourceIndexLabel: index, wellknown.LatestSnapshotLabel: fmt.Sprint(latest)},
		Annotations: map[string]string{wellknown.ResourceHashAnnotation: "hash", wellknown.NumberOfSnapshotsAnnotation: "1"},
	}}
	for _, m := range manifests {
		s.Spec.SelectedResources = append(s.Spec.SelectedResources, v1beta1.ResourceContent{RawExtension: runtime.RawExtension{Raw: []byte(m)}})
	}
	return s
}

// smallFleet is three clusters and what goes on there.
func smallFleet(hub *fakeHub) {
	hub.put("clusterstagedupdateruns", waitingRun("", "checkout-12"))
	hub.put("clusterapprovalrequests", sampleRequest("", "checkout-12", "oslo", "paris"))
	succeeded := metav1.ConditionTrue
	earlier := sampleRun("", "checkout-11", condition(v1beta1.RunProgressing, metav1.ConditionFalse, "UpdateRunSucceeded", "", 26*time.Hour),
		doneStage("staging", 27*time.Hour, sampleCluster("lab", "updated", "", 27*time.Hour)),
		doneStage("canary", 26*time.Hour, sampleCluster("oslo", "updated", "", 26*time.Hour), sampleCluster("paris", "updated", "", 26*time.Hour)))
	earlier.RunStatus().ResourceSnapshotIndexUsed = "3"
	hub.put("clusterstagedupdateruns", over(earlier, succeeded, v1beta1.OutcomeSucceeded, "All stages are completed", 26*time.Hour))
	for name, environment := range map[string]string{"lab": "staging", "oslo": "canary", "paris": "canary"} {
		hub.put("memberclusters", sampleMember(name, environment, name != "paris"))
	}
	hub.put("clusterresourceplacements", samplePlacement("checkout", "lab", "oslo", "paris"))
	hub.put("clusterresourcesnapshots", sampleSnapshot("checkout", "3", false, 30*time.Hour,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"checkout","namespace":"shop"},"data":{"color":"blue","retries":"3"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"token","namespace":"shop"},"data":{"token":"b2xkLXZhbHVl"}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"legacy","namespace":"shop"}}`))
	hub.put("clusterresourcesnapshots", sampleSnapshot("checkout", "4", true, 20*time.Minute,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"checkout","namespace":"shop"},"data":{"color":"green","retries":"3","timeout":"5s"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"token","namespace":"shop"},"data":{"token":"bmV3LXZhbHVl"}}`,
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"checkout","namespace":"shop"}}`))
}

// largeFleet is ten thousand clusters in three stages, and a run in the second.
func largeFleet(hub *fakeHub) {
	var canary, early, rest []v1beta1.ClusterUpdatingStatus
	for i := range 100 {
		canary = append(canary, sampleCluster(fmt.Sprintf("canary-%03d", i), "updated", "", 3*time.Hour))
	}
	for i := range 1000 {
		state, message := "pending", ""
		switch {
		case i%211 == 97 && i < 640:
			state, message = "failed", fmt.Sprintf("Deployment shop/checkout: 1 of 3 replicas are available: ImagePullBackOff on node-%d", i%7)
		case i < 600:
			state = "updated"
		case i < 640:
			state = "updating"
		}
		early = append(early, sampleCluster(fmt.Sprintf("early-%04d", i), state, message, 12*time.Minute))
	}
	for i := range 8900 {
		rest = append(rest, sampleCluster(fmt.Sprintf("prod-%04d", i), "pending", "", 0))
	}
	first := doneStage("canary", 2*time.Hour, canary...)
	first.AfterStageTaskStatus = []v1beta1.StageTaskStatus{{
		Type: v1beta1.StageTaskTypeTimedWait, Conditions: []metav1.Condition{condition(v1beta1.TaskWaitTimeElapsed, metav1.ConditionTrue, "Elapsed", "", 2*time.Hour)},
	}}
	last := v1beta1.StageUpdatingStatus{StageName: "production", Clusters: rest, BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval}}}
	run := sampleRun("", "edge-48", condition(v1beta1.RunProgressing, metav1.ConditionTrue, "UpdateRunProgressing", "The update run is making progress", 2*time.Hour), first, enteredStage("early", 2*time.Hour, early...), last)
	run.RunSpec().PlacementName = "edge"
	run.SetCreationTimestamp(before(3 * time.Hour))
	run.RunStatus().History = []v1beta1.UpdateRunHistoryEntry{
		{Number: 1, Time: before(3 * time.Hour), Reason: "Started", User: "ci-bot", Message: "kernel 6.12, CHG-1107"},
		{Number: 2, Time: before(2 * time.Hour), Reason: "StageSucceeded", Stage: "canary", Message: "Stage canary is completed: 100 clusters updated"},
		{Number: 3, Time: before(2 * time.Minute), Reason: "Retried", User: "alice", Message: "quota raised on early-0308"},
	}
	hub.put("clusterstagedupdateruns", run)
	for _, sample := range []struct{ name, outcome, message string }{
		{"edge-47", string(v1beta1.OutcomeSucceeded), "All stages are completed"},
		{"edge-46", string(v1beta1.OutcomeRolledBack), "rolled back by edge-46-rollback: INC-7 errors in paris"},
	} {
		done := sampleRun("", sample.name, condition(v1beta1.RunProgressing, metav1.ConditionFalse, "Over", "", 50*time.Hour), doneStage("canary", 50*time.Hour, canary...))
		done.RunSpec().PlacementName = "edge"
		status := metav1.ConditionTrue
		if sample.outcome != string(v1beta1.OutcomeSucceeded) {
			status = metav1.ConditionFalse
		}
		hub.put("clusterstagedupdateruns", over(done, status, v1beta1.UpdateRunOutcome(sample.outcome), sample.message, 50*time.Hour))
	}
	hub.put("clusterstagedupdateruns", waitingRun("", "checkout-12"))
	hub.put("clusterapprovalrequests", sampleRequest("", "checkout-12", "oslo", "paris"))
	payments := sampleRun("payments", "ledger-3", condition(v1beta1.RunProgressing, metav1.ConditionFalse, wellknown.ReasonRunPaused, "paused", 4*time.Minute),
		enteredStage("canary", 9*time.Minute, sampleCluster("oslo", "updated", "", 9*time.Minute), sampleCluster("paris", "failed", "quota exceeded in namespace payments", 4*time.Minute)))
	payments.RunSpec().PlacementName = "ledger"
	hub.put("stagedupdateruns", payments)
	for i := range 10000 {
		member := sampleMember(fmt.Sprintf("cluster-%05d", i), "production", i%2500 != 7)
		member.TypeMeta = typeOf("memberclusters")
		hub.objects["memberclusters"] = append(hub.objects["memberclusters"], member)
	}
}

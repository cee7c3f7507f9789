// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/registry/store"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

type column = store.Column[v1beta1.UpdateRunObject]

func columns() []column {
	return []column{
		{Name: "Placement", Description: "Placement whose clusters the run moves.", Text: placementName},
		{Name: "Resource-Snapshot-Index", Description: "Version of the resources that is rolled out.", Text: resourceSnapshotIndex},
		{Name: "Policy-Snapshot-Index", Description: "Version of the policy that picked the clusters.", Text: policySnapshotIndex},
		store.Condition("Initialized", v1beta1.RunInitialized, conditions),
		store.Condition("Succeeded", v1beta1.RunSucceeded, conditions),
		store.Age[v1beta1.UpdateRunObject](),
		store.Condition("Progressing", v1beta1.RunProgressing, conditions).OnlyWide(),
		{Name: "Stage", Wide: true, Description: "Stage that the run is in, and its place among all stages.", Text: currentStageName},
		{Name: "Progress", Wide: true, Description: "Clusters that are done, of all that the run moves.", Text: progress},
		{Name: "Waiting-For", Wide: true, Description: "What holds the run up: another run, clusters that have failed, an approval request, a timed wait or a cluster.", Text: waitingFor},
		{Name: "Outcome", Wide: true, Description: "How the run ended.", Text: outcome},
		{Name: "Strategy", Wide: true, Description: "Strategy that the run follows.", Text: strategyName},
		{Name: "Differing", Wide: true, Description: "Clusters that differ, of those that a run with the applyStrategy ReportDiff has compared.", Text: differing},
	}
}

// operationColumns returns the columns of a subresource of runs such as stop, which shows the last operation.
func operationColumns() []store.Column[*v1beta1.UpdateRunOperation] {
	type column = store.Column[*v1beta1.UpdateRunOperation]
	return []column{
		{Name: "Number", Description: "Number in the history of the run.", Text: operationNumber},
		{Name: "User", Description: "User who asked.", Text: func(o *v1beta1.UpdateRunOperation) string { return cmp.Or(o.Status.User, store.None) }},
		{Name: "Time", Description: "Time when they did.", Text: func(o *v1beta1.UpdateRunOperation) string { return store.When(o.Status.Time) }},
		{Name: "Done", Description: "Whether the run has acted on it.", Text: operationDone},
		{Name: "Reason", Description: "Reason that they gave.", Text: func(o *v1beta1.UpdateRunOperation) string { return cmp.Or(o.Spec.Reason, store.None) }},
		{Name: "Stage", Wide: true, Description: "Stage that was skipped.", Text: func(o *v1beta1.UpdateRunOperation) string { return o.Spec.Stage }},
		{Name: "Task", Wide: true, Description: "Task that was skipped.", Text: func(o *v1beta1.UpdateRunOperation) string { return string(o.Spec.Task) }},
		{Name: "Clusters", Wide: true, Description: "Clusters that were named.", Text: func(o *v1beta1.UpdateRunOperation) string { return strings.Join(o.Spec.Clusters, ",") }},
	}
}

func operationNumber(o *v1beta1.UpdateRunOperation) string {
	if o.Status.Number == 0 {
		return store.None
	}
	return strconv.FormatInt(o.Status.Number, 10)
}

func operationDone(o *v1beta1.UpdateRunOperation) string {
	if o.Status.Number == 0 {
		return store.None
	}
	return strconv.FormatBool(o.Status.Done)
}

func placementName(o v1beta1.UpdateRunObject) string { return o.RunSpec().PlacementName }

func waitingFor(o v1beta1.UpdateRunObject) string { return runrules.WaitingFor(o, time.Now()) }

func outcome(o v1beta1.UpdateRunObject) string { return string(o.RunStatus().Outcome) }

func strategyName(o v1beta1.UpdateRunObject) string { return o.RunSpec().StagedUpdateStrategyName }

func policySnapshotIndex(o v1beta1.UpdateRunObject) string {
	return o.RunStatus().PolicySnapshotIndexUsed
}

// resourceSnapshotIndex returns the index in use, or the one in the spec until that is known.
func resourceSnapshotIndex(o v1beta1.UpdateRunObject) string {
	if used := o.RunStatus().ResourceSnapshotIndexUsed; used != "" {
		return used
	}
	return o.RunSpec().ResourceSnapshotIndex
}

func conditions(o v1beta1.UpdateRunObject) []metav1.Condition { return o.RunStatus().Conditions }

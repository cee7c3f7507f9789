// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import "strings"

const (
	clusterScoped = "cluster-scoped"
	namespaced    = "namespaced"
)

// deviation is one thing that is done or looks otherwise than in the document, and why. Any other difference is a failure, and
// so is a deviation that no longer occurs.
type deviation struct {
	reason string
	// transcript and section are where it holds, and command is how the commands begin for which it does; empty means everywhere.
	transcript, section, command string
	// old is what the document has, new what takes its place; with printed only in what commands print.
	old, new string
	printed  bool
	// field is the path of a field of a printed object that the document does not show.
	field string
	// before and after are scripts to run around the section, or around the command where there is one.
	before, after string
	// on is the cluster as whose administrator the command is run, the hub's where it is not set.
	on string
	// skipped commands are not run, and neither are those that need a program which is not there.
	skipped bool
	needs   string
	// nightly commands take minutes, and are run at night only.
	nightly bool
	// by is the test that runs the command instead, see documented.
	by string
}

var deviations = []deviation{
	{
		reason: "A test does not wait for a minute.",
		old:    "waitTime: 1m\n", new: "waitTime: 3s\n",
	},
	{
		reason:     "The wait in the snapshot of the strategy follows the strategy.",
		transcript: clusterScoped,
		section:    "Start a staged update run",
		old:        "waitTime: 1m0s", new: "waitTime: 3s",
	},
	{
		reason:     "The document misspells the field.",
		transcript: clusterScoped,
		old:        "resourceSnpashotIndexUsed", new: "resourceSnapshotIndexUsed",
	},
	{
		transcript: clusterScoped,
		reason:     "The run waits for the approval before the stage; the document's message has it after.",
		section:    "Start a staged update run",
		old:        "waiting for after-stage tasks in stage canary", new: "waiting for before-stage tasks in stage canary",
	},
	{
		reason:     "Runs are served in v1 as well, and kubectl prints the preferred version.",
		transcript: clusterScoped, printed: true,
		old: "apiVersion: placement.kubernetes-fleet.io/v1beta1\nkind: ClusterStagedUpdateRun\n",
		new: "apiVersion: placement.kubernetes-fleet.io/v1\nkind: ClusterStagedUpdateRun\n",
	},
	{
		reason:     "The document prints the hash of the cluster-scoped snapshot, which holds the namespace too.",
		transcript: namespaced,
		section:    "Work with resource snapshots: Create a new resource snapshot",
		old:        "10dd7a3d1e5f9849afe956cfbac080a60671ad771e9bda7dd34415f867c75648", new: elision,
	},
	{
		reason:     "Upstream has the field as well; the document leaves it out.",
		transcript: clusterScoped,
		field:      "status.appliedStrategy",
	},
	{
		reason: "A snapshot says which hub it was read from, so that one of a hub that was rebuilt is not taken for the whole.",
		field:  "metadata.annotations.kubernetes-fleet.io/hub-uid",
	},
	{
		reason:     "A run remembers which placement it was made for, so that another one of the same name is not taken for it.",
		transcript: clusterScoped,
		field:      "status.placementUID",
	},
	{
		reason:     "A run says who created it, since a policy may not count their approval.",
		transcript: clusterScoped,
		field:      "status.createdBy",
	},
	{
		reason:     "A run tells what has happened to it and what users have asked of it.",
		transcript: clusterScoped,
		field:      "status.history",
	},
	{
		reason:     "A run says up to which of these it has acted.",
		transcript: clusterScoped,
		field:      "status.observedOperation",
	},
	{
		reason:     "A run can be rolled back, each cluster to what it had.",
		transcript: clusterScoped,
		field:      "status.stagesStatus[0].clusters[0].previousResourceSnapshotIndex",
	},
	{
		reason:     "One run at a time moves a placement, and a run reports whether it does.",
		transcript: clusterScoped,
		field:      "status.turn",
	},
	{
		reason:     "A timed wait keeps its clock over stop and resume, from when the clusters of the stage were done.",
		transcript: clusterScoped,
		field:      "status.stagesStatus[0].updatedTime",
	},
	{
		reason:     "The document leaves out the clusters of a stage that has not started them.",
		transcript: clusterScoped,
		section:    "Start a staged update run",
		field:      "status.stagesStatus[1].clusters",
	},
	{
		reason:     "The document leaves out tasks that are not done.",
		transcript: clusterScoped,
		section:    "Stop a staged update run",
		field:      "status.stagesStatus[0].afterStageTaskStatus",
	},
	{
		reason:     "The document leaves out stages that were not entered.",
		transcript: clusterScoped,
		section:    "Stop a staged update run",
		field:      "status.stagesStatus[1]",
	},
	{
		reason: "The document stops the run that it has just seen finish, and shows what a run stopped in its first stage looks " +
			"like. Such a run is made here, with the minute of the document so that it is still waiting when it is stopped. Its name " +
			"is as long as the other's, which keeps the tables aligned.",
		transcript: clusterScoped,
		section:    "Stop a staged update run",
		old:        "example-run", new: "stopped-run",
		before: `
kubectl patch csus example-strategy --type=json -p '[{"op": "replace", "path": "/spec/stages/0/afterStageTasks/0/waitTime", "value": "1m"}]'
kubectl apply -f - << EOF
apiVersion: placement.kubernetes-fleet.io/v1beta1
kind: ClusterStagedUpdateRun
metadata:
  name: stopped-run
spec:
  placementName: example-placement
  resourceSnapshotIndex: "1"
  stagedRolloutStrategyName: example-strategy
  state: Initialize
EOF
kubectl wait csur/stopped-run --for=condition=Initialized --timeout=30s
kubectl patch csur stopped-run --type merge -p '{"spec":{"state":"Run"}}'
kubectl wait csur/stopped-run --timeout=30s --for=jsonpath='{.status.conditions[?(@.type=="Progressing")].reason}'=UpdateRunWaiting
`,
		after: `
kubectl patch csur stopped-run --type merge -p '{"spec":{"state":"Run"}}'
kubectl wait csur/stopped-run --timeout=30s --for=jsonpath='{.status.conditions[?(@.type=="Progressing")].reason}'=UpdateRunWaiting
kubectl delete csur stopped-run
kubectl patch csus example-strategy --type=json -p '[{"op": "replace", "path": "/spec/stages/0/afterStageTasks/0/waitTime", "value": "3s"}]'
`,
	},
}

// rewrite returns the blocks as they are to be carried out and compared, and which deviations have had a part in that.
func rewrite(transcript string, blocks []block, deviations []deviation) (rewritten []block, used map[int]bool) {
	used = map[int]bool{}
	for _, b := range blocks {
		b.written = b.text
		for i, d := range deviations {
			if !d.holds(transcript, b.section) || !d.isOf(b) || d.printed && b.kind != tableOutput && b.kind != objectOutput {
				continue
			}
			if d.old != "" && strings.Contains(b.text, d.old) {
				b.text, used[i] = strings.ReplaceAll(b.text, d.old, d.new), true
			}
		}
		rewritten = append(rewritten, b)
	}
	return rewritten, used
}

func (d deviation) holds(transcript, section string) bool {
	return (d.transcript == "" || d.transcript == transcript) && (d.section == "" || d.section == section)
}

// isOf reports whether the deviation, where it is of a command, is of this one.
func (d deviation) isOf(b block) bool {
	return d.command == "" || b.kind == command && strings.HasPrefix(b.written, d.command)
}

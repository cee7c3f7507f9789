// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// phrases are what a run says of its clusters, by what it does to them.
type phrases struct {
	runStopping string

	stageStarted, stagePaused, stageStopping, stageStopped, stageAbandoned, stageDone, stageSucceeded, stageFailed string

	clusterStarted, clusterSucceeded, clusterFailed string

	// done is what has become of clusters, toFinish what they are waited for, unfinished what those have not done that are not waited for any more.
	done, toFinish, unfinished string
	// failed is what those have done that were given up.
	failed string
}

// updating is what a run says that applies a version, or takes one off.
var updating = phrases{
	runStopping: "The update run is in the process of stopping, waiting for all the updating/deleting clusters to finish updating before completing the stop process",

	stageStarted:   "Clusters in the stage started updating",
	stagePaused:    "Too many clusters in the stage failed to update, waiting for them to be retried or skipped",
	stageStopping:  "Waiting for all the updating clusters to finish updating before completing the stop process",
	stageStopped:   "All the updating clusters have finished updating, the stage is now stopped, waiting to be resumed",
	stageAbandoned: "The stage is now stopped with clusters that have not finished updating, waiting to be resumed",
	stageDone:      "All clusters in the stage are updated",
	stageSucceeded: "Stage update completed successfully",
	stageFailed:    "Stage update aborted due to a non-recoverable error",

	clusterStarted:   "Cluster update started",
	clusterSucceeded: "Cluster update completed successfully",
	clusterFailed:    "Cluster update failed: not available within %s",

	done:       "updated",
	toFinish:   "to finish updating",
	unfinished: "did not finish updating",
	failed:     "failed to update",
}

// comparing is what a run says that only compares clusters with a version. Reasons are the same: clients know them.
var comparing = phrases{
	runStopping: "The update run is in the process of stopping, waiting for all the clusters that are being compared or deleted before completing the stop process",

	stageStarted:   "Clusters in the stage are being compared",
	stagePaused:    "Too many clusters in the stage failed to be compared, waiting for them to be retried or skipped",
	stageStopping:  "Waiting for all the clusters that are being compared before completing the stop process",
	stageStopped:   "All the clusters that were being compared have reported their differences, the stage is now stopped, waiting to be resumed",
	stageAbandoned: "The stage is now stopped with clusters that have not reported their differences, waiting to be resumed",
	stageDone:      "All clusters in the stage are compared",
	stageSucceeded: "Stage comparison completed successfully",
	stageFailed:    "Stage comparison aborted due to a non-recoverable error",

	clusterStarted:   "Cluster comparison started",
	clusterSucceeded: "Cluster comparison completed successfully",
	clusterFailed:    "Cluster comparison failed: differences not reported within %s",

	done:       "compared",
	toFinish:   "to report their differences",
	unfinished: "did not report their differences",
	failed:     "failed to be compared",
}

// ofRun returns what to say of all clusters of the run.
func (d *draft) ofRun() *phrases { return phrasesOf(runrules.RunCompares(&d.status)) }

// ofStage returns what to say of a stage.
func (d *draft) ofStage(stage *v1beta1.StageUpdatingStatus) *phrases {
	return phrasesOf(runrules.StageCompares(&d.status, stage))
}

// ofCluster returns what to say of a cluster of a stage.
func (d *draft) ofCluster(stage *v1beta1.StageUpdatingStatus, c *v1beta1.ClusterUpdatingStatus) *phrases {
	return phrasesOf(stage != d.status.DeletionStageStatus && runrules.Compares(&d.status, c))
}

func phrasesOf(compares bool) *phrases {
	if compares {
		return &comparing
	}
	return &updating
}

// compared tells what came of comparing some clusters: "3 clusters compared, 2 with differences: a, b". How many differ is left out where that was
// not recorded of all of them.
func compared(clusters []*v1beta1.ClusterUpdatingStatus) string {
	text := wording.Count(len(clusters), "cluster") + " " + comparing.done
	if found := differences(clusters); found != "" {
		text += ", " + found
	}
	return text
}

// differences says how many of some clusters differ from what they were compared with, and which. It is empty where a cluster was not
// compared, or its differences were not recorded.
func differences(clusters []*v1beta1.ClusterUpdatingStatus) string {
	var names []string
	for _, c := range clusters {
		switch {
		case !runrules.WasCompared(c):
			return ""
		case runrules.Differs(c):
			names = append(names, c.ClusterName)
		}
	}
	switch {
	case len(clusters) == 0:
		return ""
	case len(names) == 0:
		return "none with differences"
	}
	return fmt.Sprintf("%d with differences: %s", len(names), wording.FirstNames(names))
}

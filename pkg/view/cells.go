// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Cells are clusters side by side that are in the same state.
type Cells struct {
	State ClusterState
	Count int
}

// StageNamed returns the stage of a run that a view calls by a name, nil if there is none.
func StageNamed(run v1beta1.UpdateRunObject, name string) *v1beta1.StageUpdatingStatus {
	for _, stage := range runrules.Stages(run.RunStatus()) {
		if Clean(wellknown.StageAlias(stage.StageName)) == name {
			return stage
		}
	}
	return nil
}

// CellsOf returns the states of all clusters of a stage in their order. Ten thousand clusters that are alike are one element.
func CellsOf(stage *v1beta1.StageUpdatingStatus) (cells []Cells) {
	for i := range stage.Clusters {
		state := stateOf(&stage.Clusters[i])
		if n := len(cells); n > 0 && cells[n-1].State == state {
			cells[n-1].Count++
			continue
		}
		cells = append(cells, Cells{state, 1})
	}
	return cells
}

// ClustersOf returns those clusters of a stage, in their order, that are in a state and have a text in their name. An empty state or text leaves none
// out. It returns at most limit of them from an offset on, and the number of all.
func ClustersOf(stage *v1beta1.StageUpdatingStatus, state ClusterState, text string, offset, limit int) (found []Cluster, total int) {
	for i := range stage.Clusters {
		c := &stage.Clusters[i]
		if state != "" && stateOf(c) != state || !strings.Contains(c.ClusterName, text) {
			continue
		}
		if total >= offset && len(found) < limit {
			found = append(found, buildCluster(c))
		}
		total++
	}
	return found, total
}

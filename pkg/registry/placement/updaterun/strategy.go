// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// maxNameLength lets the name of a run be the value of a label on its approval requests.
const maxNameLength = 63

// Resources are the kinds of the family in both scopes.
func Resources() []store.Resource {
	family := store.Family[placement.UpdateRunObject, placement.UpdateRunSpec, placement.UpdateRunStatus]{
		Spec:                 placement.UpdateRunObject.RunSpec,
		Status:               placement.UpdateRunObject.RunStatus,
		Name:                 store.NameLimit{Max: maxNameLength, Message: "metadata.name max length is 63"},
		Validate:             validation.ValidateUpdateRun,
		ValidateUpdate:       validation.ValidateUpdateRunUpdate,
		ValidateStatusUpdate: validation.ValidateUpdateRunStatusUpdate,
		Columns:              columns(),
		Fields: map[string]func(placement.UpdateRunObject) string{
			"spec.placementName": placementName,
			"spec.state":         func(o placement.UpdateRunObject) string { return string(o.RunSpec().State) },
		},
	}
	return []store.Resource{
		store.NewResource[placement.ClusterStagedUpdateRun, placement.ClusterStagedUpdateRunList](
			placement.GroupName, registry.ClusterScoped("clusterstagedupdateruns", "csur"), family),
		store.NewResource[placement.StagedUpdateRun, placement.StagedUpdateRunList](
			placement.GroupName, registry.Namespaced("stagedupdateruns", "sur"), family),
	}
}

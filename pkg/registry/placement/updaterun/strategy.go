// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

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
		Stamp:                stampCreator,
		Keep:                 keepCreator,
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

// stampCreator records who creates a run: a policy may not count their approval.
func stampCreator(ctx context.Context, run placement.UpdateRunObject) {
	if creator, ok := genericapirequest.UserFrom(ctx); ok {
		recorded := registry.RecordedUser(creator)
		run.RunStatus().CreatedBy = &recorded
	}
}

func keepCreator(status, stored *placement.UpdateRunStatus) { status.CreatedBy = stored.CreatedBy }

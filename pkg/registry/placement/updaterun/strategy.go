// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// maxNameLength is that of a label's value: approval requests carry the name of their run in a label.
const maxNameLength = 63

// Resources returns the kinds of the family in both scopes. The clock dates changes of spec.state.
func Resources(clk clock.PassiveClock) []store.Resource {
	family := store.Family[v1beta1.UpdateRunObject, v1beta1.UpdateRunSpec, v1beta1.UpdateRunStatus]{
		Spec:                 v1beta1.UpdateRunObject.RunSpec,
		Status:               v1beta1.UpdateRunObject.RunStatus,
		OnCreate:             stampCreator,
		Keep:                 keepUnknown,
		Finalizers:           wellknown.UpdateRunFinalizers,
		ServersOwn:           registry.IsController,
		OnUpdate:             recorder{clock: clk}.recordState,
		ResetServerOwned:     resetServerOwned,
		Name:                 store.NameLimit{Max: maxNameLength, Message: "metadata.name max length is 63"},
		Validate:             validation.ValidateUpdateRun,
		ValidateUpdate:       validation.ValidateUpdateRunUpdate,
		ValidateStatusUpdate: validation.ValidateUpdateRunStatusUpdate,
		WarningsOnUpdate:     warnOfStateOfEnded,
		Columns:              columns(),
		Fields: map[string]func(v1beta1.UpdateRunObject) string{
			"spec.placementName": placementName,
			"spec.state":         func(o v1beta1.UpdateRunObject) string { return string(o.RunSpec().State) },
		},
	}
	return []store.Resource{
		store.NewResource[v1beta1.ClusterStagedUpdateRun, v1beta1.ClusterStagedUpdateRunList](
			v1beta1.GroupName, registry.ClusterScoped("clusterstagedupdateruns", "csur"), family),
		store.NewResource[v1beta1.StagedUpdateRun, v1beta1.StagedUpdateRunList](
			v1beta1.GroupName, registry.Namespaced("stagedupdateruns", "sur"), family),
	}
}

// warnOfStateOfEnded warns of a change of the state of a run that is over, since nothing acts on it.
func warnOfStateOfEnded(run, old v1beta1.UpdateRunObject) []string {
	state := run.RunSpec().State
	end := runrules.End(old.RunStatus())
	if end == nil || state == old.RunSpec().State {
		return nil
	}
	return []string{fmt.Sprintf("spec.state: %s has no effect, since the run has ended (%s): create a new run", state, end.Reason)}
}

// keepUnknown restores the fields of Stagegate alone, which cannot be changed, where a client of KubeFleet that does not know them starts
// or stops a run.
func keepUnknown(run, old v1beta1.UpdateRunObject) {
	spec, oldSpec := run.RunSpec(), old.RunSpec()
	if spec.RollbackOf == "" {
		spec.RollbackOf = oldSpec.RollbackOf
	}
	if spec.PolicyOverride == nil {
		spec.PolicyOverride = oldSpec.PolicyOverride.DeepCopy()
	}
}

// stampCreator records who creates a run: a policy may not count their approval. A controller names the user for whom it creates one.
func stampCreator(ctx context.Context, run v1beta1.UpdateRunObject, sent *v1beta1.UpdateRunStatus) {
	if sent.CreatedBy != nil && registry.IsController(ctx) {
		run.RunStatus().CreatedBy = sent.CreatedBy
		return
	}
	if creator, ok := genericapirequest.UserFrom(ctx); ok {
		recorded := registry.RecordedUser(creator)
		run.RunStatus().CreatedBy = &recorded
	}
}

// resetServerOwned restores the creator of a run. Only the controllers may change its history and what came of it.
func resetServerOwned(ctx context.Context, status, stored *v1beta1.UpdateRunStatus) {
	status.CreatedBy = stored.CreatedBy
	if registry.IsController(ctx) {
		return
	}
	status.History = stored.History
	status.ObservedOperation = stored.ObservedOperation
	status.RolledBackBy = stored.RolledBackBy
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// operationByAnnotation is the audit annotation that names who asked something of a run, on the request that did.
const operationByAnnotation = v1beta1.GroupName + "/operation-by"

// operations are the subresources of runs, by name: each records what a user asks, and the run acts on it in its own time.
func operations(s *store.Storage, authz authorizer.Authorizer, records recorder) map[string]rest.Storage {
	paths := map[string]rest.Storage{}
	for operation, check := range checks {
		subresource := strings.ToLower(string(operation))
		paths[subresource] = store.NewActionREST(s, "run", operationByAnnotation, &asking{
			operation:   operation,
			subresource: subresource,
			check:       check,
			resource:    s.Action.DefaultQualifiedResource,
			authorizer:  authz,
			records:     records,
		})
	}
	return paths
}

// asking is the action of one of the subresources. All verbs take and return an UpdateRunOperation.
type asking struct {
	operation   v1beta1.OperationType
	subresource string
	check       check
	resource    schema.GroupResource
	authorizer  authorizer.Authorizer
	records     recorder
}

var _ store.Action[v1beta1.UpdateRunObject, *v1beta1.UpdateRunOperation] = &asking{}

// New implements store.Action.
func (a *asking) New() *v1beta1.UpdateRunOperation { return &v1beta1.UpdateRunOperation{} }

// Read returns what was last asked, why, when and by whom.
func (a *asking) Read(run v1beta1.UpdateRunObject) *v1beta1.UpdateRunOperation {
	if entry := last(run.RunStatus(), is(a.operation)); entry != nil {
		return answer(run, entry)
	}
	return &v1beta1.UpdateRunOperation{}
}

// Clear implements store.Action.
func (a *asking) Clear(read *v1beta1.UpdateRunOperation) {
	read.Spec = v1beta1.UpdateRunOperationSpec{}
}

// Columns implements store.Action.
func (a *asking) Columns() []store.Column[*v1beta1.UpdateRunOperation] { return operationColumns() }

// Validate checks that what is asked makes sense for the operation.
func (a *asking) Validate(asked *v1beta1.UpdateRunOperation) field.ErrorList {
	return validation.ValidateUpdateRunOperation(asked, a.operation)
}

// Do records what is asked. A stop or a resume takes effect on the state at once.
func (a *asking) Do(ctx context.Context, run v1beta1.UpdateRunObject, asked *v1beta1.UpdateRunOperation) (*v1beta1.UpdateRunOperation, bool, error) {
	asker, err := registry.AuthorizeUpdate(ctx, a.authorizer, a.resource, run, a.subresource)
	if err != nil {
		return nil, false, err
	}
	if read := a.Read(run); asked.Status.Number > 0 && asked.Status.Number == read.Status.Number && equality.Semantic.DeepEqual(asked.Spec, read.Spec) {
		// What is written back as it was read is not asked again.
		return read, false, nil
	}
	stored, err := a.refuse(run, &asked.Spec, asker.GetName())
	if err != nil {
		return nil, false, apierrors.NewConflict(a.resource, run.GetName(), err)
	}
	if a.operation == v1beta1.OperationRollback {
		warning.AddWarning(ctx, "", whoBringsBack(run))
	}
	if stored != nil {
		return answer(run, stored), false, nil
	}
	entry := a.records.record(ctx, run.RunStatus(), v1beta1.UpdateRunHistoryEntry{
		Operation: a.operation,
		Stage:     asked.Spec.Stage,
		Clusters:  asked.Spec.Clusters,
		Task:      asked.Spec.Task,
		Message:   asked.Spec.Reason,
	})
	switch a.operation {
	case v1beta1.OperationStop:
		run.RunSpec().State = v1beta1.StateStop
	case v1beta1.OperationResume:
		run.RunSpec().State = v1beta1.StateRun
	}
	return answer(run, entry), true, nil
}

// whoBringsBack names the run that takes the clusters of a run back. As long as it is not created, that is the name which it is to get.
func whoBringsBack(run v1beta1.UpdateRunObject) string {
	if by := run.RunStatus().RolledBackBy; by != nil {
		return fmt.Sprintf("run %s brings the clusters back", by.Name)
	}
	return fmt.Sprintf("run %s will bring the clusters back: status.rolledBackBy of run %s names it once it is created",
		wellknown.RollbackName(run.GetName(), string(run.GetUID()), ""), run.GetName())
}

// refuse says why a run cannot do what is asked. What the user has asked for already, and still stands, is returned.
func (a *asking) refuse(run v1beta1.UpdateRunObject, asked *v1beta1.UpdateRunOperationSpec, asker string) (*v1beta1.UpdateRunHistoryEntry, error) {
	if run.GetDeletionTimestamp() != nil {
		return nil, errors.New("the run is being deleted")
	}
	if end := runrules.End(run.RunStatus()); end != nil && a.operation != v1beta1.OperationRollback {
		return nil, fmt.Errorf("the run has ended (%s): create a new run", end.Reason)
	}
	stored, err := a.check(run, asked, asker)
	if err != nil || stored != nil {
		return stored, err
	}
	if waiting := pending(run.RunStatus()); len(waiting) >= maxPending && !isStateChange(a.operation) {
		return nil, fmt.Errorf("the run has not acted on the last %d operations, the first of %s: look whether the loops of the server run",
			len(waiting), waiting[0].Time.UTC().Format(time.RFC3339))
	}
	return nil, nil
}

// answer is what a user gets back: what was recorded, now or earlier.
func answer(run v1beta1.UpdateRunObject, entry *v1beta1.UpdateRunHistoryEntry) *v1beta1.UpdateRunOperation {
	return &v1beta1.UpdateRunOperation{
		Spec: v1beta1.UpdateRunOperationSpec{
			Reason:   entry.Message,
			Clusters: slices.Clone(entry.Clusters),
			Stage:    entry.Stage,
			Task:     entry.Task,
		},
		Status: statusOf(run, entry),
	}
}

func statusOf(run v1beta1.UpdateRunObject, entry *v1beta1.UpdateRunHistoryEntry) v1beta1.UpdateRunOperationStatus {
	when := entry.Time
	return v1beta1.UpdateRunOperationStatus{
		Number: entry.Number,
		User:   entry.User,
		Time:   &when,
		Done:   entry.Number <= run.RunStatus().ObservedOperation,
	}
}

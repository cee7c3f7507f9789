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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// operationByAnnotation is the audit annotation that names the user who asked for an operation.
const operationByAnnotation = v1beta1.GroupName + "/operation-by"

// operations returns the subresources of runs, by name. Each records an operation, on which the controller acts later.
func operations(s *store.Storage, planner Planner, authz authorizer.Authorizer, records recorder) map[string]rest.Storage {
	paths := map[string]rest.Storage{}
	for operation, check := range checks {
		subresource := strings.ToLower(string(operation))
		paths[subresource] = store.NewActionREST(s, "run", operationByAnnotation, &operationAction{
			operation:   operation,
			subresource: subresource,
			check:       check,
			resource:    s.Action.DefaultQualifiedResource,
			planner:     planner,
			authorizer:  authz,
			records:     records,
		})
	}
	return paths
}

// operationAction is the action of one of the subresources. All verbs take and return an UpdateRunOperation.
type operationAction struct {
	operation   v1beta1.OperationType
	subresource string
	check       check
	resource    schema.GroupResource
	// planner is nil in a server without one.
	planner    Planner
	authorizer authorizer.Authorizer
	records    recorder
}

var _ store.Action[v1beta1.UpdateRunObject, *v1beta1.UpdateRunOperation] = &operationAction{}

// New implements store.Action.
func (a *operationAction) New() *v1beta1.UpdateRunOperation { return &v1beta1.UpdateRunOperation{} }

// Read returns the last operation of this kind, with its reason, time and user.
func (a *operationAction) Read(run v1beta1.UpdateRunObject) *v1beta1.UpdateRunOperation {
	if entry := last(run.RunStatus(), is(a.operation)); entry != nil {
		return answer(run, entry)
	}
	return &v1beta1.UpdateRunOperation{}
}

// Clear implements store.Action.
func (a *operationAction) Clear(read *v1beta1.UpdateRunOperation) {
	read.Spec, read.Status = v1beta1.UpdateRunOperationSpec{}, v1beta1.UpdateRunOperationStatus{}
}

// Columns implements store.Action.
func (a *operationAction) Columns() []store.Column[*v1beta1.UpdateRunOperation] {
	return operationColumns()
}

// Validate checks that the fields of the body fit the operation.
func (a *operationAction) Validate(asked *v1beta1.UpdateRunOperation) field.ErrorList {
	return validation.ValidateUpdateRunOperation(asked, a.operation)
}

// Do records the operation. A stop or a resume changes spec.state at once.
func (a *operationAction) Do(ctx context.Context, run v1beta1.UpdateRunObject, asked *v1beta1.UpdateRunOperation) (*v1beta1.UpdateRunOperation, bool, error) {
	asker, err := registry.AuthorizeUpdate(ctx, a.authorizer, a.resource, run, a.subresource)
	if err != nil {
		return nil, false, err
	}
	if read := a.Read(run); asked.Status.Number > 0 && asked.Status.Number == read.Status.Number && equality.Semantic.DeepEqual(asked.Spec, read.Spec) {
		// A client that writes back what it has read asks for nothing.
		return read, false, nil
	}
	if a.operation == v1beta1.OperationResume {
		if err := (overrides{resource: a.resource, authorizer: a.authorizer}).authorizeStart(ctx, run); err != nil {
			return nil, false, err
		}
	}
	stored, err := a.refuse(run, &asked.Spec, asker.GetName())
	if err != nil {
		return nil, false, apierrors.NewConflict(a.resource, run.GetName(), err)
	}
	if stored == nil {
		if err := a.foresee(ctx, run); err != nil {
			return nil, false, err
		}
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

// foresee refuses what is bound to fail: a run can be rolled back once, and a run that others have overtaken ends when it is resumed.
func (a *operationAction) foresee(ctx context.Context, run v1beta1.UpdateRunObject) error {
	if a.planner == nil {
		return nil
	}
	check, what := a.planner.CheckRollback, "the rollback would fail: "
	switch a.operation {
	case v1beta1.OperationRollback:
	case v1beta1.OperationResume:
		check, what = a.planner.CheckResume, ""
	default:
		return nil
	}
	err := check(ctx, run)
	if err == nil || apierrors.ReasonForError(err) != metav1.StatusReasonUnknown {
		return err
	}
	return apierrors.NewConflict(a.resource, run.GetName(), fmt.Errorf("%s%w", what, err))
}

// whoBringsBack names the run that rolls a run back. Until that run exists, it names the name that it will get.
func whoBringsBack(run v1beta1.UpdateRunObject) string {
	if by := run.RunStatus().RolledBackBy; by != nil {
		return fmt.Sprintf("run %s brings the clusters back", by.Name)
	}
	return fmt.Sprintf("run %s will bring the clusters back: status.rolledBackBy of run %s names it once it is created",
		wellknown.RollbackName(run.GetName(), string(run.GetUID()), ""), run.GetName())
}

// refuse returns an error, for the user, if the run does not allow the operation. If the user has asked for it already, and it still
// stands, refuse returns the record of that.
func (a *operationAction) refuse(run v1beta1.UpdateRunObject, asked *v1beta1.UpdateRunOperationSpec, asker string) (*v1beta1.UpdateRunHistoryEntry, error) {
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
		return nil, fmt.Errorf("the run has not acted on the last %d operations, the first of %s: check that the server's controllers run (Lease fleet-system/stagegate-apiserver)",
			len(waiting), waiting[0].Time.UTC().Format(time.RFC3339))
	}
	return nil, nil
}

// answer returns the body of the response: what was recorded, now or earlier.
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
		Done:   !runrules.IsOpen(run.RunStatus(), entry),
	}
}

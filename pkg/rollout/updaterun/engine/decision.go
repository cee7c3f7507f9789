// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
)

// World is what Step looks at besides the run. Nothing in it is changed.
type World struct {
	// Placement of the run, nil where there is none.
	Placement v1beta1.PlacementObject
	// Bindings of the placement.
	Bindings []v1beta1.BindingObject
	// Approvals has the approval requests that exist under the names that the run's tasks give, whoever made them.
	Approvals map[string]v1beta1.ApprovalRequestObject
	// Left are the clusters, among those the run is not done with and those that only bindings name, that have left the fleet or are leaving it.
	Left map[string]bool
	// Others are the other runs of the placement. A claim of the run is judged against them, so they have to be at least as new
	// as the run itself.
	Others []v1beta1.UpdateRunObject
	// Since is when the present leader began to look. Time in which nobody acted on a cluster is not held against it.
	Since time.Time
	// Governance is by what a run is judged that has not started. No other run needs it.
	plan.Governance
}

// Decision is what follows from a look at a run. It is carried out in the order of the fields, and each part only where the parts
// before it succeeded: the status is written under the resource version of the run that was looked at, which keeps everything else
// from happening twice or too late. What a crash leaves undone is decided again. Events are recorded once the status is written, whatever
// becomes of the rest: what they tell of is decided.
type Decision struct {
	// Status is the run's next status, nil where it stays as it is.
	Status *v1beta1.UpdateRunStatus
	// Requests are approval requests to create. One that exists by now is left alone.
	Requests []Request
	// Rollback is the run to create that rolls this one back, nil for none. One that exists by now is left alone.
	Rollback *Rollback
	// Accepts are approval requests to mark as acted on. They may be left to the next look, which decides it again.
	Accepts []v1beta1.ApprovalRequestObject
	// Bindings to write, together with Accepts.
	Bindings []BindingWrite
	// Deletions are bindings to delete, as they were observed.
	Deletions []v1beta1.BindingObject
	// Events to record on the run.
	Events []Event
	// WakeAt is when to look again though nothing changed; zero for never.
	WakeAt time.Time
}

// Request is an approval request to create.
type Request struct {
	// Name of the request.
	Name string
	// Stage that waits.
	Stage string
	// TaskType is the value of the task type label.
	TaskType string
	// Done is what becomes of the clusters of the stage, such as "updated".
	Done string
	// AtStake ends the sentence that tells of the request: what is removed once it is approved. It is empty where that is nothing.
	AtStake string
	// Policy says whose approvals it takes, nil for one by anybody.
	Policy *v1beta1.ApprovalPolicy
	// Rollout is what there is to decide about.
	Rollout v1beta1.StageRollout
}

// Rollback is a run to create that rolls the run back which is looked at.
type Rollback struct {
	// Name of the new run, or wellknown.RollbackName with a salt where a run has it that is no rollback of a controller.
	Name string
	// CreatedBy is the user who asked for it, nil where nobody did.
	CreatedBy *v1beta1.DecisionUser
}

// BindingWrite moves one cluster: the spec with the annotations, and the condition RolloutStarted at the generation that this gives.
// A binding that has the one without the other is put right by the next.
type BindingWrite struct {
	// Binding as it was observed; a newer one is not to be written.
	Binding v1beta1.BindingObject
	// Spec is the wanted spec, nil where it is in place and only the condition is missing.
	Spec *v1beta1.ResourceBindingSpec
	// Turn in which the cluster is moved, for the binding's annotation.
	Turn int64
	// Message of the condition.
	Message string
}

// Event tells people what happened to a run.
type Event struct {
	// Warning says that somebody should look.
	Warning bool
	// Reason in one word.
	Reason string
	// Message in a sentence.
	Message string
}

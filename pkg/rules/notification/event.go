// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Content types of the bodies.
const (
	ContentTypeCloudEvent = "application/cloudevents+json; charset=utf-8"
	ContentTypeJSON       = "application/json; charset=utf-8"
)

// Event is what is told of one entry of the history of a run. All but the entry is as the run is when the event is made.
type Event struct {
	// Type is what the entry is called, see Type.
	Type string
	// Data is what the receiver is told.
	Data Data
}

// Data is the field data of the CloudEvent.
type Data struct {
	// Hub is the uid of the hub that the run is on.
	Hub string `json:"hub,omitempty"`
	// Run is the run that the entry is of.
	Run Run `json:"run"`
	// Entry is the entry, as in status.history of the run.
	Entry v1beta1.UpdateRunHistoryEntry `json:"entry"`
	// Progress is how far the run is.
	Progress Progress `json:"progress"`
	// WaitingFor is what holds the run up, as kubectl get -o wide prints it. It is empty where nothing does.
	WaitingFor string `json:"waitingFor,omitempty"`
	// Approvals are the approval requests that the run waits for.
	Approvals []Approval `json:"approvals,omitempty"`
}

// Run names a run and what it is about.
type Run struct {
	// Kind of the run.
	Kind string `json:"kind"`
	// Namespace of the run, empty for a cluster-scoped one.
	Namespace string `json:"namespace,omitempty"`
	// Name of the run.
	Name string `json:"name"`
	// UID of the run.
	UID types.UID `json:"uid"`
	// Placement that the run moves.
	Placement string `json:"placement"`
	// Strategy that it follows.
	Strategy string `json:"strategy"`
	// ResourceSnapshotIndex is the version that it rolls out, empty until it is planned.
	ResourceSnapshotIndex string `json:"resourceSnapshotIndex,omitempty"`
	// CreatedBy is the user who created it.
	CreatedBy string `json:"createdBy,omitempty"`
	// Outcome is how it ended, empty until it does.
	Outcome v1beta1.UpdateRunOutcome `json:"outcome,omitempty"`
}

// Progress is how far a run is.
type Progress struct {
	// Stage that the run is in, empty before the first and after the last.
	Stage string `json:"stage,omitempty"`
	// Clusters is the number of clusters that the run moves.
	Clusters int `json:"clusters"`
	// Done is how many of them have what they are to have.
	Done int `json:"done"`
	// Failed is how many of them were given up.
	Failed int `json:"failed"`
}

// Approval is an approval request that a run waits for.
type Approval struct {
	// Kind of the request.
	Kind string `json:"kind"`
	// Name of the request. Its namespace is that of the run.
	Name string `json:"name"`
	// UID of the request, empty where it does not exist yet.
	UID types.UID `json:"uid,omitempty"`
	// Groups are the groups of which who approves must be a member of one. Empty means any.
	Groups []string `json:"groups,omitempty"`
	// Approve and Reject are commands that decide on this request and on no other of its name. They are empty without the uid.
	Approve string `json:"approve,omitempty"`
	// Reject is the command that rejects it.
	Reject string `json:"reject,omitempty"`
}

// New makes the event of an entry. requests are the approval requests of the run that are known; hub is the uid of the hub.
func New(run v1beta1.UpdateRunObject, entry *v1beta1.UpdateRunHistoryEntry, requests []v1beta1.ApprovalRequestObject, hub string, now time.Time) Event {
	spec, status := run.RunSpec(), run.RunStatus()
	d := Data{
		Hub: hub,
		Run: Run{
			Kind: runrules.RunKind(run), Namespace: run.GetNamespace(), Name: run.GetName(), UID: run.GetUID(), Placement: spec.PlacementName,
			Strategy: spec.StagedUpdateStrategyName, ResourceSnapshotIndex: status.ResourceSnapshotIndexUsed, Outcome: status.Outcome,
		},
		Entry:      *entry.DeepCopy(),
		WaitingFor: runrules.WaitingFor(run, now),
	}
	if status.CreatedBy != nil {
		d.Run.CreatedBy = status.CreatedBy.Username
	}
	for _, stage := range runrules.Stages(status) {
		d.Progress.Clusters += len(stage.Clusters)
		d.Progress.Done += len(runrules.Clusters(stage, runrules.HasSucceeded))
		d.Progress.Failed += len(runrules.FailedClusters(stage))
	}
	if stage := runrules.EnteredStage(status); stage != nil && !runrules.IsOver(status) {
		d.Progress.Stage = stage.StageName
		d.Approvals = approvals(run, stage, requests)
	}
	return Event{Type: Type(entry), Data: d}
}

// LacksRequest reports whether the event tells of an approval that is asked for, and a request for one does not exist yet: a run says first that it
// waits, and creates the request afterwards.
func (e Event) LacksRequest() bool {
	return e.Data.Entry.Reason == wellknown.HistoryApproval && slices.ContainsFunc(e.Data.Approvals, func(a Approval) bool { return a.UID == "" })
}

// approvals are the requests that a stage waits for. A command has the uid of the request, so that it approves no later one.
func approvals(run v1beta1.UpdateRunObject, stage *v1beta1.StageUpdatingStatus, requests []v1beta1.ApprovalRequestObject) []Approval {
	var found []Approval
	for _, task := range runrules.OpenTasks(stage) {
		if task.Type != v1beta1.StageTaskTypeApproval || task.ApprovalRequestName == "" {
			continue
		}
		a := Approval{Kind: runrules.RequestKind(run), Name: task.ApprovalRequestName}
		for _, request := range requests {
			if request.GetName() != a.Name {
				continue
			}
			a.UID = request.GetUID()
			if policy := request.RequestSpec().Policy; policy != nil {
				a.Groups = policy.Groups
			}
		}
		if a.UID != "" {
			a.Approve, a.Reject = command(run, a, "approve"), command(run, a, "reject")
		}
		found = append(found, a)
	}
	return found
}

func command(run v1beta1.UpdateRunObject, a Approval, subresource string) string {
	resource := "clusterapprovalrequest/" + a.Name
	if run.GetNamespace() != "" {
		resource = "approvalrequest/" + a.Name + " -n " + run.GetNamespace()
	}
	body := fmt.Sprintf(`{"metadata":{"uid":"%s"},"spec":{"comment":""}}`, a.UID)
	return fmt.Sprintf("kubectl patch %s --subresource=%s --type=merge -p '%s'", resource, subresource, body)
}

// ID is the same each time that an entry is sent, so that a receiver can drop repeats.
func (e Event) ID() string { return fmt.Sprintf("%s-%d", e.Data.Run.UID, e.Data.Entry.Number) }

// cloudEvent is the structured form of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	Data            Data   `json:"data"`
}

// CloudEvent returns the body of the event as a CloudEvent 1.0 in structured JSON. Its subject is the stage that the entry is about, if any.
func (e Event) CloudEvent() ([]byte, error) {
	source := "/apis/" + v1beta1.GroupName + "/v1"
	if e.Data.Run.Namespace == "" {
		source += "/clusterstagedupdateruns/" + e.Data.Run.Name
	} else {
		source += "/namespaces/" + e.Data.Run.Namespace + "/stagedupdateruns/" + e.Data.Run.Name
	}
	body, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID(), Source: source, Type: "dev.stagegate." + e.Type + ".v1", Subject: e.Data.Entry.Stage,
		Time: e.Data.Entry.Time.UTC().Format(time.RFC3339), DataContentType: "application/json", Data: e.Data,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the CloudEvent %s: %w", e.ID(), err)
	}
	return body, nil
}

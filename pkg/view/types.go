// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// APIVersion is that of the views as programs read them. Fields are added within a version, and neither removed nor given another meaning.
const APIVersion = "view.stagegate.dev/v1alpha1"

// Kinds of views.
const (
	KindRun          = "RunView"
	KindRunList      = "RunViewList"
	KindApprovalList = "ApprovalViewList"
)

// Object names an object of the API.
type Object struct {
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid,omitempty"`
}

// RunList is several runs, those first that want a person.
type RunList struct {
	metav1.TypeMeta `json:",inline"`
	Items           []*Run `json:"items"`
}

// Run is a run as it is shown.
type Run struct {
	metav1.TypeMeta `json:",inline"`
	// Object is the run.
	Object Object `json:"object"`
	// State is the outcome of a run that is over, and the phase of another one.
	State string `json:"state"`
	// Since is when the state began, as far as it is known.
	Since *metav1.Time `json:"since,omitempty"`
	// Over reports whether nothing will happen to the run any more.
	Over bool `json:"over"`
	// Outcome is how it ended, empty until it does.
	Outcome v1beta1.UpdateRunOutcome `json:"outcome,omitempty"`
	// NeedsPerson reports whether the run goes on only once somebody does something about it.
	NeedsPerson bool `json:"needsPerson"`
	// WaitingFor is what holds the run up, as kubectl get -o wide prints it.
	WaitingFor string `json:"waitingFor,omitempty"`
	// Message is the server's sentence on how the run stands.
	Message   string `json:"message,omitempty"`
	Placement string `json:"placement"`
	Strategy  string `json:"strategy"`
	// Snapshot is the index of the resource snapshot, empty until it is known and for a rollback.
	Snapshot  string       `json:"snapshot,omitempty"`
	CreatedBy string       `json:"createdBy,omitempty"`
	Created   *metav1.Time `json:"created,omitempty"`
	// RollbackOf is the run that this one rolls back, RolledBackBy the one that rolls this one back.
	RollbackOf   string   `json:"rollbackOf,omitempty"`
	RolledBackBy string   `json:"rolledBackBy,omitempty"`
	Progress     Progress `json:"progress"`
	Stages       []Stage  `json:"stages,omitempty"`
	Policies     []Policy `json:"policies,omitempty"`
	// History is the history of the run, oldest first.
	History []Entry `json:"history,omitempty"`
}

// Progress counts clusters by what became of them.
type Progress struct {
	Clusters int `json:"clusters"`
	Updated  int `json:"updated"`
	Updating int `json:"updating"`
	Failed   int `json:"failed"`
	Skipped  int `json:"skipped"`
}

// StageState is what a stage does, in one word.
type StageState string

// The states of a stage.
const (
	StagePending   StageState = "Pending"
	StageUpdating  StageState = "Updating"
	StageWaiting   StageState = "Waiting"
	StageSucceeded StageState = "Succeeded"
	StageSkipped   StageState = "Skipped"
	StageFailed    StageState = "Failed"
)

// Stage is a stage of a run.
type Stage struct {
	// Name of the stage; delete-stage for the one that removes resources.
	Name     string     `json:"name"`
	State    StageState `json:"state"`
	Progress Progress   `json:"progress"`
	// Start and End are when the run came to the stage and when it was over.
	Start *metav1.Time `json:"start,omitempty"`
	End   *metav1.Time `json:"end,omitempty"`
	// MaxConcurrency is how many clusters are updated at a time, a number or a percentage.
	MaxConcurrency string `json:"maxConcurrency,omitempty"`
	Tasks          []Task `json:"tasks,omitempty"`
	// Listed are the clusters to look at: those that failed, that are held and that are being updated, at most MaxListed; in a plan all, at most as
	// many. Unlisted is how many more there are of them.
	Listed   []Cluster `json:"clusters,omitempty"`
	Unlisted int       `json:"unlistedClusters,omitempty"`
}

// ClusterState is what became of a cluster, in one word.
type ClusterState string

// The states of a cluster.
const (
	ClusterPending  ClusterState = "Pending"
	ClusterHeld     ClusterState = "Held"
	ClusterUpdating ClusterState = "Updating"
	ClusterUpdated  ClusterState = "Updated"
	ClusterFailed   ClusterState = "Failed"
	ClusterSkipped  ClusterState = "Skipped"
)

// Cluster is a cluster of a stage.
type Cluster struct {
	Name    string       `json:"name"`
	State   ClusterState `json:"state"`
	Message string       `json:"message,omitempty"`
	// Since is when its update began.
	Since *metav1.Time `json:"since,omitempty"`
	// Overrides is how many overrides are in force on it.
	Overrides int `json:"overrides,omitempty"`
}

// Task is a task before or after a stage.
type Task struct {
	// Type is Approval or TimedWait.
	Type v1beta1.StageTaskType `json:"type"`
	// Before is true for a task before the stage.
	Before bool `json:"before,omitempty"`
	// Open is true while the run waits for it, Done when it does not any more. Both are false before its time has come.
	Open bool `json:"open"`
	Done bool `json:"done"`
	// Wait is how long a TimedWait is, WaitEnd when it is over, if that is known.
	Wait    *metav1.Duration `json:"wait,omitempty"`
	WaitEnd *metav1.Time     `json:"waitEnd,omitempty"`
	// Approval is the request of a task Approval, nil until there is one.
	Approval *Approval `json:"approval,omitempty"`
}

// ApprovalList is a list of approval requests.
type ApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	Items           []*Approval `json:"items"`
}

// Approval is an approval request as it is shown.
type Approval struct {
	Object Object `json:"object"`
	// ResourceVersion is that of the request as it is shown. A decision that names it is one on what was shown.
	ResourceVersion string `json:"resourceVersion,omitempty"`
	Run             string `json:"run"`
	Stage           string `json:"stage"`
	// Before is true for a request before the stage.
	Before bool `json:"before,omitempty"`
	// Decision is Approved or Rejected once the request is decided.
	Decision v1beta1.DecisionType `json:"decision,omitempty"`
	// Lacks is what is missing for a decision, in words.
	Lacks string `json:"lacks,omitempty"`
	// Groups are those of which who approves must be a member of one, none for anybody who may.
	Groups    []string     `json:"groups,omitempty"`
	Created   *metav1.Time `json:"created,omitempty"`
	Expires   *metav1.Time `json:"expires,omitempty"`
	Requester string       `json:"requester,omitempty"`
	// What the run does in the stage.
	Placement string `json:"placement,omitempty"`
	Snapshot  string `json:"snapshot,omitempty"`
	// Clusters are the first of the stage's clusters, ClusterCount how many there are.
	Clusters     []string `json:"clusters,omitempty"`
	ClusterCount int      `json:"clusterCount"`
	// Decisions are those that count.
	Decisions []Decision `json:"decisions,omitempty"`
}

// Decision is a decision on an approval request.
type Decision struct {
	User     string               `json:"user"`
	Decision v1beta1.DecisionType `json:"decision"`
	Time     metav1.Time          `json:"time"`
	Comment  string               `json:"comment,omitempty"`
}

// Policy is a rollout policy that governs a run.
type Policy struct {
	Object     Object   `json:"object"`
	Stages     []string `json:"stages,omitempty"`
	Overridden bool     `json:"overridden,omitempty"`
	Warns      bool     `json:"warns,omitempty"`
}

// Entry is an entry of the history.
type Entry struct {
	Number  int64       `json:"number"`
	Time    metav1.Time `json:"time"`
	Reason  string      `json:"reason"`
	User    string      `json:"user,omitempty"`
	Stage   string      `json:"stage,omitempty"`
	Message string      `json:"message,omitempty"`
}

// Phase returns the phase of a run that is not over.
func (r *Run) Phase() runrules.Phase {
	if r.Over {
		return ""
	}
	return runrules.Phase(r.State)
}

// OpenApprovals returns the approval requests that a run waits for.
func (r *Run) OpenApprovals() (found []*Approval) {
	for i := range r.Stages {
		for j := range r.Stages[i].Tasks {
			if t := &r.Stages[i].Tasks[j]; t.Open && t.Type == v1beta1.StageTaskTypeApproval && t.Approval != nil {
				found = append(found, t.Approval)
			}
		}
	}
	return found
}

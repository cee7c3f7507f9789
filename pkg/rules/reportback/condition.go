// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reportback

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// Reasons of the StatusReportedBack condition of a placement.
const (
	// ReasonReported is a placement whose objects on the hub have the statuses of the cluster.
	ReasonReported = "StatusReportedBack"
	// ReasonPending is a placement whose cluster has not reported a status yet.
	ReasonPending = "StatusReportPending"
	// ReasonNotOneCluster is a policy that does not pick exactly one cluster.
	ReasonNotOneCluster = "NotOneCluster"
	// ReasonNothingToReport is a placement that selects nothing of which a status is ever reported.
	ReasonNothingToReport = "NothingToReport"
	// ReasonOtherPlacement is an object of which another placement reports the status.
	ReasonOtherPlacement = "StatusReportedByOtherPlacement"
	// ReasonOtherWriter is an object whose status somebody on the hub writes.
	ReasonOtherWriter = "StatusWrittenByOther"
	// ReasonForbidden is a status that the server may not write.
	ReasonForbidden = "StatusForbidden"
	// ReasonNoStatus is a kind that has no status on the hub.
	ReasonNoStatus = "NoStatusOnHub"
	// ReasonStatusTooLarge is a status that is too large.
	ReasonStatusTooLarge = "StatusTooLarge"
	// ReasonStatusRefused is a status that is none, or that the hub refuses.
	ReasonStatusRefused = "StatusRefused"
	// ReasonTooManyObjects is a placement with statuses of more than MaxObjects objects.
	ReasonTooManyObjects = "TooManyObjects"
	// ReasonFailed is a request to the hub that failed, and is tried again.
	ReasonFailed = "StatusNotWritten"
)

const (
	// maxRefusals is how many objects a message names, and maxMessage how many bytes each may have for what is said of it.
	maxRefusals = 3
	maxMessage  = 512
)

// Refusal is why a status is not reported.
type Refusal struct{ Reason, Message string }

func (r Report) refuse(reason, why string) *Refusal {
	return &Refusal{Reason: reason, Message: r.Name() + ": " + why}
}

// OtherPlacement is the refusal of a report that another placement makes.
func (r Report) OtherPlacement(other string) *Refusal {
	return r.refuse(ReasonOtherPlacement, other+" reports the status of the object: have one of the two report")
}

// OtherWriter is the refusal of a report to an object whose status others write.
func (r Report) OtherWriter(others []string) *Refusal {
	return r.refuse(ReasonOtherWriter, "its status on the hub is written by "+wording.FirstNames(others)+
		": stop that and remove the status, or set the destination to WorkAPI")
}

// Forbidden is the refusal of a report that the hub does not let the server write, in the hub's words.
func (r Report) Forbidden(err error) *Refusal {
	return r.refuse(ReasonForbidden, "give the server's ServiceAccount the permission (artifacts/deploy/report-back): "+err.Error())
}

// NoStatus is the refusal of a report of a kind that the hub does not serve, or that has no status there.
func (r Report) NoStatus() *Refusal {
	return r.refuse(ReasonNoStatus, fmt.Sprintf("the hub serves no status of %s in %s", r.ID.Kind, r.GroupVersion()))
}

// Refused is the refusal of a report that the hub refuses.
func (r Report) Refused(err error) *Refusal {
	return r.refuse(ReasonStatusRefused, "the hub refuses the status: "+err.Error())
}

// Failed is that of a report that fails and is tried again.
func (r Report) Failed(err error) *Refusal { return r.refuse(ReasonFailed, err.Error()) }

// TooMany is the refusal of the reports beyond MaxObjects.
func TooMany(objects int) *Refusal {
	return &Refusal{Reason: ReasonTooManyObjects, Message: fmt.Sprintf(
		"%d objects have a status on the cluster, and no more than %d are written to the hub: divide them among several placements", objects, MaxObjects)}
}

// Trimmed is the refusal of what a Work had no room for.
func Trimmed(work string) *Refusal {
	return &Refusal{Reason: ReasonStatusTooLarge, Message: fmt.Sprintf(
		"Work %s has no room for all statuses (StatusTrimmed): divide the objects among several placements", work)}
}

// Outcome is what became of the reports of a placement.
type Outcome struct {
	// Cluster is the one that the placement picks, empty while there is none.
	Cluster string
	// Reported is how many objects of the hub have the status of the cluster.
	Reported int
	// LeftOut are kinds that the cluster has a status of, and that are never reported.
	LeftOut []string
	// Refusals are why others are not, in the order of the objects.
	Refusals []Refusal
}

// Condition is the StatusReportedBack condition, without a type and times.
func (o Outcome) Condition() metav1.Condition {
	leftOut := ""
	if len(o.LeftOut) > 0 {
		leftOut = "; never reported: " + wording.List(o.LeftOut)
	}
	switch {
	case len(o.Refusals) > 0:
		var clauses []string
		for _, r := range o.Refusals[:min(len(o.Refusals), maxRefusals)] {
			clauses = append(clauses, wording.Shorten(r.Message, maxMessage))
		}
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: o.Refusals[0].Reason, Message: wording.Clauses(clauses, len(o.Refusals))}
	case o.Reported > 0:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: ReasonReported, Message: fmt.Sprintf(
			"The status of %s on cluster %s is on the hub", wording.Count(o.Reported, "object"), o.Cluster) + leftOut}
	case len(o.LeftOut) > 0:
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: ReasonNothingToReport, Message: "Only statuses of Deployments, StatefulSets, " +
			"DaemonSets and custom resources are written to the hub" + leftOut}
	}
	return metav1.Condition{Status: metav1.ConditionUnknown, Reason: ReasonPending, Message: "No cluster has reported the status of a selected object yet"}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package eviction

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/conditions"
)

// Reasons of the conditions of an eviction.
const (
	reasonValid       = "ClusterResourcePlacementEvictionValid"
	reasonInvalid     = "ClusterResourcePlacementEvictionInvalid"
	reasonExecuted    = "ClusterResourcePlacementEvictionExecuted"
	reasonNotExecuted = "ClusterResourcePlacementEvictionNotExecuted"
)

// Messages of an eviction that is not valid.
const (
	messageNoPlacement = "Failed to find ClusterResourcePlacement targeted by eviction: there is no ClusterResourcePlacement %s"
	messageLeaving     = "Found deleting ClusterResourcePlacement targeted by eviction"
	messagePickFixed   = "Found ClusterResourcePlacement with PickFixed placement type targeted by eviction: " +
		"take cluster %s out of spec.policy.clusterNames of ClusterResourcePlacement %s"
	messageTwoBindings = "Found more than one scheduler decision for placement in cluster targeted by eviction"
	messageNoBinding   = "Failed to find scheduler decision for placement in cluster targeted by eviction: " +
		"ClusterResourcePlacement %s is not on cluster %s, or came there after the eviction was created"
	messageTooOld = "The eviction was not decided within an hour of its creation: create it again if it is still wanted"
)

// Messages of an eviction that is valid.
const (
	messageValid         = "Eviction is valid"
	messageBeingRemoved  = "Eviction is allowed, resources propagated by placement is currently being removed from cluster targeted by eviction"
	messageKept          = "Eviction is blocked, somebody has deleted the binding of the cluster and what was placed there stays: evict the placement once it has a new binding"
	messageNotPlaced     = "Eviction is blocked, placement has not propagated resources to target cluster yet"
	messagePolicies      = "Eviction is blocked by rollout policies: %s"
	messageFailed        = "Eviction is allowed, placement has failed"
	messageNoBudget      = "Eviction is allowed, no ClusterResourcePlacementDisruptionBudget specified"
	messageMisconfigured = "Eviction is blocked by misconfigured ClusterResourcePlacementDisruptionBudget, either MaxUnavailable is specified " +
		"or MinAvailable is specified as a percentage for PickAll ClusterResourcePlacement: set minAvailable to a number"
	messageAllowed = "Eviction is allowed by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: %d, totalPlacements: %d"
	messageBlocked = "Eviction is blocked by specified ClusterResourcePlacementDisruptionBudget, availablePlacements: %d, totalPlacements: %d; " +
		"%s ClusterResourcePlacementDisruptionBudget %s, and create the eviction again"
)

// Deadline is how long after its creation an eviction may be decided. What was meant then may not be what it would do now: the server was
// down, or is the first that carries out evictions.
const Deadline = time.Hour

// maxRefusal is how many bytes the words of rollout policies may have in a condition, which takes 32768.
const maxRefusal = 8 << 10

// World is what an eviction is decided on. It must be as the API has it and not as a cache does: a binding that is missing from it would
// have the budget allow one more.
type World struct {
	// Now is the time.
	Now time.Time
	// Placement is that of the eviction, nil where there is none.
	Placement *v1beta1.ClusterResourcePlacement
	// Bindings are all of the placement.
	Bindings []v1beta1.BindingObject
	// Budget of the placement, nil where there is none.
	Budget *v1beta1.ClusterResourcePlacementDisruptionBudget
	// Refused returns why rollout policies keep the placement on the cluster, empty where they do not.
	Refused func(cluster string) string
}

// Decision is what becomes of an eviction.
type Decision struct {
	// Conditions are what is said of it, Valid before Executed, without times and generations.
	Conditions []metav1.Condition
	// Evict is the binding to delete, nil where nothing is to be done.
	Evict v1beta1.BindingObject
}

// Decide returns what becomes of an eviction that is not decided yet.
func Decide(eviction *v1beta1.ClusterResourcePlacementEviction, w World) Decision {
	target, problem := find(eviction, w)
	if problem != "" {
		return Decision{Conditions: []metav1.Condition{{Type: v1beta1.EvictionValid, Status: metav1.ConditionFalse, Reason: reasonInvalid, Message: problem}}}
	}
	allowed, evict, message := execute(target, w)
	executed := metav1.Condition{Type: v1beta1.EvictionExecuted, Status: metav1.ConditionFalse, Reason: reasonNotExecuted, Message: message}
	if allowed {
		executed.Status, executed.Reason = metav1.ConditionTrue, reasonExecuted
	}
	d := Decision{Conditions: []metav1.Condition{
		{Type: v1beta1.EvictionValid, Status: metav1.ConditionTrue, Reason: reasonValid, Message: messageValid}, executed,
	}}
	if evict {
		d.Evict = target
	}
	return d
}

// find returns the binding that an eviction is about, or why there is none. A binding that came after the eviction is another: the one
// that was meant has gone, perhaps by this very eviction, and one eviction takes a placement off a cluster once.
func find(eviction *v1beta1.ClusterResourcePlacementEviction, w World) (target v1beta1.BindingObject, problem string) {
	switch {
	case w.Now.Sub(eviction.CreationTimestamp.Time) > Deadline:
		return nil, messageTooOld
	case w.Placement == nil:
		return nil, fmt.Sprintf(messageNoPlacement, eviction.Spec.PlacementName)
	case w.Placement.DeletionTimestamp != nil:
		return nil, messageLeaving
	case placementType(w.Placement) == v1beta1.PickFixedPlacementType:
		return nil, fmt.Sprintf(messagePickFixed, eviction.Spec.ClusterName, eviction.Spec.PlacementName)
	}
	for _, b := range w.Bindings {
		created := b.GetCreationTimestamp()
		switch {
		case b.BindingSpec().TargetCluster != eviction.Spec.ClusterName || created.After(eviction.CreationTimestamp.Time):
		case target != nil:
			return nil, messageTwoBindings
		default:
			target = b
		}
	}
	if target == nil {
		return nil, fmt.Sprintf(messageNoBinding, eviction.Spec.PlacementName, eviction.Spec.ClusterName)
	}
	return target, ""
}

// execute decides whether a placement may be taken off the cluster of a binding, and whether that is still to be done.
func execute(target v1beta1.BindingObject, w World) (allowed, evict bool, message string) {
	if target.GetDeletionTimestamp() != nil {
		if by, _ := MarkedBy(target); by == "" && target.BindingSpec().State != v1beta1.BindingStateUnscheduled {
			return false, false, messageKept
		}
		return true, false, messageBeingRemoved
	}
	if !isPlaced(target) {
		return false, false, messageNotPlaced
	}
	if refusal := w.Refused(target.BindingSpec().TargetCluster); refusal != "" {
		return false, false, fmt.Sprintf(messagePolicies, wording.Shorten(refusal, maxRefusal))
	}
	if bindingrules.CannotHeal(target) {
		return true, true, messageFailed
	}
	if w.Budget == nil {
		return true, true, messageNoBudget
	}
	if len(Misfits(w.Placement, &w.Budget.Spec)) > 0 {
		return false, false, messageMisconfigured
	}
	t := count(w.Placement, w.Bindings)
	if t.disruptions(&w.Budget.Spec) > 0 {
		return true, true, fmt.Sprintf(messageAllowed, t.available, t.total)
	}
	return false, false, fmt.Sprintf(messageBlocked, t.available, t.total, t.remedy(&w.Budget.Spec), w.Budget.Name)
}

// isPlaced reports whether resources may be on the cluster of a binding.
func isPlaced(b v1beta1.BindingObject) bool {
	state := b.BindingSpec().State
	if state == v1beta1.BindingStateUnscheduled {
		state = v1beta1.BindingState(b.GetAnnotations()[wellknown.PreviousBindingStateAnnotation])
	}
	return state == v1beta1.BindingStateBound
}

func placementType(p *v1beta1.ClusterResourcePlacement) v1beta1.PlacementType {
	if p.Spec.Policy == nil || p.Spec.Policy.PlacementType == "" {
		return v1beta1.PickAllPlacementType
	}
	return p.Spec.Policy.PlacementType
}

// IsDecided reports whether nothing more is decided about an eviction: each is carried out once, or not at all.
func IsDecided(eviction *v1beta1.ClusterResourcePlacementEviction) bool {
	list := eviction.Status.Conditions
	return conditions.IsFalse(list, v1beta1.EvictionValid, eviction.Generation) || meta.FindStatusCondition(list, v1beta1.EvictionExecuted) != nil
}

// Mark has a binding name the eviction that deletes it, and reports whether it did not.
func Mark(b v1beta1.BindingObject, eviction *v1beta1.ClusterResourcePlacementEviction) (changed bool) {
	annotations, mark := b.GetAnnotations(), eviction.Name+"/"+string(eviction.UID)
	if annotations[wellknown.EvictedByAnnotation] == mark {
		return false
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[wellknown.EvictedByAnnotation] = mark
	b.SetAnnotations(annotations)
	return true
}

// MarkedBy returns the eviction that a binding is marked by, empty where it is by none.
func MarkedBy(b v1beta1.BindingObject) (name string, uid types.UID) {
	name, id, _ := strings.Cut(b.GetAnnotations()[wellknown.EvictedByAnnotation], "/")
	return name, types.UID(id)
}

// Takes reports whether what was placed by a binding that is being deleted is to go from the cluster because of an eviction. A mark by
// itself is worth nothing: the eviction must be there, be about this placement and this cluster, and not be blocked.
func Takes(eviction *v1beta1.ClusterResourcePlacementEviction, b v1beta1.BindingObject) bool {
	name, uid := MarkedBy(b)
	if name == "" || name != eviction.Name || uid != eviction.UID || b.GetNamespace() != "" {
		return false
	}
	list := eviction.Status.Conditions
	return eviction.Spec.ClusterName == b.BindingSpec().TargetCluster && eviction.Spec.PlacementName == b.GetLabels()[wellknown.ParentPlacementLabel] &&
		!conditions.IsFalse(list, v1beta1.EvictionValid, eviction.Generation) && !conditions.IsFalse(list, v1beta1.EvictionExecuted, eviction.Generation)
}

// Unevictable returns why a placement is never evicted from any cluster, in the words for whoever asks for it, and nothing where it may be.
func Unevictable(p *v1beta1.ClusterResourcePlacement) string {
	switch {
	case p.DeletionTimestamp != nil:
		return fmt.Sprintf("cluster resource placement %s is being deleted", p.Name)
	case placementType(p) == v1beta1.PickFixedPlacementType:
		return "cluster resource placement policy type PickFixed is not supported: take the cluster out of spec.policy.clusterNames of the placement"
	}
	return ""
}

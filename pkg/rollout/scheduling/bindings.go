// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// How much of the placement's and the cluster's name a binding's name carries.
const (
	placementInName = 26
	clusterInName   = 27
	hashInName      = 8
)

// bindingName is the same for the same placement and cluster, so that a scheduler that was killed does not create a second binding.
func bindingName(placement v1beta1.PlacementObject, cluster string) string {
	hash := sha256.Sum256([]byte(string(placement.GetUID()) + "/" + cluster))
	return beginning(placement.GetName(), placementInName) + "-" + beginning(cluster, clusterInName) + "-" + hex.EncodeToString(hash[:])[:hashInName]
}

// beginning cuts a name so that a dash may follow, which must not come after a dot. A dash at its end may stay: there are bindings with
// such names.
func beginning(name string, limit int) string {
	return strings.TrimRight(name[:min(len(name), limit)], ".")
}

// schedule makes the binding of a picked cluster what it must be.
func schedule(binding v1beta1.BindingObject, policySnapshot string, decision v1beta1.ClusterDecision) {
	spec := binding.BindingSpec().DeepCopy()
	if spec.State == v1beta1.BindingStateUnscheduled {
		annotations := binding.GetAnnotations()
		spec.State = v1beta1.BindingState(annotations[wellknown.PreviousBindingStateAnnotation])
		if spec.State == "" {
			spec.State = v1beta1.BindingStateScheduled
		}
		delete(annotations, wellknown.PreviousBindingStateAnnotation)
		binding.SetAnnotations(annotations)
	}
	spec.SchedulingPolicySnapshotName = policySnapshot
	spec.ClusterDecision = decision
	become(binding, spec)
}

// become gives a binding another spec. One that stays as it is keeps what is recorded of its cluster.
func become(binding v1beta1.BindingObject, spec *v1beta1.ResourceBindingSpec) {
	if !apiequality.Semantic.DeepEqual(binding.BindingSpec(), spec) {
		bindingrules.Become(binding, spec)
	}
}

// isScheduled reports whether a binding says already that its cluster is picked. The score and the reason in it stay those of the day when the cluster
// was picked: each write of the spec has what is rolled out be reported anew. Those of today are in the status of the policy snapshot.
func isScheduled(binding v1beta1.BindingObject, policySnapshot string, decision v1beta1.ClusterDecision) bool {
	spec := binding.BindingSpec()
	return spec.State != v1beta1.BindingStateUnscheduled && spec.SchedulingPolicySnapshotName == policySnapshot &&
		spec.ClusterDecision.ClusterName == decision.ClusterName && spec.ClusterDecision.Selected == decision.Selected
}

// unschedule marks the binding of a cluster that is no longer picked, and nothing more: what the cluster has is taken away by whoever rolls out.
func unschedule(binding v1beta1.BindingObject, policySnapshot string) {
	spec := binding.BindingSpec().DeepCopy()
	if spec.State != v1beta1.BindingStateUnscheduled {
		annotations := binding.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[wellknown.PreviousBindingStateAnnotation] = string(spec.State)
		binding.SetAnnotations(annotations)
		spec.State = v1beta1.BindingStateUnscheduled
	}
	spec.SchedulingPolicySnapshotName = policySnapshot
	become(binding, spec)
}

// plan is what must be written so that the bindings say what was decided.
type plan struct {
	create, update, remove []v1beta1.BindingObject
	// unschedule are those of update that have the cluster let go of.
	unschedule []v1beta1.BindingObject
	// release are bindings being deleted that wait for the scheduler to let go.
	release []v1beta1.BindingObject
	// waiting says that a picked cluster gets its binding only once an old one is gone, whose end will be an event.
	waiting bool
}

func planBindings(bindings fleet.Kind[v1beta1.BindingObject], placement v1beta1.PlacementObject, existing []v1beta1.BindingObject, policySnapshot string, selected []v1beta1.ClusterDecision) plan {
	var p plan
	decided := make(map[string]v1beta1.ClusterDecision, len(selected))
	for _, d := range selected {
		decided[d.ClusterName] = d
	}
	bound, leaving := sets.New[string](), sets.New[string]()
	for _, binding := range existing {
		if !binding.GetDeletionTimestamp().IsZero() {
			leaving.Insert(binding.BindingSpec().TargetCluster)
			if reconcile.HasFinalizer(binding, wellknown.SchedulerBindingFinalizer) {
				p.release = append(p.release, binding)
			}
			continue
		}
		cluster := binding.BindingSpec().TargetCluster
		decision, wanted := decided[cluster]
		if wanted && bound.Has(cluster) {
			wanted = false
		}
		if wanted && isScheduled(binding, policySnapshot, decision) {
			bound.Insert(cluster)
			continue
		}
		changed := fleet.Copy(binding)
		switch {
		case wanted:
			bound.Insert(cluster)
			schedule(changed, policySnapshot, decision)
		case neverRolledOut(binding):
			p.remove = append(p.remove, binding)
			continue
		default:
			unschedule(changed, policySnapshot)
			if binding.BindingSpec().State != v1beta1.BindingStateUnscheduled {
				p.unschedule = append(p.unschedule, changed)
			}
		}
		if !apiequality.Semantic.DeepEqual(binding, changed) {
			p.update = append(p.update, changed)
		}
	}
	for _, decision := range selected {
		if bound.Has(decision.ClusterName) {
			continue
		}
		if leaving.Has(decision.ClusterName) {
			p.waiting = true
			continue
		}
		binding := bindings.New(types.NamespacedName{Namespace: placement.GetNamespace(), Name: bindingName(placement, decision.ClusterName)})
		binding.SetLabels(map[string]string{wellknown.ParentPlacementLabel: placement.GetName()})
		binding.SetFinalizers([]string{wellknown.SchedulerBindingFinalizer})
		*binding.BindingSpec() = v1beta1.ResourceBindingSpec{
			State:                        v1beta1.BindingStateScheduled,
			SchedulingPolicySnapshotName: policySnapshot,
			TargetCluster:                decision.ClusterName,
			ClusterDecision:              decision,
		}
		p.create = append(p.create, binding)
	}
	return p
}

// neverRolledOut reports whether nothing was put on the cluster by this binding, so that there is nothing to take away in stages. A binding
// that names a cluster keeps it, so that one without never had any.
func neverRolledOut(binding v1beta1.BindingObject) bool {
	spec := binding.BindingSpec()
	return spec.TargetCluster == "" || spec.State == v1beta1.BindingStateScheduled && spec.ResourceSnapshotName == ""
}

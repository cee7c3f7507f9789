// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// adapt changes what Stagegate means otherwise than KubeFleet, which is little, and notes what an administrator should know. Everything else
// stays as it was read.
func (s *source) adapt(kubeconfigs map[string]bool) {
	runs := map[types.NamespacedName]v1beta1.UpdateRunObject{}
	for _, i := range s.objects {
		if run, ok := i.object.(v1beta1.UpdateRunObject); ok {
			runs[types.NamespacedName{Namespace: run.GetNamespace(), Name: run.GetName()}] = run
		}
	}
	for _, i := range s.objects {
		if !i.object.GetDeletionTimestamp().IsZero() {
			s.note("%s is being deleted: Stagegate goes on with that", i)
		}
		switch o := i.object.(type) {
		case v1beta1.ApprovalRequestObject:
			s.adaptRequest(i, o, runs[types.NamespacedName{Namespace: o.GetNamespace(), Name: o.RequestSpec().TargetUpdateRun}])
		case *clusterv1beta1.MemberCluster:
			s.adaptMember(i, o, kubeconfigs)
		}
	}
}

func (s *source) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// adaptRequest makes a request that a run waits for the run's own, since KubeFleet's have no owner and Stagegate takes approvals of no others. An
// approval that the run has not acted on yet is taken off: nobody has recorded whose it is, so that it opens no gate, and must not look as if
// it did.
func (s *source) adaptRequest(i imported, request v1beta1.ApprovalRequestObject, run v1beta1.UpdateRunObject) {
	if run == nil {
		return
	}
	task := taskOf(run, request.GetName())
	if task == nil {
		return
	}
	if len(request.GetOwnerReferences()) == 0 && !request.GetCreationTimestamp().Time.Before(run.GetCreationTimestamp().Time) {
		kind := v1beta1.SchemeGroupVersion.WithKind("ClusterStagedUpdateRun")
		if run.GetNamespace() != "" {
			kind.Kind = "StagedUpdateRun"
		}
		request.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(run, kind)})
	}
	status := request.RequestStatus()
	if meta.IsStatusConditionTrue(task.Conditions, v1beta1.TaskApprovalRequestApproved) || len(status.Decisions) > 0 {
		return
	}
	if meta.FindStatusCondition(status.Conditions, v1beta1.RequestApproved) != nil {
		meta.RemoveStatusCondition(&status.Conditions, v1beta1.RequestApproved)
		if len(status.Conditions) == 0 {
			// As it is read back.
			status.Conditions = nil
		}
		s.note("%s was approved, and its run has not acted on it: nobody has recorded who did, so approve it again", i)
	}
}

// taskOf is the task of a run that waits for a request of the name, nil where there is none.
func taskOf(run v1beta1.UpdateRunObject, request string) *v1beta1.StageTaskStatus {
	status := run.RunStatus()
	for i := range status.StagesStatus {
		stage := &status.StagesStatus[i]
		for _, tasks := range [][]v1beta1.StageTaskStatus{stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus} {
			for j := range tasks {
				if tasks[j].ApprovalRequestName == request {
					return &tasks[j]
				}
			}
		}
	}
	return nil
}

// adaptMember says of a member that has no kubeconfig on the hub that an agent serves it, as one does.
func (s *source) adaptMember(i imported, member *clusterv1beta1.MemberCluster, kubeconfigs map[string]bool) {
	secret := wellknown.MemberSecretName(member.Name)
	if kubeconfigs[secret] || wellknown.IsPulled(member.Annotations) {
		return
	}
	if member.Annotations == nil {
		member.Annotations = map[string]string{}
	}
	member.Annotations[wellknown.DeliveryAnnotation] = wellknown.DeliveryPull
	s.note("%s has no Secret %s/%s with a kubeconfig, so that an agent serves it (%s=%s)", i, wellknown.SystemNamespace, secret,
		wellknown.DeliveryAnnotation, wellknown.DeliveryPull)
}

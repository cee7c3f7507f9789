// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

func importedAs(group, plural string, object store.Object) imported {
	return imported{resource: resources()[schema.GroupResource{Group: group, Resource: plural}], object: object}
}

var (
	runCreated = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	approved   = metav1.Condition{Type: v1beta1.RequestApproved, Status: metav1.ConditionTrue, Reason: "LGTM"}
)

// waiting are a run whose stage has tasks of two requests, the one before it and the other after it, and the requests, in a namespace or in none.
func waiting(namespace string) (run v1beta1.UpdateRunObject, before, after v1beta1.ApprovalRequestObject, all []imported) {
	runs, requests := "clusterstagedupdateruns", "clusterapprovalrequests"
	if namespace == "" {
		run, before, after = &v1beta1.ClusterStagedUpdateRun{}, &v1beta1.ClusterApprovalRequest{}, &v1beta1.ClusterApprovalRequest{}
	} else {
		runs, requests = "stagedupdateruns", "approvalrequests"
		run, before, after = &v1beta1.StagedUpdateRun{}, &v1beta1.ApprovalRequest{}, &v1beta1.ApprovalRequest{}
	}
	run.SetName("run")
	run.SetUID("run-uid")
	for name, request := range map[string]v1beta1.ApprovalRequestObject{"before": before, "after": after} {
		request.SetName(name)
		request.RequestSpec().TargetUpdateRun = "run"
	}
	run.RunStatus().StagesStatus = []v1beta1.StageUpdatingStatus{{
		StageName:             "canary",
		BeforeStageTaskStatus: []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "before"}},
		AfterStageTaskStatus:  []v1beta1.StageTaskStatus{{Type: v1beta1.StageTaskTypeApproval, ApprovalRequestName: "after"}},
	}}
	for _, object := range []store.Object{run, before, after} {
		object.SetNamespace(namespace)
		object.SetCreationTimestamp(runCreated)
	}
	return run, before, after, []imported{
		importedAs(v1beta1.GroupName, requests, before), importedAs(v1beta1.GroupName, requests, after), importedAs(v1beta1.GroupName, runs, run),
	}
}

func TestAnApprovalThatItsRunHasNotSeenOpensNothing(t *testing.T) {
	for _, namespace := range []string{"", "team"} {
		for name, tc := range map[string]struct {
			change func(run v1beta1.UpdateRunObject, request v1beta1.ApprovalRequestObject)
			// owned, stays and noted are whether the run owns the request then, the approval is left, and the administrator is told.
			owned, stays, noted bool
		}{
			"the run has not seen it": {owned: true, noted: true},
			"the run has acted on it": {change: func(run v1beta1.UpdateRunObject, _ v1beta1.ApprovalRequestObject) {
				task := &run.RunStatus().StagesStatus[0].BeforeStageTaskStatus[0]
				task.Conditions = []metav1.Condition{{Type: v1beta1.TaskApprovalRequestApproved, Status: metav1.ConditionTrue}}
			}, owned: true, stays: true},
			"it says who decided": {change: func(_ v1beta1.UpdateRunObject, request v1beta1.ApprovalRequestObject) {
				request.RequestStatus().Decisions = []v1beta1.ApprovalDecision{{}}
			}, owned: true, stays: true},
			"somebody owns it": {change: func(_ v1beta1.UpdateRunObject, request v1beta1.ApprovalRequestObject) {
				request.SetOwnerReferences([]metav1.OwnerReference{{UID: "somebody"}})
			}, noted: true},
			"it is older than the run, so that it was asked by another of that name": {change: func(_ v1beta1.UpdateRunObject, request v1beta1.ApprovalRequestObject) {
				request.SetCreationTimestamp(metav1.NewTime(runCreated.Add(-time.Second)))
			}, noted: true},
			"the run waits for another": {change: func(run v1beta1.UpdateRunObject, _ v1beta1.ApprovalRequestObject) {
				run.RunStatus().StagesStatus[0].BeforeStageTaskStatus[0].ApprovalRequestName = "other"
			}, stays: true},
			"its run is gone": {change: func(_ v1beta1.UpdateRunObject, request v1beta1.ApprovalRequestObject) {
				request.RequestSpec().TargetUpdateRun = "gone"
			}, stays: true},
		} {
			t.Run(namespace+" "+name, func(t *testing.T) {
				run, request, after, all := waiting(namespace)
				request.RequestStatus().Conditions = []metav1.Condition{approved}
				if tc.change != nil {
					tc.change(run, request)
				}
				s := &source{objects: all}
				s.adapt(nil)
				owner := metav1.GetControllerOf(request)
				if owned := owner != nil && owner.UID == "run-uid" && strings.HasSuffix(owner.Kind, "StagedUpdateRun") && (owner.Kind == "StagedUpdateRun") == (namespace != ""); owned != tc.owned {
					t.Errorf("it is owned by %v", request.GetOwnerReferences())
				}
				if stays := meta.IsStatusConditionTrue(request.RequestStatus().Conditions, v1beta1.RequestApproved); stays != tc.stays {
					t.Errorf("it looks approved: %t, want %t", stays, tc.stays)
				}
				notes := strings.Join(s.notes, "\n")
				if noted := strings.Contains(notes, "before was approved, and its run has not acted on it"); noted != tc.noted {
					t.Errorf("it notes %q", notes)
				}
				if owner := metav1.GetControllerOf(after); owner == nil || owner.UID != "run-uid" {
					t.Errorf("the request after the stage is owned by %v", after.GetOwnerReferences())
				}
			})
		}
	}
}

func TestAMemberWithoutAKubeconfigIsPulled(t *testing.T) {
	for name, tc := range map[string]struct {
		annotations map[string]string
		secrets     map[string]bool
		pulled      bool
		noted       bool
	}{
		"no Secret":                   {pulled: true, noted: true},
		"the Secret of another":       {secrets: map[string]bool{"member-other": true}, pulled: true, noted: true},
		"a Secret":                    {secrets: map[string]bool{"member-eu": true}},
		"no Secret, and it is pulled": {annotations: map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull}, pulled: true},
		"a Secret, and it is pulled": {
			annotations: map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull}, secrets: map[string]bool{"member-eu": true}, pulled: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			member := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", Annotations: tc.annotations}}
			s := &source{objects: []imported{importedAs(clusterv1beta1.GroupName, "memberclusters", member)}}
			s.adapt(tc.secrets)
			if got := wellknown.IsPulled(member.Annotations); got != tc.pulled {
				t.Errorf("it is pulled: %t", got)
			}
			if got := len(s.notes) > 0 && strings.Contains(s.notes[0], "memberclusters.cluster.kubernetes-fleet.io eu has no Secret fleet-system/member-eu"); got != tc.noted {
				t.Errorf("it notes %q", s.notes)
			}
		})
	}
}

func TestADeletionIsNoted(t *testing.T) {
	now := metav1.Now()
	member := &clusterv1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "eu", DeletionTimestamp: &now, Finalizers: []string{"a/b"}}}
	s := &source{objects: []imported{importedAs(clusterv1beta1.GroupName, "memberclusters", member)}}
	s.adapt(map[string]bool{"member-eu": true})
	if len(s.notes) != 1 || !strings.Contains(s.notes[0], "eu is being deleted: Stagegate goes on with that") || member.DeletionTimestamp != &now {
		t.Errorf("it notes %q", s.notes)
	}
}

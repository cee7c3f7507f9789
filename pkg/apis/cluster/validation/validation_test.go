// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func expect(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors, -want +got:\n%s", diff)
	}
}

func TestIdentity(t *testing.T) {
	for _, tc := range []struct {
		name     string
		identity rbacv1.Subject
		want     []string
	}{
		{"a user", rbacv1.Subject{Kind: "User", Name: "agent"}, nil},
		{"a group", rbacv1.Subject{Kind: "Group", Name: "agents"}, nil},
		{"a service account", rbacv1.Subject{Kind: "ServiceAccount", Name: "agent", Namespace: "fleet-system"}, nil},
		{"nobody is for the type to refuse", rbacv1.Subject{}, nil},
		{"a service account has a namespace", rbacv1.Subject{Kind: "ServiceAccount", Name: "agent"}, []string{
			"spec.identity.namespace: Required value: a ServiceAccount is in a namespace",
		}},
		{"a robot", rbacv1.Subject{Kind: "Robot", Name: "agent"}, []string{
			`spec.identity.kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			object := &v1beta1.MemberCluster{Spec: v1beta1.MemberClusterSpec{Identity: tc.identity}}
			expect(t, ValidateMemberCluster(object), tc.want...)
			other := &v1beta1.MemberCluster{Spec: v1beta1.MemberClusterSpec{Identity: rbacv1.Subject{Kind: "User", Name: "other"}}}
			expect(t, ValidateMemberClusterUpdate(object, other), tc.want...)
			expect(t, ValidateMemberClusterUpdate(object, object))
		})
	}
}

func TestReportedConditionsAreComplete(t *testing.T) {
	broken := []metav1.Condition{{Type: "Joined", Status: metav1.ConditionTrue, LastTransitionTime: metav1.Unix(1, 0)}}
	agents := []v1beta1.AgentStatus{{Type: "MemberAgent", Conditions: broken}}
	want := []string{
		"status.conditions[0].reason: Required value",
		"status.agentStatus[0].conditions[0].reason: Required value",
	}
	member := &v1beta1.MemberCluster{Status: v1beta1.MemberClusterStatus{Conditions: broken, AgentStatus: agents}}
	expect(t, ValidateMemberClusterStatusUpdate(member, &v1beta1.MemberCluster{}), want...)
	internal := &v1beta1.InternalMemberCluster{Status: v1beta1.InternalMemberClusterStatus{Conditions: broken, AgentStatus: agents}}
	expect(t, ValidateInternalMemberClusterStatusUpdate(internal, &v1beta1.InternalMemberCluster{}), want...)
}

func TestDelivery(t *testing.T) {
	of := func(annotations map[string]string) *v1beta1.MemberCluster {
		return &v1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
	}
	for _, tc := range []struct {
		name        string
		annotations map[string]string
		want        []string
	}{
		{"none", nil, nil},
		{"pull", map[string]string{wellknown.DeliveryAnnotation: "Pull"}, nil},
		{"push", map[string]string{wellknown.DeliveryAnnotation: "Push"}, nil},
		{"a misspelled one", map[string]string{wellknown.DeliveryAnnotation: "pull"}, []string{
			`metadata.annotations[kubernetes-fleet.io/delivery]: Unsupported value: "pull": supported values: "Pull", "Push"`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			expect(t, ValidateMemberCluster(of(tc.annotations)), tc.want...)
			expect(t, ValidateMemberClusterUpdate(of(tc.annotations), of(nil)), tc.want...)
			expect(t, ValidateMemberClusterUpdate(of(tc.annotations), of(tc.annotations)))
		})
	}
}

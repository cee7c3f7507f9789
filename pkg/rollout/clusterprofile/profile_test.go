// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterprofile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

var start = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestHealth(t *testing.T) {
	agent := func(heartbeat time.Duration, status ...metav1.ConditionStatus) []v1beta1.AgentStatus {
		a := v1beta1.AgentStatus{Type: v1beta1.MemberAgent, LastReceivedHeartbeat: metav1.NewTime(start.Add(-heartbeat))}
		for _, s := range status {
			a.Conditions = append(a.Conditions, metav1.Condition{Type: v1beta1.AgentHealthy, Status: s})
		}
		return []v1beta1.AgentStatus{a}
	}
	for _, tc := range []struct {
		name    string
		period  int32
		agents  []v1beta1.AgentStatus
		status  metav1.ConditionStatus
		reason  string
		message string
		changes time.Duration
	}{
		{"no agent", 60, []v1beta1.AgentStatus{{Type: v1beta1.ServiceExportImportAgent}}, metav1.ConditionUnknown, "MemberAgentReportedNoStatus",
			"The member has not reported its status yet", 0},
		{"no health", 60, agent(0), metav1.ConditionUnknown, "MemberAgentReportedNoHealthInfo",
			"The member has reported its status, but the health condition is missing", 0},
		{"lost", 60, agent(3*time.Minute, metav1.ConditionTrue), metav1.ConditionFalse, "MemberAgentHeartbeatLost",
			"The member has lost its heartbeat connection to the hub", 0},
		{"lost, by a long period", 600, agent(29*time.Minute, metav1.ConditionTrue), metav1.ConditionTrue, "MemberClusterAPIServerHealthy",
			"The member reports that the API server is healthy", time.Minute},
		{"a short period", 1, agent(time.Minute, metav1.ConditionTrue), metav1.ConditionTrue, "MemberClusterAPIServerHealthy",
			"The member reports that the API server is healthy", 2 * time.Minute},
		{"unknown", 60, agent(0, metav1.ConditionUnknown), metav1.ConditionUnknown, "MemberAgentReportedNoHealthInfo",
			"The result of the member's health check is out of date or unknown", 3 * time.Minute},
		{"unhealthy", 60, agent(0, metav1.ConditionFalse), metav1.ConditionFalse, "MemberClusterAPIServerUnhealthy",
			"The member reports that the API server is unhealthy", 3 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cluster := &v1beta1.MemberCluster{Spec: v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: tc.period}, Status: v1beta1.MemberClusterStatus{AgentStatus: tc.agents}}
			got, changes := health(cluster, start)
			want := metav1.Condition{Type: "ControlPlaneHealthy", Status: tc.status, Reason: tc.reason, Message: tc.message}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
			if tc.changes == 0 != changes.IsZero() || tc.changes != 0 && changes.Sub(start) != tc.changes {
				t.Errorf("changes at %s, want in %s", changes, tc.changes)
			}
		})
	}
}

func TestWhichDefinitionIsServed(t *testing.T) {
	definition := func(established, version string, served bool) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"spec":   map[string]any{"versions": []any{map[string]any{"name": "v1beta1", "served": true}, map[string]any{"name": version, "served": served}}},
			"status": map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": established}}},
		}}
	}
	for _, tc := range []struct {
		name       string
		definition *unstructured.Unstructured
		want       bool
	}{
		{"none", nil, false},
		{"an empty one", &unstructured.Unstructured{Object: map[string]any{}}, false},
		{"established", definition("True", "v1alpha1", true), true},
		{"not yet established", definition("False", "v1alpha1", true), false},
		{"without the version", definition("True", "v1", true), false},
		{"with the version off", definition("True", "v1alpha1", false), false},
	} {
		if got := isServed(tc.definition); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}

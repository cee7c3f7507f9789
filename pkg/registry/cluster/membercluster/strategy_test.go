// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membercluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

const (
	headers = "NAME | JOINED | AGE | MEMBER-AGENT-LAST-SEEN | NODE-COUNT | AVAILABLE-CPU | AVAILABLE-MEMORY"
	wide    = headers + " | ALLOCATABLE-CPU | ALLOCATABLE-MEMORY | HEALTHY | TAINTS | DELIVERY | AGENT-VERSION | REASON"
)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(-d - 5*time.Second)) }

func TestMemberClusterTable(t *testing.T) {
	created := metav1.ObjectMeta{Name: "member1", CreationTimestamp: ago(90 * time.Minute)}
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	tests := []struct {
		name    string
		object  *v1beta1.MemberCluster
		row     string
		wideRow string
	}{
		{
			name:    "not heard of yet",
			object:  &v1beta1.MemberCluster{ObjectMeta: created},
			row:     "member1 |  | 90m |  |  |  | ",
			wideRow: "member1 |  | 90m |  |  |  |  |  |  |  |  | Push |  | ",
		},
		{
			name: "joined",
			object: &v1beta1.MemberCluster{ObjectMeta: created, Spec: v1beta1.MemberClusterSpec{Taints: []v1beta1.Taint{
				{Key: "maintenance", Value: "yes", Effect: "NoSchedule"}, {Key: "gpu", Effect: "NoSchedule"},
			}}, Status: v1beta1.MemberClusterStatus{
				Conditions:    []metav1.Condition{{Type: "Joined", Status: metav1.ConditionTrue}},
				Properties:    map[v1beta1.PropertyName]v1beta1.PropertyValue{"kubernetes-fleet.io/node-count": {Value: "3"}},
				ResourceUsage: v1beta1.ResourceUsage{Available: list("1500m", "2Gi"), Allocatable: list("4", "8Gi")},
				AgentStatus: []v1beta1.AgentStatus{
					{Type: "ServiceExportImportAgent", LastReceivedHeartbeat: ago(time.Hour)},
					{Type: "MemberAgent", LastReceivedHeartbeat: ago(20 * time.Minute)},
				},
			}},
			row:     "member1 | True | 90m | 20m | 3 | 1500m | 2Gi",
			wideRow: "member1 | True | 90m | 20m | 3 | 1500m | 2Gi | 4 | 8Gi |  | maintenance=yes:NoSchedule,gpu:NoSchedule | Push |  | ",
		},
		{
			name: "not to be reached",
			object: &v1beta1.MemberCluster{ObjectMeta: created, Status: v1beta1.MemberClusterStatus{Conditions: []metav1.Condition{
				{Type: "Joined", Status: metav1.ConditionTrue, Reason: "MemberClusterJoined"},
				{Type: "Healthy", Status: metav1.ConditionFalse, Reason: "Unreachable"},
			}}},
			row:     "member1 | True | 90m |  |  |  | ",
			wideRow: "member1 | True | 90m |  |  |  |  |  |  | False |  | Push |  | Unreachable",
		},
		{
			name: "served by an agent",
			object: &v1beta1.MemberCluster{
				ObjectMeta: metav1.ObjectMeta{
					Name: "member1", CreationTimestamp: created.CreationTimestamp, Annotations: map[string]string{wellknown.DeliveryAnnotation: wellknown.DeliveryPull},
				},
				Status: v1beta1.MemberClusterStatus{Properties: map[v1beta1.PropertyName]v1beta1.PropertyValue{wellknown.AgentVersionProperty: {Value: "v1.2.3"}}},
			},
			row:     "member1 |  | 90m |  |  |  | ",
			wideRow: "member1 |  | 90m |  |  |  |  |  |  |  |  | Pull | v1.2.3 | ",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := Resources()[0]
			if h, row := storetest.Print(t, r, test.object, false); h != headers || row != test.row {
				t.Errorf("prints\n%s\n%s\nwant\n%s\n%s", h, row, headers, test.row)
			}
			if h, row := storetest.Print(t, r, test.object, true); h != wide || row != test.wideRow {
				t.Errorf("-o wide prints\n%s\n%s\nwant\n%s\n%s", h, row, wide, test.wideRow)
			}
		})
	}
}

func TestInternalMemberClusterTable(t *testing.T) {
	object := &v1beta1.InternalMemberCluster{ObjectMeta: metav1.ObjectMeta{Name: "member1", CreationTimestamp: ago(90 * time.Minute)}}
	if h, row := storetest.Print(t, Resources()[1], object, true); h != "NAME | AGE" || row != "member1 | 90m" {
		t.Errorf("prints\n%s\n%s", h, row)
	}
}

func TestAMemberIsCalledWhatItsNamespaceCanBeNamedAfter(t *testing.T) {
	const why = "fleet-member-<name> is the name of the member's namespace on the hub"
	for name, want := range map[string][]string{
		"paris":                     nil,
		strings.Repeat("a", 50):     nil,
		strings.Repeat("a", 51):     {"must have at most 50 characters: " + why},
		"paris.example":             {"must have no dot: " + why},
		strings.Repeat("a.b", 51/3): {"must have at most 50 characters: " + why, "must have no dot: " + why},
		"fleet-member-paris":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			strategy := Resources()[0].Strategy
			object := &v1beta1.MemberCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
			var got []string
			for _, err := range strategy.Validate(t.Context(), object) {
				if err.Field == "metadata.name" {
					got = append(got, err.Detail)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if fits := len(validation.IsDNS1123Label(wellknown.MemberNamespace(name))) == 0; fits != (want == nil) {
				t.Errorf("the namespace can be called so: %v", fits)
			}
			// One that is there can be edited, and its finalizers taken away.
			for _, err := range strategy.ValidateUpdate(t.Context(), object, object) {
				if err.Field == "metadata.name" {
					t.Errorf("an update is refused: %v", err)
				}
			}
		})
	}
}

func TestStatusUpdateChangesNothingElse(t *testing.T) {
	stored := &v1beta1.MemberCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "member1", Generation: 2, Labels: map[string]string{"env": "prod"}},
		Spec:       v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: 60},
	}
	written := stored.DeepCopy()
	written.Labels = nil
	written.Spec.HeartbeatPeriodSeconds = 1
	written.Status.Namespaces = map[string]string{"team": ""}

	Resources()[0].StatusStrategy.PrepareForUpdate(t.Context(), written, stored)

	want := stored.DeepCopy()
	want.Status.Namespaces = map[string]string{"team": ""}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheStatusOfAnInternalMemberClusterIsBoundedForAllButTheServer(t *testing.T) {
	strategy := Resources()[1].StatusStrategy
	old := &v1beta1.InternalMemberCluster{}
	filled := old.DeepCopy()
	filled.Status.Namespaces = map[string]string{"n": strings.Repeat("w", 1<<20)}
	for name, tc := range map[string]struct {
		writer  user.Info
		refused bool
	}{
		"an agent":   {&user.DefaultInfo{Name: "system:serviceaccount:fleet-member-member1:agent"}, true},
		"the server": {registry.Controllers(), false},
	} {
		t.Run(name, func(t *testing.T) {
			errs := strategy.ValidateUpdate(genericapirequest.WithUser(t.Context(), tc.writer), filled, old)
			if refused := len(errs) > 0; refused != tc.refused {
				t.Errorf("refused: %v, want %t", errs.ToAggregate(), tc.refused)
			}
		})
	}
}

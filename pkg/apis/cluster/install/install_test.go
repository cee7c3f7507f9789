// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	clusterv1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1"
	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	Install(scheme)
	return scheme
}

func TestV1IsPreferred(t *testing.T) {
	want := []schema.GroupVersion{clusterv1.SchemeGroupVersion, v1beta1.SchemeGroupVersion}
	if diff := cmp.Diff(want, newScheme().PrioritizedVersionsForGroup(v1beta1.GroupName)); diff != "" {
		t.Errorf("versions, -want +got:\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	scheme := newScheme()
	for _, tc := range []struct {
		name      string
		got, want runtime.Object
	}{
		{
			name: "a MemberCluster beats every minute",
			got:  &v1beta1.MemberCluster{},
			want: &v1beta1.MemberCluster{Spec: v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: 60}},
		},
		{
			name: "a period that is set stays",
			got:  &v1beta1.MemberCluster{Spec: v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: 5}},
			want: &v1beta1.MemberCluster{Spec: v1beta1.MemberClusterSpec{HeartbeatPeriodSeconds: 5}},
		},
		{
			name: "deletion is validated strictly where deleteOptions is given",
			got:  &clusterv1.MemberCluster{Spec: clusterv1.MemberClusterSpec{DeleteOptions: &clusterv1.DeleteOptions{}}},
			want: &clusterv1.MemberCluster{Spec: clusterv1.MemberClusterSpec{
				HeartbeatPeriodSeconds: 60,
				DeleteOptions:          &clusterv1.DeleteOptions{ValidationMode: clusterv1.DeleteValidationModeStrict},
			}},
		},
		{
			name: "an InternalMemberCluster beats every minute",
			got:  &clusterv1.InternalMemberCluster{},
			want: &clusterv1.InternalMemberCluster{Spec: clusterv1.InternalMemberClusterSpec{HeartbeatPeriodSeconds: 60}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scheme.Default(tc.got)
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("defaulted object, -want +got:\n%s", diff)
			}
		})
	}
}

func TestValidation(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*v1beta1.MemberCluster)
		want []string
	}{
		{"a complete cluster is accepted", func(*v1beta1.MemberCluster) {}, nil},
		{"identity needs kind and name", func(c *v1beta1.MemberCluster) { c.Spec.Identity = rbacv1.Subject{} }, []string{
			`spec.identity.kind: Required value`,
			`spec.identity.name: Required value`,
		}},
		{"a heartbeat takes a second at least", func(c *v1beta1.MemberCluster) { c.Spec.HeartbeatPeriodSeconds = -1 }, []string{
			`spec.heartbeatPeriodSeconds: Invalid value: -1: must be greater than or equal to 1`,
		}},
		{"a heartbeat takes ten minutes at most", func(c *v1beta1.MemberCluster) { c.Spec.HeartbeatPeriodSeconds = 601 }, []string{
			`spec.heartbeatPeriodSeconds: Invalid value: 601: must be less than or equal to 600`,
		}},
		{"a taint keeps new placements away, nothing else", func(c *v1beta1.MemberCluster) { c.Spec.Taints[0].Effect = "NoExecute" }, []string{
			`spec.taints[0].effect: Unsupported value: "NoExecute": supported values: "NoSchedule"`,
		}},
		{"a taint needs a key", func(c *v1beta1.MemberCluster) { c.Spec.Taints[0].Key = "" }, []string{
			`spec.taints[0].key: Required value`,
		}},
		{"a taint's value is a label value", func(c *v1beta1.MemberCluster) { c.Spec.Taints[0].Value = "not a value" }, []string{
			`spec.taints[0].value: Invalid value: "not a value"`,
		}},
		{"taints are unique", func(c *v1beta1.MemberCluster) { c.Spec.Taints = append(c.Spec.Taints, c.Spec.Taints[0]) }, []string{
			`spec.taints[1]: Duplicate value`,
		}},
		{"deletion is validated strictly or not at all", func(c *v1beta1.MemberCluster) { c.Spec.DeleteOptions.ValidationMode = "Maybe" }, []string{
			`spec.deleteOptions.validationMode: Unsupported value: "Maybe": supported values: "Skip", "Strict"`,
		}},
		{"a condition type occurs once", func(c *v1beta1.MemberCluster) {
			c.Status.Conditions = []metav1.Condition{{Type: "Joined"}, {Type: "Joined"}}
		}, []string{
			`status.conditions[1]: Duplicate value`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			object := &v1beta1.MemberCluster{
				ObjectMeta: metav1.ObjectMeta{Name: "aks-member-1"},
				Spec: v1beta1.MemberClusterSpec{
					Identity:               rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: "agent", Namespace: "fleet-system"},
					HeartbeatPeriodSeconds: 60,
					Taints:                 []v1beta1.Taint{{Key: "example.com/broken", Value: "yes", Effect: v1beta1.TaintEffectNoSchedule}},
					DeleteOptions:          &v1beta1.DeleteOptions{ValidationMode: v1beta1.DeleteValidationModeStrict},
				},
			}
			tc.edit(object)
			expectErrors(t, object, tc.want)
		})
	}
	t.Run("a member is asked to join or to leave", func(t *testing.T) {
		expectErrors(t, &clusterv1.InternalMemberCluster{
			ObjectMeta: metav1.ObjectMeta{Name: "aks-member-1", Namespace: "fleet-member-aks-member-1"},
			Spec:       clusterv1.InternalMemberClusterSpec{State: "Stay", HeartbeatPeriodSeconds: 60},
		}, []string{`spec.state: Unsupported value: "Stay": supported values: "Join", "Leave"`})
	})
}

// expectErrors wants exactly one enforced error for each prefix, in the order of the prefixes, and none besides, on the
// object's own path and on its status alike. Alpha rules are those of object metadata, which nothing enforces.
func expectErrors(t *testing.T, object runtime.Object, prefixes []string) {
	t.Helper()
	scheme := newScheme()
	for _, subresources := range [][]string{nil, {"status"}} {
		var got []string
		for _, err := range scheme.Validate(context.Background(), nil, object, subresources...) {
			if !err.IsAlpha() {
				got = append(got, err.Error())
			}
		}
		ok := len(got) == len(prefixes)
		for i := 0; ok && i < len(got); i++ {
			ok = strings.HasPrefix(got[i], prefixes[i])
		}
		if !ok {
			t.Errorf("errors on %q: got\n%s\nwant\n%s", subresources, strings.Join(got, "\n"), strings.Join(prefixes, "\n"))
		}
	}
}

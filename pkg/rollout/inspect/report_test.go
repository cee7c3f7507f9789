// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
)

func TestAReportThatIsNoNewsWaitsForAHeartbeat(t *testing.T) {
	before := &Report{
		nodes: &v1beta1.ResourceUsage{Allocatable: amounts{8000, 8 << 30}.list()}, available: amounts{6000, 6 << 30}.list(),
		namespaces: map[string]string{"web": ""}, conditions: []metav1.Condition{{Type: v1beta1.ConditionTypeClusterPropertyCollectionSucceeded, Status: metav1.ConditionTrue}},
	}
	for _, tc := range []struct {
		name   string
		change func(r *Report)
		same   bool
	}{
		{"another time", func(r *Report) { r.at = time.Unix(1, 0) }, true},
		{"a little more", func(r *Report) { r.available = amounts{6001, 6 << 30}.list() }, true},
		{"much more", func(r *Report) { r.available = amounts{7000, 6 << 30}.list() }, false},
		{"another node", func(r *Report) { r.nodes = &v1beta1.ResourceUsage{Allocatable: amounts{9000, 8 << 30}.list()} }, false},
		{"another namespace", func(r *Report) { r.namespaces = map[string]string{"web": "web-work"} }, false},
		{"a failure", func(r *Report) {
			r.conditions = []metav1.Condition{{Type: v1beta1.ConditionTypeClusterPropertyCollectionSucceeded, Status: metav1.ConditionFalse}}
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			next := *before
			tc.change(&next)
			if got := before.same(&next); got != tc.same {
				t.Errorf("got %t", got)
			}
		})
	}
	if (*Report)(nil).same(before) {
		t.Error("the first report is no news")
	}
}

func TestALargeMemberIsReadLessOften(t *testing.T) {
	for _, tc := range []struct{ period, took, want time.Duration }{
		{time.Minute, 0, 5 * time.Minute},
		{time.Second, 100 * time.Millisecond, 5 * time.Second},
		{time.Second, 3 * time.Second, time.Minute},
		{10 * time.Minute, time.Second, 10 * time.Minute},
		{time.Minute, time.Minute, 20 * time.Minute},
		{time.Minute, 2 * time.Minute, 30 * time.Minute},
	} {
		if got := restAfter(tc.period, tc.took); got != tc.want {
			t.Errorf("with heartbeats every %s, after %s: %s, want %s", tc.period, tc.took, got, tc.want)
		}
	}
}

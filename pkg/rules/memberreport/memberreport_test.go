// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memberreport

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func expect(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func text(n int) string { return strings.Repeat("x", n) }

func conditions(n, message int) []metav1.Condition {
	all := make([]metav1.Condition, n)
	for i := range all {
		all[i] = metav1.Condition{Type: fmt.Sprint("C", i), Reason: "R", Message: text(message)}
	}
	return all
}

func details(n, path, value int) []v1beta1.PatchDetail {
	all := make([]v1beta1.PatchDetail, n)
	for i := range all {
		all[i] = v1beta1.PatchDetail{Path: text(path), ValueInMember: text(value), ValueInHub: text(value)}
	}
	return all
}

func work(manifests int, status ...v1beta1.ManifestCondition) *v1beta1.Work {
	w := &v1beta1.Work{Status: v1beta1.WorkStatus{ManifestConditions: status}}
	w.Spec.Workload.Manifests = make([]v1beta1.Manifest, manifests)
	return w
}

func times(n int, m v1beta1.ManifestCondition) []v1beta1.ManifestCondition {
	all := make([]v1beta1.ManifestCondition, n)
	for i := range all {
		all[i] = m
	}
	return all
}

// Each bound is just met by one status and exceeded by another, which stays where it is stored, and does not grow.
func TestWhatAMemberReportsOfAWorkIsBounded(t *testing.T) {
	drifts := func(d []v1beta1.PatchDetail) v1beta1.ManifestCondition {
		return v1beta1.ManifestCondition{DriftDetails: &v1beta1.DriftDetails{ObservedDrifts: d}}
	}
	diffs := func(d []v1beta1.PatchDetail) v1beta1.ManifestCondition {
		return v1beta1.ManifestCondition{DiffDetails: &v1beta1.DiffDetails{ObservedDiffs: d}}
	}
	reported := func(n int) v1beta1.ManifestCondition {
		m := v1beta1.ManifestCondition{BackReportedStatus: &v1beta1.BackReportedStatus{}}
		m.BackReportedStatus.ObservedStatus.Raw = []byte(text(n))
		return m
	}
	of := func(n, message int) *v1beta1.Work {
		w := work(0)
		w.Status.Conditions = conditions(n, message)
		return w
	}
	said := func(n, message int) v1beta1.ManifestCondition {
		return v1beta1.ManifestCondition{Conditions: conditions(n, message)}
	}
	named := func(n int) v1beta1.ManifestCondition {
		return v1beta1.ManifestCondition{Identifier: v1beta1.WorkResourceIdentifier{Name: text(n)}}
	}
	const roomy = "bytes of texts, drifts, differences and reported statuses"
	for _, tc := range []struct {
		name         string
		most, beyond *v1beta1.Work
		path         string
		value, at    int
		what         string
	}{
		{"entries", work(2, times(2, said(1, 1))...), work(2, times(3, said(1, 1))...), "manifestConditions", 3, 2, "entries, one for each manifest"},
		{"conditions of the Work", of(8, 1), of(9, 1), "conditions", 9, 8, "conditions"},
		{"message of the Work", of(8, 1<<10), of(1, 1<<10+1), "conditions[0].message", 1025, 1024, "bytes"},
		{"conditions of a manifest", work(1, said(4, 1)), work(1, said(5, 1)), "manifestConditions[0].conditions", 5, 4, "conditions"},
		{"message of a manifest", work(1, said(4, 1<<10)), work(2, said(1, 1), said(1, 1<<10+1)), "manifestConditions[1].conditions[0].message", 1025, 1024, "bytes"},
		{"drifts of an object", work(1, drifts(details(100, 9, 9))), work(1, drifts(details(101, 9, 9))), "manifestConditions[0].driftDetails.observedDrifts", 101, 100, "entries"},
		{"differences of an object", work(1, diffs(details(100, 9, 9))), work(1, diffs(details(101, 9, 9))), "manifestConditions[0].diffDetails.observedDiffs", 101, 100, "entries"},
		{
			"drifts of all objects", work(20, times(20, drifts(details(50, 9, 9)))...), work(21, append(times(20, drifts(details(50, 9, 9))), diffs(details(1, 9, 9)))...),
			"manifestConditions", 1001, 1000, "drifts and differences of all objects",
		},
		{"path", work(1, diffs(details(1, 1024, 9))), work(1, diffs(details(1, 1025, 9))), "manifestConditions[0].diffDetails.observedDiffs[0].path", 1025, 1024, "bytes"},
		{"value", work(1, drifts(details(1, 9, 256))), work(1, drifts(details(1, 9, 257))), "manifestConditions[0].driftDetails.observedDrifts[0].valueInMember", 257, 256, "bytes"},
		{"statuses", work(2, reported(512<<10-1), reported(1)), work(2, reported(512<<10), reported(1)), "manifestConditions", 512<<10 + 1, 512 << 10, roomy},
		{"messages that are not brief", work(500, times(500, said(1, 1<<10))...), work(700, times(700, said(1, 1<<10))...), "manifestConditions", 700 * (1024 + 3 - 256), 512 << 10, roomy},
		{"identifiers", work(600, times(600, named(1<<10))...), work(600, times(600, named(2<<10))...), "manifestConditions", 600 << 10, 512 << 10, roomy},
		{"texts of drifts", work(4, times(4, drifts(details(100, 512, 256)))...), work(6, times(6, drifts(details(100, 512, 256)))...), "manifestConditions", 600 * (512 + 512 + 64), 512 << 10, roomy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			expect(t, ValidateWorkStatus(tc.most, work(0)))
			expect(t, ValidateWorkStatus(tc.beyond, work(0)), fmt.Sprintf("status.%s: Invalid value: %d: a member may report at most %d %s", tc.path, tc.value, tc.at, tc.what))
			expect(t, ValidateWorkStatus(tc.beyond, tc.beyond))
			if len(ValidateWorkStatus(tc.beyond, tc.most)) != 1 {
				t.Error("it may grow")
			}
		})
	}
}

func TestWhatAMemberReportsOfItselfIsBounded(t *testing.T) {
	status := func(edit func(*clusterv1beta1.InternalMemberClusterStatus)) *clusterv1beta1.InternalMemberCluster {
		c := &clusterv1beta1.InternalMemberCluster{}
		edit(&c.Status)
		return c
	}
	most := status(func(s *clusterv1beta1.InternalMemberClusterStatus) {
		s.Conditions = conditions(12, 1<<10)
		s.AgentStatus = []clusterv1beta1.AgentStatus{{Conditions: conditions(2, 1<<10)}}
		s.Namespaces = map[string]string{}
		for i := range 200 {
			s.Namespaces[fmt.Sprintf("%03d%s", i, text(60))] = text(253)
		}
		s.Properties = map[clusterv1beta1.PropertyName]clusterv1beta1.PropertyValue{}
		for i := range 100 {
			s.Properties[clusterv1beta1.PropertyName(fmt.Sprintf("%03d%s", i, text(314)))] = clusterv1beta1.PropertyValue{Value: text(256)}
		}
	})
	expect(t, ValidateClusterStatus(most, status(func(*clusterv1beta1.InternalMemberClusterStatus) {})))
	if size := sizeOfCluster(&most.Status); size > maxCluster*3/4 {
		t.Errorf("all that an agent can report has %d bytes, and %d may be reported", size, maxCluster)
	}
	for name, edit := range map[string]func(*clusterv1beta1.InternalMemberClusterStatus, string){
		"conditions": func(s *clusterv1beta1.InternalMemberClusterStatus, of string) {
			s.Conditions = append(s.Conditions, metav1.Condition{Type: of, Message: text(1 << 10)})
		},
		"namespaces": func(s *clusterv1beta1.InternalMemberClusterStatus, of string) { s.Namespaces[of+text(1<<10)] = "" },
		"Works":      func(s *clusterv1beta1.InternalMemberClusterStatus, of string) { s.Namespaces[of] = text(1 << 10) },
		"properties": func(s *clusterv1beta1.InternalMemberClusterStatus, of string) {
			s.Properties[clusterv1beta1.PropertyName(of)] = clusterv1beta1.PropertyValue{Value: text(1 << 10)}
		},
		"resources": func(s *clusterv1beta1.InternalMemberClusterStatus, of string) {
			s.ResourceUsage.Capacity[corev1.ResourceName(of+text(1<<10))] = resource.MustParse("1")
		},
		"agents": func(s *clusterv1beta1.InternalMemberClusterStatus, of string) {
			s.AgentStatus = append(s.AgentStatus, clusterv1beta1.AgentStatus{Type: clusterv1beta1.AgentType(of + text(1<<10))})
		},
		"conditions of an agent": func(s *clusterv1beta1.InternalMemberClusterStatus, of string) {
			s.AgentStatus[0].Conditions = append(s.AgentStatus[0].Conditions, metav1.Condition{Reason: text(1 << 10)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			beyond := most.DeepCopy()
			beyond.Status.ResourceUsage.Capacity = corev1.ResourceList{}
			for i := range 256 {
				edit(&beyond.Status, fmt.Sprint("of-", i))
			}
			errs := ValidateClusterStatus(beyond, most)
			if len(errs) != 1 || errs[0].Field != "status" || !strings.Contains(errs[0].Detail, "at most 262144 bytes") {
				t.Errorf("errors: %v", errs)
			}
			expect(t, ValidateClusterStatus(beyond, beyond))
		})
	}
}

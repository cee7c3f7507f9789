// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package scheduling

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// many clusters in ten zones, of ten sizes.
func many() []*clusterv1beta1.MemberCluster {
	var clusters []*clusterv1beta1.MemberCluster
	for i := range 1000 {
		clusters = append(clusters, member(fmt.Sprintf("m%04d", i),
			labeled("zone", fmt.Sprint(i%10), "env", fmt.Sprint(i%3), "host", fmt.Sprint(i)), reporting(nodes, fmt.Sprint(i%10))))
	}
	return clusters
}

// processTime is the CPU time of the process: a busy machine does not lengthen it.
func processTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkDecide is what one placement costs on 1,000 clusters.
func BenchmarkDecide(b *testing.B) {
	clusters := many()
	everybody := map[string]place{}
	for _, cluster := range clusters {
		everybody[cluster.Name] = place{current: true, picked: true, rolledOut: true}
	}
	ranked := pickN(prefer(20, matching("env", "1")), sorted(50, nil, nodes, descending))
	spread := pickN(prefer(20, matching("env", "1")), sorted(50, nil, nodes, descending), spreadOver("zone", 1, hard))
	hosts := pickN(spreadOver("host", 1, hard), spreadOver("zone", 1, soft))
	for _, test := range []struct {
		name   string
		policy *v1beta1.PlacementPolicy
		number int
		placed map[string]place
	}{
		{"PickAll", nil, 0, nil},
		{"PickAll/affinity", affinity(v1beta1.ClusterSelectorTerm{LabelSelector: matching("env", "1")}), 0, nil},
		{"PickN=100", ranked, 100, nil},
		{"PickN=100/spread", spread, 100, nil},
		{"PickN=1000/spread", spread, 1000, nil},
		{"PickN=500/hosts", hosts, 500, nil},
		{"PickN=1000to0/hosts", hosts, 0, everybody},
	} {
		b.Run(test.name, func(b *testing.B) {
			start := processTime(b)
			for b.Loop() {
				decide(request{policy: test.policy, number: test.number, clusters: clusters, placed: test.placed, now: now})
			}
			b.ReportMetric(float64(processTime(b)-start)/float64(b.N)/float64(time.Millisecond), "cpu-ms/op")
		})
	}
}

// BenchmarkMemberChanged is what a change of one cluster costs with 1,000 placements, of which a tenth read the label or the property.
func BenchmarkMemberChanged(b *testing.B) {
	var known []runtime.Object
	for i := range 1000 {
		policy := affinity(v1beta1.ClusterSelectorTerm{LabelSelector: matching(fmt.Sprintf("env-%d", i%10), "prod")}, v1beta1.ClusterSelectorTerm{
			PropertySelector: &v1beta1.PropertySelector{MatchExpressions: []v1beta1.PropertySelectorRequirement{
				{Name: fmt.Sprintf("resources.kubernetes-fleet.io/available-r%d", i%10), Operator: v1beta1.PropertySelectorGreaterThan, Values: []string{"5"}},
			}},
		})
		known = append(known, &v1beta1.ClusterResourcePlacement{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint(i))}, Spec: v1beta1.PlacementSpec{Policy: policy},
		})
	}
	w := newWorld(b, "", known...)
	for name, change := range map[string]func(*clusterv1beta1.MemberCluster){
		"heartbeat": silentFor(0), "label": labeled("env-1", "prod"), "available": withAvailable("r1", "4"), "recovery": nil,
	} {
		before, after := member("a", silentFor(1)), member("a")
		if change != nil {
			change(after)
		} else {
			notJoined(before)
		}
		b.Run(name, func(b *testing.B) {
			start := processTime(b)
			for b.Loop() {
				w.controller.memberChanged(before, after)
			}
			b.ReportMetric(float64(processTime(b)-start)/float64(b.N)/float64(time.Millisecond), "cpu-ms/op")
		})
	}
}

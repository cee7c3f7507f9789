// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placeable

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestAVersionWithoutObjectsIsARemovalOnceThereWereAny(t *testing.T) {
	version := func(objects int) v1beta1.ResourceSnapshotObject {
		s := &v1beta1.ClusterResourceSnapshot{}
		s.Spec.SelectedResources = make([]v1beta1.ResourceContent, objects)
		return s
	}
	bound := func(snapshot string) []v1beta1.BindingObject {
		return []v1beta1.BindingObject{&v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{ResourceSnapshotName: snapshot}}}
	}
	p := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	for name, tc := range map[string]struct {
		index     int
		snapshots []v1beta1.ResourceSnapshotObject
		bindings  []v1beta1.BindingObject
		want      bool
	}{
		"the first":                              {0, []v1beta1.ResourceSnapshotObject{version(0)}, nil, true},
		"the first, not made yet":                {0, nil, nil, true},
		"that clusters wait for":                 {0, []v1beta1.ResourceSnapshotObject{version(0)}, bound(""), true},
		"that clusters have":                     {0, []v1beta1.ResourceSnapshotObject{version(0)}, bound("p-0-snapshot"), true},
		"a later one, whose predecessor is gone": {1, []v1beta1.ResourceSnapshotObject{version(0)}, nil, false},
		"the first, after which there was one":   {0, []v1beta1.ResourceSnapshotObject{version(0), version(3)}, nil, false},
		"that a cluster gets after a lost one":   {0, []v1beta1.ResourceSnapshotObject{version(0)}, bound("p-7-snapshot"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := NeverAnything(p, tc.index, tc.snapshots, tc.bindings); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

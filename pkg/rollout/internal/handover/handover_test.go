// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// An override can leave an object out on a cluster as well as a version can.
func TestAnOverrideThatLeavesAnObjectOutHandsItOver(t *testing.T) {
	in := &finder{placement: reconcile.Key{Namespace: "shop", Name: "app"}}
	manifest := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop"}}`)
	leaves := &v1beta1.ResourceOverrideSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "o-0"}}
	leaves.Spec.OverrideSpec = v1beta1.ResourceOverrideSpec{
		ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: "a"}},
		Policy: &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
			ClusterSelector: &v1beta1.ClusterSelector{}, OverrideType: v1beta1.DeleteOverrideType,
		}}},
	}
	change := policy.Change{Cluster: "member1", InForce: []v1beta1.OverrideSnapshotObject{leaves}}
	for what, want := range map[bool]bool{true: false, false: true} {
		change := change
		if !what {
			change.InForce = nil
		}
		if keeps, err := in.keeps(change, manifest); err != nil || keeps != want {
			t.Errorf("with the override %v: kept %v, error %v", what, keeps, err)
		}
	}
}

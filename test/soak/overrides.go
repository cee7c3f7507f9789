// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// overrideName is the override of each placement: the members of the last ring have a number in what is placed, and no other.
const overrideName = "last-ring"

func (f *fleet) override(ctx context.Context, placement string) error {
	value := v1beta1.JSONPatchOverride{Operator: v1beta1.JSONPatchOverrideOpAdd, Path: "/data/number"}
	value.Value.Raw = []byte(`"first"`)
	_, err := f.api.PlacementV1beta1().ResourceOverrides(placement).Create(ctx, &v1beta1.ResourceOverride{
		ObjectMeta: metav1.ObjectMeta{Name: overrideName},
		Spec: v1beta1.ResourceOverrideSpec{
			Placement:         &v1beta1.PlacementRef{Name: placement},
			ResourceSelectors: []v1beta1.ResourceSelector{{Version: "v1", Kind: "ConfigMap", Name: appConfig}},
			Policy: &v1beta1.OverridePolicy{OverrideRules: []v1beta1.OverrideRule{{
				ClusterSelector: &v1beta1.ClusterSelector{ClusterSelectorTerms: []v1beta1.ClusterSelectorTerm{{
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{ringLabel: fmt.Sprint(len(rings) - 1)}},
				}}},
				JSONPatchOverrides: []v1beta1.JSONPatchOverride{value},
			}}},
		},
	}, metav1.CreateOptions{})
	return err
}

// renumber has the override of a placement say something new.
func (f *fleet) renumber(ctx context.Context, placement string, number int) {
	patch := fmt.Appendf(nil, `[{"op":"replace","path":"/spec/policy/overrideRules/0/jsonPatchOverrides/0/value","value":"%d"}]`, number)
	_ = persist(ctx, func() error {
		_, err := f.api.PlacementV1beta1().ResourceOverrides(placement).Patch(ctx, overrideName, types.JSONPatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// seeNumber holds that a run has in force what the override said when it was created, or something newer.
func (f *fleet) seeNumber(ctx context.Context, r planned) {
	run := f.await(ctx, r, func(run *v1beta1.ClusterStagedUpdateRun) bool {
		return isOver(run) || meta.IsStatusConditionTrue(run.Status.Conditions, v1beta1.RunInitialized)
	})
	if run == nil || len(run.Status.StagesStatus) < len(rings) {
		return
	}
	c := &run.Status.StagesStatus[len(rings)-1].Clusters[0]
	if len(c.ResourceOverrideSnapshots) != 1 {
		f.book.violated("run %s: cluster %s is to have the overrides %v", r.name, c.ClusterName, c.ResourceOverrideSnapshots)
		return
	}
	name := c.ResourceOverrideSnapshots[0]
	var version *v1beta1.ResourceOverrideSnapshot
	err := persist(ctx, func() (err error) {
		version, err = f.api.PlacementV1beta1().ResourceOverrideSnapshots(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
		return err
	})
	if ctx.Err() != nil {
		return
	}
	number := 0
	if err == nil {
		number, err = strconv.Atoi(strings.Trim(string(version.Spec.OverrideSpec.Policy.OverrideRules[0].JSONPatchOverrides[0].Value.Raw), `"`))
	}
	if err != nil || number < r.number {
		f.book.violated("run %s was created when the override said %d, and has %s, which says %d %v", r.name, r.number, name.Name, number, err)
	}
}

// sameOverrides reports whether a binding names the overrides that a run gives its cluster.
func sameOverrides(b *v1beta1.ClusterResourceBinding, c *v1beta1.ClusterUpdatingStatus) bool {
	return slices.Equal(b.Spec.ResourceOverrideSnapshots, c.ResourceOverrideSnapshots) &&
		slices.Equal(b.Spec.ClusterResourceOverrideSnapshots, c.ClusterResourceOverrideSnapshots)
}

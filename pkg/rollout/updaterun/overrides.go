// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/overrides"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/overriding"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/resources"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// overridesFor answers engine.ResultNeedsOverrides: for a rollback the versions that clusters go back to, for any other run the
// overrides of what is selected.
func overridesFor(ctx context.Context, f *fleet.Fleet, run v1beta1.UpdateRunObject, world *plan.World,
	selected func() []resources.Resource) (*plan.Overrides, error) {
	if run.RunSpec().RollbackOf != "" {
		return previousOverrides(f, world.RolledBack)
	}
	all, err := liveOverrides(ctx, f, run.GetNamespace())
	if err != nil || len(all) == 0 {
		return &plan.Overrides{}, err
	}
	rolledOut := selected()
	found := &plan.Overrides{Objects: overrides.For(all, world.Placement, resources.IDs(rolledOut))}
	for _, o := range found.Objects {
		found.Snapshots = append(found.Snapshots, f.OverrideSnapshots.ByIndex(fleet.ByOverride, reconcile.KeyOf(o))...)
	}
	// What no override changes need not be tried.
	rolledOut = slices.DeleteFunc(slices.Clone(rolledOut), func(r resources.Resource) bool {
		return !slices.ContainsFunc(found.Objects, func(o v1beta1.OverrideObject) bool { return overrides.Changes(o, r.ID) })
	})
	found.Try = func(member plan.Member, inForce []v1beta1.OverrideSnapshotObject) ([]overrides.LeftOut, error) {
		o, err := overriding.New(run.GetNamespace(), member.Name, member.Labels, inForce)
		var all []overrides.LeftOut
		for i := 0; i < len(rolledOut) && err == nil; i++ {
			var leftOut []overrides.LeftOut
			_, leftOut, err = o.Manifest(rolledOut[i].Manifest)
			all = append(all, leftOut...)
		}
		return all, err
	}
	return found, nil
}

// liveOverrides are those that there are, of one namespace or, for a cluster-scoped run, of all. A cache would not do: what a user
// has overridden before creating the run has to be in force in it.
func liveOverrides(ctx context.Context, f *fleet.Fleet, namespace string) ([]v1beta1.OverrideObject, error) {
	client := f.Clientset.PlacementV1beta1()
	clusterScoped, err := client.ClusterResourceOverrides().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing ClusterResourceOverrides: %w", err)
	}
	namespaced, err := client.ResourceOverrides(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing ResourceOverrides: %w", err)
	}
	all := make([]v1beta1.OverrideObject, 0, len(clusterScoped.Items)+len(namespaced.Items))
	for i := range clusterScoped.Items {
		all = append(all, &clusterScoped.Items[i])
	}
	for i := range namespaced.Items {
		all = append(all, &namespaced.Items[i])
	}
	return all, nil
}

// previousOverrides are the versions, among those that clusters had before a run, that are still there.
func previousOverrides(f *fleet.Fleet, run v1beta1.UpdateRunObject) (*plan.Overrides, error) {
	found := &plan.Overrides{}
	for i := range run.RunStatus().StagesStatus {
		clusters := run.RunStatus().StagesStatus[i].Clusters
		for j := range clusters {
			for _, name := range runrules.PreviousOverrideSnapshotsOf(&clusters[j]) {
				snapshot, err := f.OverrideSnapshots.Get(reconcile.Key{Namespace: name.Namespace, Name: name.Name})
				switch {
				case apierrors.IsNotFound(err):
				case err != nil:
					return nil, err
				default:
					found.Snapshots = append(found.Snapshots, snapshot)
				}
			}
		}
	}
	return found, nil
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/internal/resources"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
)

// overridesFor answers engine.ResultNeedsOverrides: for a rollback the versions that clusters go back to, for any other run the
// overrides of what is selected.
func overridesFor(ctx context.Context, f *fleet.Fleet, run v1beta1.UpdateRunObject, world *engine.InitWorld,
	selected func() []resources.Resource) (*engine.Overrides, error) {
	if run.RunSpec().RollbackOf != "" {
		return previousOverrides(f, world.RolledBack)
	}
	// A cache would not do: what a user has overridden before creating the run must be in force in it.
	all, err := f.Overrides.AllLive(ctx, run.GetNamespace())
	if err != nil || len(all) == 0 {
		return &engine.Overrides{}, err
	}
	rolledOut := selected()
	found := &engine.Overrides{Objects: overrides.For(all, world.Placement, resources.IDs(rolledOut))}
	for _, o := range found.Objects {
		found.Snapshots = append(found.Snapshots, f.OverrideSnapshots.ByIndex(fleet.ByOverride, reconcile.KeyOf(o))...)
	}
	// What no override changes need not be tried.
	rolledOut = slices.DeleteFunc(slices.Clone(rolledOut), func(r resources.Resource) bool {
		return !slices.ContainsFunc(found.Objects, func(o v1beta1.OverrideObject) bool { return overrides.Changes(o, r.ID) })
	})
	found.Try = func(member engine.Member, inForce []v1beta1.OverrideSnapshotObject) ([]overrides.LeftOut, error) {
		o, err := overrides.NewPatcher(run.GetNamespace(), member.Name, member.Labels, inForce)
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

// previousOverrides are the versions, among those that clusters had before a run, that are still there.
func previousOverrides(f *fleet.Fleet, run v1beta1.UpdateRunObject) (*engine.Overrides, error) {
	found := &engine.Overrides{}
	for i := range run.RunStatus().StagesStatus {
		clusters := run.RunStatus().StagesStatus[i].Clusters
		for j := range clusters {
			for _, name := range engine.PreviousOverrideSnapshotsOf(&clusters[j]) {
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

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// Overrides implements plan.Inputs: for a rollback it returns the versions that clusters go back to, for any other run the overrides of what is
// selected.
func (in *inputs) Overrides() (plan.Overrides, error) {
	if in.run.RunSpec().RollbackOf != "" {
		return previousOverrides(in.fleet, in.world.RolledBack)
	}
	// A cache would not do: what a user has overridden before creating the run must be in force in it.
	all, err := in.fleet.Overrides.AllLive(in.ctx, in.run.GetNamespace())
	if err != nil || len(all) == 0 {
		return plan.Overrides{}, err
	}
	if !in.live {
		in.selected = snapshotrules.Resources(in.world.Snapshots, in.run.RunSpec().ResourceSnapshotIndex)
	}
	in.selected = snapshotrules.Contents(in.selected)
	found := plan.Overrides{Objects: overrides.For(all, in.world.Placement, snapshotrules.IDs(in.selected))}
	for _, o := range found.Objects {
		found.Snapshots = append(found.Snapshots, in.fleet.OverrideSnapshots.ByIndex(fleet.ByOverride, reconcile.KeyOf(o))...)
	}
	// What no override changes need not be tried.
	in.selected = slices.DeleteFunc(slices.Clone(in.selected), func(r snapshotrules.Resource) bool {
		return !slices.ContainsFunc(found.Objects, func(o v1beta1.OverrideObject) bool { return overrides.Changes(o, r.ID) })
	})
	return found, nil
}

// Misfits implements plan.Inputs.
func (in *inputs) Misfits(member plan.Member, inForce []v1beta1.OverrideSnapshotObject) ([]overrides.LeftOut, error) {
	o, err := overrides.NewPatcher(in.run.GetNamespace(), member.Name, member.Labels, inForce)
	if err != nil {
		return nil, err
	}
	likeness := o.Likeness()
	if leftOut, known := in.leftOut[likeness]; known && likeness != "" {
		return leftOut, nil
	}
	var all []overrides.LeftOut
	for i := 0; i < len(in.selected) && err == nil; i++ {
		if in.ctx.Err() != nil {
			return nil, in.ctx.Err()
		}
		var leftOut []overrides.LeftOut
		_, leftOut, err = o.Manifest(in.selected[i].Work, in.selected[i].Manifest)
		all = append(all, leftOut...)
	}
	if err == nil {
		if in.leftOut == nil {
			in.leftOut = map[string][]overrides.LeftOut{}
		}
		in.leftOut[likeness] = all
	}
	return all, err
}

// previousOverrides are the versions, among those that clusters had before a run, that are still there.
func previousOverrides(f *fleet.Fleet, run v1beta1.UpdateRunObject) (plan.Overrides, error) {
	found := plan.Overrides{}
	for i := range run.RunStatus().StagesStatus {
		clusters := run.RunStatus().StagesStatus[i].Clusters
		for j := range clusters {
			for _, name := range runrules.PreviousOverrideSnapshotsOf(&clusters[j]) {
				snapshot, err := f.OverrideSnapshots.Get(reconcile.Key{Namespace: name.Namespace, Name: name.Name})
				switch {
				case apierrors.IsNotFound(err):
				case err != nil:
					return plan.Overrides{}, err
				default:
					found.Snapshots = append(found.Snapshots, snapshot)
				}
			}
		}
	}
	return found, nil
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/plan"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

var keyOf = reconcile.KeyOf

// placementOf is the key of a run's placement.
func placementOf(run v1beta1.UpdateRunObject) reconcile.Key {
	return reconcile.Key{Namespace: run.GetNamespace(), Name: run.RunSpec().PlacementName}
}

// find reads an object from a cache; a missing one is nil.
func find[O fleet.Object](kind fleet.Kind[O], key reconcile.Key) (found O, err error) {
	found, err = kind.Get(key)
	return found, reconcile.IgnoreNotFound(err)
}

// world is what a planned run is judged by. A run that is over needs no more than its approval requests
// and the other runs, one of which may roll it back.
func (c *Controller) world(run v1beta1.UpdateRunObject) (engine.World, error) {
	w, err := world(c.fleet, run)
	w.Since = c.since
	return w, err
}

func world(f *fleet.Fleet, run v1beta1.UpdateRunObject) (engine.World, error) {
	w := engine.World{Approvals: map[string]v1beta1.ApprovalRequestObject{}}
	status := run.RunStatus()
	stages := status.StagesStatus
	if stage := status.DeletionStageStatus; stage != nil {
		stages = append(slices.Clip(stages), *stage)
	}
	for i := range stages {
		stage := &stages[i]
		for _, tasks := range [][]v1beta1.StageTaskStatus{stage.BeforeStageTaskStatus, stage.AfterStageTaskStatus} {
			for j := range tasks {
				name := tasks[j].ApprovalRequestName
				if name == "" {
					continue
				}
				request, err := f.Approvals.Get(reconcile.Key{Namespace: run.GetNamespace(), Name: name})
				if err == nil {
					w.Approvals[name] = request
				} else if !apierrors.IsNotFound(err) {
					return engine.World{}, err
				}
			}
		}
	}
	for _, other := range f.Runs.ByIndex(fleet.ByPlacement, placementOf(run)) {
		if other.GetName() != run.GetName() {
			w.Others = append(w.Others, other)
		}
	}
	if runrules.IsOver(status) {
		return w, nil
	}
	placement, err := find(f.Placements, placementOf(run))
	if err != nil {
		return engine.World{}, err
	}
	w.Placement = placement
	w.Bindings = f.Bindings.ByIndex(fleet.ByPlacement, placementOf(run))
	if w.Left, err = left(f, run, w.Bindings); err != nil {
		return engine.World{}, err
	}
	if mayYetStart(run) {
		w.Governance, err = governance(f, run.GetNamespace(), targets(status))
	}
	return w, err
}

// mayYetStart reports whether a run is to run and has not started. Only then do policies matter to it.
func mayYetStart(run v1beta1.UpdateRunObject) bool {
	return run.RunSpec().State == v1beta1.StateRun && runrules.AwaitsStart(run)
}

// targets are the clusters of a planned run.
func targets(status *v1beta1.UpdateRunStatus) []string {
	var names []string
	for _, stage := range runrules.Stages(status) {
		for i := range stage.Clusters {
			names = append(names, stage.Clusters[i].ClusterName)
		}
	}
	return names
}

// governance is by what policies judge a run over some clusters, nothing where there is no policy.
func governance(f *fleet.Fleet, namespace string, clusters []string) (g plan.Governance, err error) {
	if g.Policies = policy.NewAll(f.Policies.Covering(namespace)); len(g.Policies) == 0 {
		return g, nil
	}
	g.NamespaceLabels = f.NamespaceLabels(namespace)
	for _, name := range clusters {
		member, err := f.MemberClusters.Lister().Get(name)
		switch {
		case apierrors.IsNotFound(err) || err == nil && member.DeletionTimestamp != nil:
		case err != nil:
			return plan.Governance{}, fmt.Errorf("reading member cluster %s: %w", name, err)
		default:
			g.Members = append(g.Members, plan.Member{Name: name, Labels: member.Labels})
		}
	}
	return g, nil
}

// left finds the clusters that have left the fleet among those the run is not done with, and among the others of the placement. One that is to
// be resumed looks at all: those that it was done with may be gone.
func left(f *fleet.Fleet, run v1beta1.UpdateRunObject, bindings []v1beta1.BindingObject) (map[string]bool, error) {
	status := run.RunStatus()
	resumes := runrules.HasHadTurn(status) && status.Turn.State != v1beta1.TurnHeld
	done := map[string]bool{}
	var names []string
	for i := range status.StagesStatus {
		stage := &status.StagesStatus[i]
		isDone := !resumes && (stage.EndTime != nil || stage.UpdatedTime != nil)
		for j := range stage.Clusters {
			if name := stage.Clusters[j].ClusterName; isDone {
				done[name] = true
			} else {
				names = append(names, name)
			}
		}
	}
	for _, b := range bindings {
		if name := b.BindingSpec().TargetCluster; !done[name] {
			names = append(names, name)
		}
	}
	gone, members := map[string]bool{}, f.MemberClusters.Lister()
	for _, name := range names {
		member, err := members.Get(name)
		switch {
		case apierrors.IsNotFound(err) || err == nil && member.DeletionTimestamp != nil:
			gone[name] = true
		case err != nil:
			return nil, fmt.Errorf("reading member cluster %s: %w", name, err)
		}
	}
	return gone, nil
}

// initWorld is what a run is planned from.
func initWorld(f *fleet.Fleet, run v1beta1.UpdateRunObject) (plan.World, error) {
	key := placementOf(run)
	placement, err := find(f.Placements, key)
	if err != nil {
		return plan.World{}, err
	}
	strategy, err := find(f.Strategies, reconcile.Key{Namespace: run.GetNamespace(), Name: run.RunSpec().StagedUpdateStrategyName})
	if err != nil {
		return plan.World{}, err
	}
	members, err := f.MemberClusters.Lister().List(labels.Everything())
	if err != nil {
		return plan.World{}, fmt.Errorf("listing member clusters: %w", err)
	}
	w := plan.World{
		Placement:       placement,
		PolicySnapshots: f.PolicySnapshots.ByIndex(fleet.ByPlacement, key),
		Bindings:        f.Bindings.ByIndex(fleet.ByPlacement, key),
		Strategy:        strategy,
		Snapshots:       f.Snapshots.ByIndex(fleet.ByPlacement, key),
	}
	if earlier := run.RunSpec().RollbackOf; earlier != "" {
		if w.RolledBack, err = find(f.Runs, reconcile.Key{Namespace: run.GetNamespace(), Name: earlier}); err != nil {
			return plan.World{}, err
		}
	}
	w.Policies, w.NamespaceLabels = policy.NewAll(f.Policies.Covering(run.GetNamespace())), f.NamespaceLabels(run.GetNamespace())
	for _, member := range members {
		if member.DeletionTimestamp == nil {
			w.Members = append(w.Members, plan.Member{Name: member.Name, Labels: member.Labels})
		}
	}
	return w, nil
}

// refresh reads the placement and the strategy of a run from the API: who creates a run may have edited them just before, and a cache that
// has not seen that would have a cluster changed where it is only to be compared.
func refresh(ctx context.Context, f *fleet.Fleet, run v1beta1.UpdateRunObject, w *plan.World) (err error) {
	if w.Placement, err = stored(ctx, f.Placements, placementOf(run)); err != nil {
		return fmt.Errorf("reading placement %s: %w", placementOf(run), err)
	}
	strategy := reconcile.Key{Namespace: run.GetNamespace(), Name: run.RunSpec().StagedUpdateStrategyName}
	if w.Strategy, err = stored(ctx, f.Strategies, strategy); err != nil {
		return fmt.Errorf("reading strategy %s: %w", strategy, err)
	}
	return nil
}

// stored reads an object from the API, nil where there is none.
func stored[O fleet.Object](ctx context.Context, kind fleet.Kind[O], key reconcile.Key) (found O, err error) {
	if key.Name == "" {
		return found, nil
	}
	o, err := kind.Client(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if err != nil {
		return found, reconcile.IgnoreNotFound(err)
	}
	return o, nil
}

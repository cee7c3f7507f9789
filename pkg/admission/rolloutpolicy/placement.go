// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"

	clusterv1beta1 "github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/client/scoped"
	"github.com/stagegate/stagegate/pkg/rules/clusterfilter"
	"github.com/stagegate/stagegate/pkg/rules/policy"
	"github.com/stagegate/stagegate/pkg/rules/strategy"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// validatePlacement refuses what would have a protected cluster moved, or emptied, past its policies.
func (p *Plugin) validatePlacement(ctx context.Context, a admission.Attributes, placement v1beta1.PlacementObject) error {
	// What is on its way out stays so.
	if !placement.GetDeletionTimestamp().IsZero() {
		return nil
	}
	old, _ := a.GetOldObject().(v1beta1.PlacementObject)
	if a.GetOperation() == admission.Update && !changes(placement, old) {
		return nil
	}
	s, err := p.scopeOf(ctx, a)
	if err != nil {
		return err
	}
	if a.GetOperation() == admission.Delete {
		return p.validateRemoval(ctx, a, s, placement)
	}
	sets := []labels.Set{placement.GetLabels()}
	if old != nil {
		sets = append(sets, old.GetLabels())
	}
	binding := s.binding(sets...)
	if len(binding) == 0 {
		return nil
	}
	members, err := p.listMembers()
	if err != nil {
		return err
	}
	reach := reachOf(placement.PlacementSpec().Policy, members)
	if old != nil {
		if reach.Held, err = p.held(ctx, placement, members); err != nil {
			return err
		}
	}
	return answer(ctx, a, placement.GetName(), policy.JudgeWrite(binding, placement, reach))
}

// changes reports whether an update changes what policies look at. Any other is let through, so that what an older rule let in can still be
// labeled and applied again, and its finalizers removed.
func changes(placement, old v1beta1.PlacementObject) bool {
	return runrules.IsExternal(placement.PlacementSpec()) != runrules.IsExternal(old.PlacementSpec()) ||
		!apiequality.Semantic.DeepEqual(placement.PlacementSpec().Policy, old.PlacementSpec().Policy)
}

// validateRemoval looks at the deletion of a placement, which takes its resources off all clusters at once. With its Namespace it goes
// anyway.
func (p *Plugin) validateRemoval(ctx context.Context, a admission.Attributes, s *scope, placement v1beta1.PlacementObject) error {
	binding := s.binding(placement.GetLabels())
	if len(binding) == 0 || s.leaving {
		return nil
	}
	members, err := p.listMembers()
	if err != nil {
		return err
	}
	// The runs are looked at before the bindings, so that one that ends in between is seen by what it wrote.
	runs, moving, err := p.moving(ctx, placement, members)
	if err != nil {
		return err
	}
	held, err := p.held(ctx, placement, members)
	if err != nil {
		return err
	}
	verdict := policy.JudgeRemoval(binding, placement, held)
	if verdict.Refusal() != "" {
		return answer(ctx, a, placement.GetName(), verdict)
	}
	during := policy.JudgeRemovalDuring(binding, runs, moving)
	if during.Refusal() != "" {
		return answer(ctx, a, placement.GetName(), during)
	}
	// Also where nothing must be staged: what another placement gets there is a version that nobody was asked about.
	removal := policy.OfRemoval(held)
	handovers, err := p.judge.RemovalHandovers(ctx, placement, policy.Protected(binding, removal))
	if err != nil {
		return err
	}
	handed := policy.JudgeHandovers(binding, removal, handovers)
	handed.Warnings = slices.Concat(verdict.Warnings, during.Warnings, handed.Warnings)
	return answer(ctx, a, placement.GetName(), handed)
}

// moving returns the runs that have started, by kind and name, and the clusters that they are about to give a version of a placement to, whether or
// not these have it by now. One that starts later marks the placement first, so that its deletion is looked at again.
func (p *Plugin) moving(ctx context.Context, placement v1beta1.PlacementObject, members map[string]*clusterv1beta1.MemberCluster) (runs []string, moving []strategy.Cluster, err error) {
	all, err := scoped.RunClient(p.client.PlacementV1beta1(), placement.GetNamespace()).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.placementName", placement.GetName()).String(),
	})
	if err != nil {
		return nil, nil, unavailable(fmt.Errorf("listing the runs of placement %s: %w", placement.GetName(), err))
	}
	for _, run := range all {
		status := run.RunStatus()
		if run.RunSpec().PlacementName != placement.GetName() || runrules.TurnOf(run) != v1beta1.TurnHeld || !runrules.HasStarted(status) {
			continue
		}
		runs = append(runs, runrules.RunKind(run)+" "+run.GetName())
		for i := range status.StagesStatus {
			for j := range status.StagesStatus[i].Clusters {
				c := &status.StagesStatus[i].Clusters[j]
				if member := members[c.ClusterName]; member != nil && !runrules.IsClusterDone(c) {
					moving = append(moving, clusterOf(member))
				}
			}
		}
	}
	byName(moving)
	return runs, moving, nil
}

// heldNow returns the clusters that have a placement, and all members.
func (p *Plugin) heldNow(ctx context.Context, placement v1beta1.PlacementObject) ([]strategy.Cluster, map[string]*clusterv1beta1.MemberCluster, error) {
	members, err := p.listMembers()
	if err != nil {
		return nil, nil, err
	}
	held, err := p.held(ctx, placement, members)
	return held, members, err
}

func (p *Plugin) listMembers() (map[string]*clusterv1beta1.MemberCluster, error) {
	all, err := p.members.List(labels.Everything())
	if err != nil {
		return nil, unavailable(fmt.Errorf("listing the member clusters: %w", err))
	}
	members := make(map[string]*clusterv1beta1.MemberCluster, len(all))
	for _, member := range all {
		members[member.Name] = member
	}
	return members, nil
}

// reachOf returns the clusters that a placement picks, or may pick with the fleet as it is. A name that is no member's yet has no labels,
// and is protected by a policy that protects what has none.
func reachOf(picks *v1beta1.PlacementPolicy, members map[string]*clusterv1beta1.MemberCluster) policy.Reach {
	var reach policy.Reach
	if picks != nil && picks.PlacementType == v1beta1.PickFixedPlacementType {
		for _, name := range picks.ClusterNames {
			cluster := strategy.Cluster{Name: name}
			if member := members[name]; member != nil {
				cluster.Labels = member.Labels
			}
			reach.Named = append(reach.Named, cluster)
		}
		return reach
	}
	filter := clusterfilter.New(picks)
	for _, member := range members {
		if member.DeletionTimestamp == nil && filter.Rejected(member) == "" {
			reach.Matched = append(reach.Matched, clusterOf(member))
		}
	}
	byName(reach.Matched)
	return reach
}

// held returns the clusters that have a version of a placement. A binding that is being deleted is none: its removal has begun. A cluster
// that is no member any more has nobody to protect it, and no run could ever take anything off it.
func (p *Plugin) held(ctx context.Context, placement v1beta1.PlacementObject, members map[string]*clusterv1beta1.MemberCluster) ([]strategy.Cluster, error) {
	// A cache that lags would let through what it lacks.
	bindings, err := scoped.BindingClient(p.client.PlacementV1beta1(), placement.GetNamespace()).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{wellknown.ParentPlacementLabel: placement.GetName()}.String(),
	})
	if err != nil {
		return nil, unavailable(fmt.Errorf("listing the bindings of placement %s: %w", placement.GetName(), err))
	}
	var held []strategy.Cluster
	for _, binding := range bindings {
		spec := binding.BindingSpec()
		if member := members[spec.TargetCluster]; member != nil && spec.ResourceSnapshotName != "" && binding.GetDeletionTimestamp() == nil {
			held = append(held, clusterOf(member))
		}
	}
	byName(held)
	return held, nil
}

func clusterOf(member *clusterv1beta1.MemberCluster) strategy.Cluster {
	return strategy.Cluster{Name: member.Name, Labels: member.Labels}
}

func byName(clusters []strategy.Cluster) {
	slices.SortFunc(clusters, func(a, b strategy.Cluster) int { return strings.Compare(a.Name, b.Name) })
}

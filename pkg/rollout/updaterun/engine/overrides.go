// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/overrides"
	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// planOverrides freezes which version of which override is in force on each cluster. What is edited later, or deleted, is for the
// next run.
func (p *plan) planOverrides() *obstacle {
	if p.world.Overrides == nil {
		return &obstacle{needs: ResultNeedsOverrides}
	}
	latest, pending := overrides.Latest(p.world.Overrides.Objects, p.world.Overrides.Snapshots)
	if len(pending) > 0 {
		return passing(invalid, fmt.Sprintf("no snapshot yet of what %s says now", overrideName(pending[0])))
	}
	rules, err := overrides.NewRules(latest)
	if err != nil {
		return final(invalid, unexpectedError, err.Error())
	}
	members := make(map[string]Member, len(p.world.Members))
	for _, m := range p.world.Members {
		members[m.Name] = m
	}
	byName := make(map[v1beta1.NamespacedName]v1beta1.OverrideSnapshotObject, len(latest))
	for _, s := range latest {
		byName[v1beta1.NamespacedName{Namespace: s.GetNamespace(), Name: s.GetName()}] = s
	}
	unfit := unfitOverrides{known: map[v1beta1.NamespacedName]*unfitOverride{}}
	for i := range p.status.StagesStatus {
		for j := range p.status.StagesStatus[i].Clusters {
			c := &p.status.StagesStatus[i].Clusters[j]
			member := members[c.ClusterName]
			c.ClusterResourceOverrideSnapshots, c.ResourceOverrideSnapshots = rules.On(labels.Set(member.Labels))
			var inForce []v1beta1.OverrideSnapshotObject
			for _, name := range OverrideSnapshotsOf(c) {
				inForce = append(inForce, byName[name])
			}
			if p.world.Overrides.Try == nil || len(inForce) == 0 {
				continue
			}
			// Better before the first cluster is touched than when this one is reached.
			leftOut, err := p.world.Overrides.Try(member, inForce)
			if err != nil {
				return final(invalid, clientError, err.Error())
			}
			unfit.on(c.ClusterName, leftOut)
		}
	}
	p.warnings = append(p.warnings, unfit.warnings()...)
	return nil
}

// maxUnfit is of how many overrides that are left out a plan tells.
const maxUnfit = 10

// unfitOverrides are the overrides that a plan leaves out.
type unfitOverrides struct {
	known map[v1beta1.NamespacedName]*unfitOverride
	// found has them in the order in which they were found.
	found []*unfitOverride
}

type unfitOverride struct {
	message  string
	clusters []string
}

// on adds what is left out on a cluster.
func (u *unfitOverrides) on(cluster string, leftOut []overrides.LeftOut) {
	for _, l := range leftOut {
		o := u.known[l.Version]
		if o == nil {
			o = &unfitOverride{message: l.Message}
			u.known[l.Version] = o
			u.found = append(u.found, o)
		}
		// One object after the other of a cluster.
		if n := len(o.clusters); n == 0 || o.clusters[n-1] != cluster {
			o.clusters = append(o.clusters, cluster)
		}
	}
}

// warnings name each override with one object that it does not fit, and the clusters on which it is left out.
func (u *unfitOverrides) warnings() []string {
	var warnings []string
	for i, o := range u.found {
		if i == maxUnfit {
			return append(warnings, fmt.Sprintf("%s do not fit either and are left out", count(len(u.found)-i, "more override")))
		}
		warnings = append(warnings, fmt.Sprintf("an override does not fit and is left out on %s (%s): %s",
			count(len(o.clusters), "cluster"), firstNames(o.clusters), o.message))
	}
	return warnings
}

func overrideName(o v1beta1.OverrideObject) string {
	if o.GetNamespace() == "" {
		return fmt.Sprintf("ClusterResourceOverride `%s`", o.GetName())
	}
	return fmt.Sprintf("ResourceOverride `%s`", key(o.GetNamespace(), o.GetName()))
}

// planOldOverrides has the versions of overrides be there that clusters go back to.
func (p *plan) planOldOverrides() *obstacle {
	if p.world.Overrides == nil {
		return &obstacle{needs: ResultNeedsOverrides}
	}
	known := sets.New[string]()
	for _, s := range p.world.Overrides.Snapshots {
		known.Insert(key(s.GetNamespace(), s.GetName()))
	}
	for i := range p.status.StagesStatus {
		for j := range p.status.StagesStatus[i].Clusters {
			c := &p.status.StagesStatus[i].Clusters[j]
			for _, name := range OverrideSnapshotsOf(c) {
				if !known.Has(key(name.Namespace, name.Name)) {
					return final(invalid, clientError, fmt.Sprintf("cluster %s had override snapshot %s, which is not kept any more",
						c.ClusterName, key(name.Namespace, name.Name)))
				}
			}
		}
	}
	return nil
}

// OverrideSnapshotsOf are the versions of overrides that a cluster gets, those without a namespace first.
func OverrideSnapshotsOf(c *v1beta1.ClusterUpdatingStatus) []v1beta1.NamespacedName {
	return overrideSnapshots(c.ClusterResourceOverrideSnapshots, c.ResourceOverrideSnapshots)
}

// PreviousOverrideSnapshotsOf are those that a cluster had before.
func PreviousOverrideSnapshotsOf(c *v1beta1.ClusterUpdatingStatus) []v1beta1.NamespacedName {
	return overrideSnapshots(c.PreviousClusterResourceOverrideSnapshots, c.PreviousResourceOverrideSnapshots)
}

func overrideSnapshots(clusterScoped []string, namespaced []v1beta1.NamespacedName) []v1beta1.NamespacedName {
	names := make([]v1beta1.NamespacedName, 0, len(clusterScoped)+len(namespaced))
	for _, name := range clusterScoped {
		names = append(names, v1beta1.NamespacedName{Name: name})
	}
	return append(names, namespaced...)
}

// sameOverrides says whether the same versions of overrides are in force on a cluster as before its update.
func sameOverrides(c *v1beta1.ClusterUpdatingStatus) bool {
	return slices.Equal(OverrideSnapshotsOf(c), PreviousOverrideSnapshotsOf(c))
}

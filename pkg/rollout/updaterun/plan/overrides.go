// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	overrides "github.com/stagegate/stagegate/pkg/rules/override"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// planOverrides freezes which version of which override is in force on each cluster. What is edited later, or deleted, is for the
// next run.
func (p *planner) planOverrides() error {
	asked, err := p.inputs.Overrides()
	if err != nil {
		return inputError(err)
	}
	latest, unrecorded := overrides.Latest(asked.Objects, asked.Snapshots)
	if len(unrecorded) > 0 {
		return pending(runrules.Invalid, fmt.Sprintf("no snapshot yet of what %s says now", overrideName(unrecorded[0])))
	}
	rules, err := overrides.NewRules(latest)
	if err != nil {
		return final(runrules.Invalid, runrules.UnexpectedError, err.Error())
	}
	members := make(map[string]Member, len(p.world.Members))
	for _, m := range p.world.Members {
		members[m.Name] = m
	}
	byName := make(map[v1beta1.NamespacedName]v1beta1.OverrideSnapshotObject, len(latest))
	for _, s := range latest {
		byName[v1beta1.NamespacedName{Namespace: s.GetNamespace(), Name: s.GetName()}] = s
	}
	p.inForce = map[string][]v1beta1.OverrideSnapshotObject{}
	unfit := unfitOverrides{known: map[v1beta1.NamespacedName]*unfitOverride{}}
	for i := range p.status.StagesStatus {
		for j := range p.status.StagesStatus[i].Clusters {
			c := &p.status.StagesStatus[i].Clusters[j]
			member := members[c.ClusterName]
			c.ClusterResourceOverrideSnapshots, c.ResourceOverrideSnapshots = rules.On(labels.Set(member.Labels))
			var inForce []v1beta1.OverrideSnapshotObject
			for _, name := range runrules.OverrideSnapshotsOf(c) {
				inForce = append(inForce, byName[name])
			}
			if len(inForce) == 0 {
				continue
			}
			p.inForce[c.ClusterName] = inForce
			// Better before the first cluster is touched than when this one is reached.
			leftOut, err := p.inputs.Misfits(member, inForce)
			if err != nil {
				return final(runrules.Invalid, runrules.ClientError, err.Error())
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
			return append(warnings, fmt.Sprintf("%s do not fit either and are left out", wording.Count(len(u.found)-i, "more override")))
		}
		warnings = append(warnings, fmt.Sprintf("an override does not fit and is left out on %s (%s): %s",
			wording.Count(len(o.clusters), "cluster"), wording.FirstNames(o.clusters), o.message))
	}
	return warnings
}

func overrideName(o v1beta1.OverrideObject) string {
	if o.GetNamespace() == "" {
		return fmt.Sprintf("ClusterResourceOverride `%s`", o.GetName())
	}
	return fmt.Sprintf("ResourceOverride `%s`", wording.Key(o.GetNamespace(), o.GetName()))
}

// planOldOverrides has the versions of overrides be there that clusters go back to.
func (p *planner) planOldOverrides() error {
	asked, err := p.inputs.Overrides()
	if err != nil {
		return inputError(err)
	}
	known := sets.New[string]()
	for _, s := range asked.Snapshots {
		known.Insert(wording.Key(s.GetNamespace(), s.GetName()))
	}
	for i := range p.status.StagesStatus {
		for j := range p.status.StagesStatus[i].Clusters {
			c := &p.status.StagesStatus[i].Clusters[j]
			for _, name := range runrules.OverrideSnapshotsOf(c) {
				if !known.Has(wording.Key(name.Namespace, name.Name)) {
					return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("cluster %s had override snapshot %s, which is not kept any more",
						c.ClusterName, wording.Key(name.Namespace, name.Name)))
				}
			}
		}
	}
	return nil
}

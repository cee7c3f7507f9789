// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

// planSnapshot pins what is rolled out.
func (p *planner) planSnapshot() error {
	asked := p.run.RunSpec().ResourceSnapshotIndex
	if asked == "" {
		return p.planLive()
	}
	n, err := strconv.Atoi(asked)
	if err != nil || n < 0 {
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("invalid resource snapshot index `%s` provided, expected an integer >= 0", asked))
	}
	placement := p.world.Placement
	name := wording.Key(placement.GetNamespace(), placement.GetName())
	master := snapshotrules.Master(p.world.Snapshots, asked)
	if master == nil {
		if slices.ContainsFunc(p.world.Snapshots, func(s v1beta1.ResourceSnapshotObject) bool { return snapshotrules.Index(s) == asked }) {
			return pending(runrules.Invalid, runrules.UnexpectedError, fmt.Sprintf("no master resourceSnapshot found for placement %s", name))
		}
		return pending(runrules.Invalid, runrules.ClientError, fmt.Sprintf("no resourceSnapshots with index `%s` found for placement `%s`", asked, name))
	}
	// One that is not whole does not tell what is rolled out. A number that cannot be read is for those to refuse who place it.
	if parts, want, err := snapshotrules.Parts(master, p.world.Snapshots); err == nil && len(parts) != want {
		return pending(runrules.Invalid, fmt.Sprintf("resource snapshot %s has %d of its %d parts", master.GetName(), len(parts), want))
	}
	p.status.ResourceSnapshotIndexUsed = asked
	if err := refuseUnusable(asked, snapshotrules.Unusable(snapshotrules.Resources(p.world.Snapshots, asked))); err != nil {
		return err
	}
	return p.refuseNothing(n, p.selectsNothing())
}

// planLive uses the snapshot that was taken for the run.
func (p *planner) planLive() error {
	live, err := p.inputs.Snapshot()
	if err != nil {
		return inputError(err)
	}
	p.status.ResourceSnapshotIndexUsed = strconv.Itoa(live.Index)
	if err := refuseUnusable(p.status.ResourceSnapshotIndexUsed, live.Unusable); err != nil {
		return err
	}
	if live.Nothing == "" {
		return nil
	}
	return p.refuseNothing(live.Index, live.Nothing)
}

// refuseUnusable keeps a run from beginning what its first cluster would never be done with: an envelope in the version cannot be placed.
// A rollback brings such a version back to clusters that had it.
func refuseUnusable(index string, unusable error) error {
	if unusable == nil {
		return nil
	}
	return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("resource snapshot %s cannot be rolled out: %v; mend it and create another run", index, unusable))
}

// inputError tells of an error of an input as one of the plan.
func inputError(err error) error {
	var notYet *Pending
	var never *Final
	switch {
	case errors.As(err, &notYet):
		return pending(runrules.Invalid, notYet.Message)
	case errors.As(err, &never):
		return final(runrules.Invalid, runrules.ClientError, never.Message)
	}
	return err
}

// refuseNothing keeps a version from being a success that has nothing, where no earlier one had anything either and no cluster is to be
// cleaned up. What is selected may be created yet. A version that takes away what there was is never refused.
func (p *planner) refuseNothing(index int, why string) error {
	placement := p.world.Placement
	if len(p.unpicked) > 0 || !placeable.NeverAnything(placement, index, p.world.Snapshots, p.world.Bindings) {
		return nil
	}
	message := fmt.Sprintf("there is nothing to roll out: placement `%s` selects nothing", wording.Key(placement.GetNamespace(), placement.GetName()))
	if why != "" {
		message += ": " + why
	}
	return pending(runrules.Invalid, runrules.ClientError, message)
}

// selectsNothing is what the placement says of selecting nothing, if it does.
func (p *planner) selectsNothing() string {
	placement := p.world.Placement
	selected := meta.FindStatusCondition(placement.PlacementStatus().Conditions,
		v1beta1.PlacementConditionType(placement.GetNamespace(), v1beta1.PlacementResourcesSelected))
	if selected == nil || selected.Reason != wellknown.ReasonNothingSelected {
		return ""
	}
	return selected.Message
}

const (
	// maxSize is how large a run may become as JSON, in bytes. It leaves room below the server's limit for one request.
	maxSize = 15 << 20
	// clusterGrowth is what the two conditions of a cluster add.
	clusterGrowth = 480
	// strategyGrowth is what the way adds in which a cluster's version was applied before.
	strategyGrowth = 256
)

// planSize refuses a plan that could not be stored any more when all its clusters are done.
func (p *planner) planSize() error {
	clusters := len(p.targets) + len(p.unpicked)
	growth := clusters * clusterGrowth
	for _, b := range p.world.Bindings {
		// What a cluster has now, or had last, is written down when it is started.
		size, other := 0, false
		for _, v := range bindingrules.Versions(b) {
			size = max(size, sizeOfNames(v.ClusterOverrides, v.Overrides))
			other = other || !bindingrules.SameApplyStrategy(v.ApplyStrategy.WithDefaults(), p.status.ApplyStrategy.WithDefaults())
		}
		growth += size
		if other {
			growth += strategyGrowth
		}
	}
	planned := 0
	for i := range p.status.StagesStatus {
		for _, c := range p.status.StagesStatus[i].Clusters {
			planned += sizeOfNames(c.ClusterResourceOverrideSnapshots, c.ResourceOverrideSnapshots)
		}
	}
	if growth+planned < maxSize/2 {
		return nil
	}
	data, err := json.Marshal(p.status)
	if err != nil {
		return final(runrules.Invalid, runrules.UnexpectedError, err.Error())
	}
	if size := len(data) + growth; size > maxSize {
		return final(runrules.Invalid, runrules.ClientError, fmt.Sprintf("a run over %d clusters would grow to %d bytes, more than the limit of %d; divide the clusters among several placements",
			clusters, size, maxSize))
	}
	return nil
}

// sizeOfNames is at least what the names of overrides take as JSON, in bytes.
func sizeOfNames(cluster []string, namespaced []v1beta1.NamespacedName) int {
	size := 0
	for _, name := range cluster {
		size += len(name) + len(`"",`)
	}
	for _, name := range namespaced {
		size += len(name.Namespace) + len(name.Name) + len(`{"name":"","namespace":""},`)
	}
	return size
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

const (
	pruneSubresource = "prune"
	// prunedByAnnotation is the audit annotation that names who had clusters let go of what they kept, on the request that did.
	prunedByAnnotation = v1beta1.GroupName + "/pruned-by"
)

// Paths are the storages of a resource of this package: the placements, their status, and the subresource prune. The authorizer is asked
// who may use that, the clock says when they did.
func Paths(s *store.Storage, authz authorizer.Authorizer, clk clock.PassiveClock) map[string]rest.Storage {
	paths := s.Paths()
	paths[pruneSubresource] = store.NewActionREST(s, "placement", prunedByAnnotation, &pruning{
		resource:   s.Action.DefaultQualifiedResource,
		authorizer: authz,
		clock:      clk,
	})
	return paths
}

// pruning is the action of the subresource prune: it records in the status that the clusters which have a version let go of what they
// have kept since an adoption. All verbs take and return a PlacementPrune.
type pruning struct {
	resource   schema.GroupResource
	authorizer authorizer.Authorizer
	clock      clock.PassiveClock
}

var _ store.Action[v1beta1.PlacementObject, *v1beta1.PlacementPrune] = &pruning{}

// New implements store.Action.
func (p *pruning) New() *v1beta1.PlacementPrune { return &v1beta1.PlacementPrune{} }

// Read returns for which version clusters were last asked to let go, why, when and by whom.
func (p *pruning) Read(o v1beta1.PlacementObject) *v1beta1.PlacementPrune {
	if record := o.PlacementStatus().Prune; record != nil {
		return pruneAnswer(record)
	}
	return &v1beta1.PlacementPrune{}
}

// Clear implements store.Action.
func (p *pruning) Clear(read *v1beta1.PlacementPrune) { read.Spec = v1beta1.PlacementPruneSpec{} }

// Columns implements store.Action.
func (p *pruning) Columns() []store.Column[*v1beta1.PlacementPrune] {
	type column = store.Column[*v1beta1.PlacementPrune]
	return []column{
		{Name: "Resource-Snapshot", Description: "Version whose clusters were last asked to let go.", Text: func(read *v1beta1.PlacementPrune) string {
			return cmp.Or(read.Spec.ResourceSnapshotName, store.None)
		}},
		{Name: "User", Description: "User who asked.", Text: func(read *v1beta1.PlacementPrune) string {
			if read.Status.User == nil {
				return store.None
			}
			return read.Status.User.Username
		}},
		{Name: "Time", Description: "Time when they did.", Text: func(read *v1beta1.PlacementPrune) string { return store.When(read.Status.Time) }},
		{Name: "Reason", Description: "Reason that they gave.", Text: func(read *v1beta1.PlacementPrune) string {
			return cmp.Or(read.Spec.Reason, store.None)
		}},
	}
}

// Validate returns nothing: the tags of the type say it all.
func (p *pruning) Validate(*v1beta1.PlacementPrune) field.ErrorList { return nil }

// Do records the request, unless the one that is recorded covers it.
func (p *pruning) Do(ctx context.Context, o v1beta1.PlacementObject, asked *v1beta1.PlacementPrune) (*v1beta1.PlacementPrune, bool, error) {
	asker, err := registry.AuthorizeUpdate(ctx, p.authorizer, p.resource, o, pruneSubresource)
	if err != nil {
		return nil, false, err
	}
	status := o.PlacementStatus()
	if o.GetDeletionTimestamp() != nil {
		return nil, false, p.conflict(o, errors.New("the placement is being deleted"))
	}
	if read := p.Read(o); status.Prune != nil && equality.Semantic.DeepEqual(asked.Status, read.Status) && asked.Spec == read.Spec {
		// What is written back as it was read is not asked again: clusters may keep more by now, which nobody has seen.
		return read, false, nil
	}
	keepers := keepersOf(o)
	if record := status.Prune; record != nil && record.ResourceSnapshotName == asked.Spec.ResourceSnapshotName && covers(record, keepers) {
		return pruneAnswer(record), false, nil
	}
	if err := refusePrune(keepers, asked.Spec.ResourceSnapshotName); err != nil {
		return nil, false, p.conflict(o, err)
	}
	status.Prune = &v1beta1.PlacementPruneRecord{
		ResourceSnapshotName: asked.Spec.ResourceSnapshotName,
		Reason:               asked.Spec.Reason,
		User:                 registry.RecordedUser(asker),
		Time:                 metav1.NewTime(p.clock.Now()).Rfc3339Copy(),
	}
	return pruneAnswer(status.Prune), true, nil
}

func (p *pruning) conflict(o v1beta1.PlacementObject, err error) error {
	return apierrors.NewConflict(p.resource, o.GetName(), err)
}

// keeper is a cluster that keeps objects since an adoption.
type keeper struct {
	// snapshot is the version that the cluster has, empty where it is not known.
	snapshot string
	since    metav1.Time
}

func keepersOf(o v1beta1.PlacementObject) []keeper {
	var keepers []keeper
	for i := range o.PlacementStatus().PerClusterPlacementStatuses {
		cluster := &o.PlacementStatus().PerClusterPlacementStatuses[i]
		kept := meta.FindStatusCondition(cluster.Conditions, v1beta1.PlacementObjectsKept)
		if kept == nil || kept.Status != metav1.ConditionTrue {
			continue
		}
		k := keeper{since: kept.LastTransitionTime}
		if index, err := strconv.Atoi(cluster.ObservedResourceIndex); err == nil {
			k.snapshot = wellknown.ResourceSnapshotName(o.GetName(), index)
		}
		keepers = append(keepers, k)
	}
	return keepers
}

// covers reports whether a recorded request is for all that the clusters with its version keep. What they keep only since a later time
// nobody had seen.
func covers(record *v1beta1.PlacementPruneRecord, keepers []keeper) bool {
	return !slices.ContainsFunc(keepers, func(k keeper) bool {
		return k.snapshot == record.ResourceSnapshotName && k.since.After(record.Time.Time)
	})
}

// refusePrune returns why nobody lets go of anything for a version, nil where somebody does.
func refusePrune(keepers []keeper, snapshot string) error {
	var snapshots []string
	for _, k := range keepers {
		if k.snapshot == snapshot {
			return nil
		}
		if k.snapshot != "" {
			snapshots = append(snapshots, k.snapshot)
		}
	}
	if len(keepers) == 0 {
		return errors.New("no cluster keeps objects since an adoption: there is nothing to let go of")
	}
	slices.Sort(snapshots)
	snapshots = slices.Compact(snapshots)
	if len(snapshots) == 0 {
		return fmt.Errorf("no cluster that keeps objects has resource snapshot %q: wait until the status shows the version of those that do", snapshot)
	}
	return fmt.Errorf("no cluster that keeps objects has resource snapshot %q: look at what they keep, and name the version that they have: %s",
		snapshot, wording.List(snapshots))
}

// pruneAnswer is what a user gets back: what was recorded, now or earlier.
func pruneAnswer(record *v1beta1.PlacementPruneRecord) *v1beta1.PlacementPrune {
	return &v1beta1.PlacementPrune{
		Spec:   v1beta1.PlacementPruneSpec{Reason: record.Reason, ResourceSnapshotName: record.ResourceSnapshotName},
		Status: pruneStatus(record),
	}
}

func pruneStatus(record *v1beta1.PlacementPruneRecord) v1beta1.PlacementPruneStatus {
	return v1beta1.PlacementPruneStatus{User: record.User.DeepCopy(), Time: record.Time.DeepCopy()}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
	snapshotrules "github.com/stagegate/stagegate/pkg/rules/snapshot"
)

// limits are what keeps things from being selected on this hub.
type limits struct {
	rules *placeable.Limits
	// placed are the objects of kinds which the rules skip that versions of the placement have, from before there were these rules.
	placed map[schema.GroupKind]sets.Set[types.NamespacedName]
}

// matters reports whether anything of a group could be selected, or is placed.
func (l limits) matters(group string) bool {
	if !matters(group) {
		return false
	}
	for gk := range l.placed {
		if gk.Group == group {
			return true
		}
	}
	return !l.rules.SkipsGroup(group)
}

// limitsOf returns what limits the selection of a placement. What of its versions the cache does not have yet is read from the API.
func (s *Source) limitsOf(ctx context.Context, placement v1beta1.PlacementObject) (limits, error) {
	l := limits{rules: s.limits}
	if !s.limits.LimitKinds() {
		return l, nil
	}
	list, err := s.resources.Read(ctx, reconcile.KeyOf(placement))
	if err != nil {
		return limits{}, err
	}
	l.placed = map[schema.GroupKind]sets.Set[types.NamespacedName]{}
	objects := list.Objects()
	for _, object := range objects {
		if !snapshotrules.IsMaster(object) {
			continue
		}
		for _, id := range snapshotrules.IDs(snapshotrules.Resources(objects, snapshotrules.Index(object))) {
			gk := schema.GroupKind{Group: id.Group, Kind: id.Kind}
			if !s.limits.Skips(gk) {
				continue
			}
			if l.placed[gk] == nil {
				l.placed[gk] = sets.New[types.NamespacedName]()
			}
			l.placed[gk].Insert(types.NamespacedName{Namespace: id.Namespace, Name: id.Name})
		}
	}
	return l, nil
}

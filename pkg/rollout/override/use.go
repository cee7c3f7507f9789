// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// used are the indices of the versions of an override that a cluster has or may get, see bindingrules.Versions, or that a run has rolled out or can go back
// to. A run that is over can still be rolled back. The versions need not exist. Resource snapshots are kept for fewer runs, since they are large; a
// version of an override is small, and its name must not come to mean another one as long as anything says it.
func (c *Controller) used(override reconcile.Key) sets.Set[int] {
	indices := sets.New[int]()
	add := func(user any) {
		for version := range versionsIn(user) {
			// Most are of other overrides, which this tells fast.
			if !strings.HasPrefix(version.Name, override.Name) {
				continue
			}
			if of, index, ok := overrideOf(version); ok && of == override {
				indices.Insert(index)
			}
		}
	}
	for _, binding := range c.fleet.Bindings.All() {
		add(binding)
	}
	for _, run := range c.fleet.Runs.All() {
		add(run)
	}
	return indices
}

// userChanged wakes the overrides of the versions that a binding or a run has named and names no more.
func userChanged(oldObj, newObj any) []reconcile.Key {
	dropped := sets.New[reconcile.Key]()
	for version := range versionsIn(oldObj) {
		dropped.Insert(version)
	}
	for version := range versionsIn(newObj) {
		dropped.Delete(version)
	}
	var keys []reconcile.Key
	for version := range dropped {
		if override, _, ok := overrideOf(version); ok {
			keys = append(keys, override)
		}
	}
	return keys
}

// versionsIn are the versions that a binding or a run names, some of them more than once.
func versionsIn(user any) iter.Seq[reconcile.Key] {
	return func(yield func(reconcile.Key) bool) {
		for clusterScoped, namespaced := range listsIn(user) {
			for _, name := range clusterScoped {
				if !yield(reconcile.Key{Name: name}) {
					return
				}
			}
			for _, name := range namespaced {
				if !yield(reconcile.Key{Namespace: name.Namespace, Name: name.Name}) {
					return
				}
			}
		}
	}
}

// listsIn are the lists with such names. A cluster of a run with the same ones as the cluster before, as most are, is left out.
func listsIn(user any) iter.Seq2[[]string, []v1beta1.NamespacedName] {
	return func(yield func([]string, []v1beta1.NamespacedName) bool) {
		switch user := user.(type) {
		case v1beta1.BindingObject:
			for _, v := range bindingrules.Versions(user) {
				if !yield(v.ClusterOverrides, v.Overrides) {
					return
				}
			}
		case v1beta1.UpdateRunObject:
			last := &v1beta1.ClusterUpdatingStatus{}
			for _, stage := range user.RunStatus().StagesStatus {
				for i := range stage.Clusters {
					c := &stage.Clusters[i]
					if sameLists(c, last) {
						continue
					}
					last = c
					if !yield(c.ClusterResourceOverrideSnapshots, c.ResourceOverrideSnapshots) ||
						!yield(c.PreviousClusterResourceOverrideSnapshots, c.PreviousResourceOverrideSnapshots) {
						return
					}
				}
			}
		}
	}
}

func sameLists(a, b *v1beta1.ClusterUpdatingStatus) bool {
	return slices.Equal(a.ClusterResourceOverrideSnapshots, b.ClusterResourceOverrideSnapshots) &&
		slices.Equal(a.ResourceOverrideSnapshots, b.ResourceOverrideSnapshots) &&
		slices.Equal(a.PreviousClusterResourceOverrideSnapshots, b.PreviousClusterResourceOverrideSnapshots) &&
		slices.Equal(a.PreviousResourceOverrideSnapshots, b.PreviousResourceOverrideSnapshots)
}

// overrideOf takes the name of a version apart.
func overrideOf(version reconcile.Key) (override reconcile.Key, index int, ok bool) {
	dash := strings.LastIndexByte(version.Name, '-')
	if dash < 0 {
		return reconcile.Key{}, 0, false
	}
	override = reconcile.Key{Namespace: version.Namespace, Name: version.Name[:dash]}
	index, err := strconv.Atoi(version.Name[dash+1:])
	return override, index, err == nil && wellknown.OverrideSnapshotName(override.Name, index) == version.Name
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import "github.com/stagegate/stagegate/pkg/registry/store"

// Categories are the categories of every resource of the group: kubectl get fleet-placement lists them all.
var Categories = []string{"fleet", "fleet-placement"}

// ClusterScoped returns the names of a cluster-scoped resource.
func ClusterScoped(plural string, shortNames ...string) store.Names {
	return store.Names{Plural: plural, ShortNames: shortNames, Categories: Categories}
}

// Namespaced returns the names of a namespaced resource.
func Namespaced(plural string, shortNames ...string) store.Names {
	return store.Names{Plural: plural, ShortNames: shortNames, Categories: Categories, Namespaced: true}
}

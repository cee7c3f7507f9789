// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import "github.com/stagegate/stagegate/pkg/registry/store"

// Categories are those of every resource of the group: kubectl get fleet-placement lists them.
var Categories = []string{"fleet", "fleet-placement"}

// ClusterScoped are the names of a resource outside namespaces.
func ClusterScoped(plural string, shortNames ...string) store.Names {
	return store.Names{Plural: plural, ShortNames: shortNames, Categories: Categories}
}

// Namespaced are the names of a resource inside namespaces.
func Namespaced(plural string, shortNames ...string) store.Names {
	return store.Names{Plural: plural, ShortNames: shortNames, Categories: Categories, Namespaced: true}
}

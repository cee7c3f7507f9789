// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package act

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Noun is what a user names: a kind in both scopes.
type Noun struct {
	// cluster and namespaced are the resource and its other names.
	cluster, namespaced []string
}

// The nouns of users.
var (
	Runs       = Noun{[]string{"clusterstagedupdateruns", "clusterstagedupdaterun", "csur"}, []string{"stagedupdateruns", "stagedupdaterun", "sur"}}
	Requests   = Noun{[]string{"clusterapprovalrequests", "clusterapprovalrequest", "careq"}, []string{"approvalrequests", "approvalrequest", "areq"}}
	Placements = Noun{[]string{"clusterresourceplacements", "clusterresourceplacement", "crp"}, []string{"resourceplacements", "resourceplacement", "rp"}}
)

// Resource returns the resource of a scope: of the cluster for an empty namespace.
func (n Noun) Resource(namespace string) string {
	if namespace == "" {
		return n.cluster[0]
	}
	return n.namespaced[0]
}

// Short returns the short name of a scope, by which users are told of it.
func (n Noun) Short(namespace string) string {
	if namespace == "" {
		return n.cluster[len(n.cluster)-1]
	}
	return n.namespaced[len(n.namespaced)-1]
}

// IsCluster reports whether a name is one of the cluster-scoped kind.
func (n Noun) IsCluster(name string) bool { return slices.Contains(n.cluster, name) }

// IsNamespaced reports whether a name is one of the namespaced kind.
func (n Noun) IsNamespaced(name string) bool { return slices.Contains(n.namespaced, name) }

// Name returns how a user names an object: csur/NAME, or sur/NAME -n NAMESPACE.
func (n Noun) Name(key types.NamespacedName) string {
	if key.Namespace == "" {
		return n.Short("") + "/" + key.Name
	}
	return n.Short(key.Namespace) + "/" + key.Name + " -n " + key.Namespace
}

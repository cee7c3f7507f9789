// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membercluster

import (
	"github.com/stagegate/stagegate/pkg/apis/cluster"
	"github.com/stagegate/stagegate/pkg/apis/cluster/validation"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// maxNameLength leaves room for the prefix of the cluster's namespace, and lets the name be a label's value.
const maxNameLength = 63

// categories are those of every resource of the group.
var categories = []string{"fleet", "fleet-cluster"}

// Resources are MemberCluster and InternalMemberCluster.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[cluster.MemberCluster, cluster.MemberClusterList](cluster.GroupName,
			store.Names{Plural: "memberclusters", ShortNames: []string{"cluster"}, Categories: categories}, memberFamily()),
		store.NewResource[cluster.InternalMemberCluster, cluster.InternalMemberClusterList](cluster.GroupName,
			store.Names{Plural: "internalmemberclusters", ShortNames: []string{"imc"}, Categories: categories, Namespaced: true}, internalFamily()),
	}
}

func memberFamily() store.Family[*cluster.MemberCluster, cluster.MemberClusterSpec, cluster.MemberClusterStatus] {
	return store.Family[*cluster.MemberCluster, cluster.MemberClusterSpec, cluster.MemberClusterStatus]{
		Spec:                 func(o *cluster.MemberCluster) *cluster.MemberClusterSpec { return &o.Spec },
		Status:               func(o *cluster.MemberCluster) *cluster.MemberClusterStatus { return &o.Status },
		Name:                 store.NameLimit{Max: maxNameLength, Message: "metadata.name max length is 63"},
		Validate:             validation.ValidateMemberCluster,
		ValidateUpdate:       validation.ValidateMemberClusterUpdate,
		ValidateStatusUpdate: validation.ValidateMemberClusterStatusUpdate,
		Columns:              columns(),
	}
}

func internalFamily() store.Family[*cluster.InternalMemberCluster, cluster.InternalMemberClusterSpec, cluster.InternalMemberClusterStatus] {
	return store.Family[*cluster.InternalMemberCluster, cluster.InternalMemberClusterSpec, cluster.InternalMemberClusterStatus]{
		Spec:                 func(o *cluster.InternalMemberCluster) *cluster.InternalMemberClusterSpec { return &o.Spec },
		Status:               func(o *cluster.InternalMemberCluster) *cluster.InternalMemberClusterStatus { return &o.Status },
		Validate:             validation.ValidateInternalMemberCluster,
		ValidateUpdate:       validation.ValidateInternalMemberClusterUpdate,
		ValidateStatusUpdate: validation.ValidateInternalMemberClusterStatusUpdate,
		Columns:              []store.Column[*cluster.InternalMemberCluster]{store.Age[*cluster.InternalMemberCluster]()},
	}
}

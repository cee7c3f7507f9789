// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package membercluster

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/cluster/v1beta1"
	clustervalidation "github.com/stagegate/stagegate/pkg/apis/cluster/validation"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
)

// maxNameLength leaves room for the prefix of the member's namespace, whose name has at most 63 characters.
const maxNameLength = validation.DNS1123LabelMaxLength - len(wellknown.MemberNamespacePrefix)

// namesANamespace is why a name can be refused.
const namesANamespace = wellknown.MemberNamespacePrefix + "<name> is the name of the member's namespace on the hub"

// categories are those of every resource of the group.
var categories = []string{"fleet", "fleet-cluster"}

// Resources are MemberCluster and InternalMemberCluster.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[v1beta1.MemberCluster, v1beta1.MemberClusterList](v1beta1.GroupName,
			store.Names{Plural: "memberclusters", ShortNames: []string{"cluster"}, Categories: categories}, memberFamily()),
		store.NewResource[v1beta1.InternalMemberCluster, v1beta1.InternalMemberClusterList](v1beta1.GroupName,
			store.Names{Plural: "internalmemberclusters", ShortNames: []string{"imc"}, Categories: categories, Namespaced: true}, internalFamily()),
	}
}

func memberFamily() store.Family[*v1beta1.MemberCluster, v1beta1.MemberClusterSpec, v1beta1.MemberClusterStatus] {
	return store.Family[*v1beta1.MemberCluster, v1beta1.MemberClusterSpec, v1beta1.MemberClusterStatus]{
		Spec:                 func(o *v1beta1.MemberCluster) *v1beta1.MemberClusterSpec { return &o.Spec },
		Status:               func(o *v1beta1.MemberCluster) *v1beta1.MemberClusterStatus { return &o.Status },
		Name:                 store.NameLimit{Max: maxNameLength, Message: fmt.Sprintf("must have at most %d characters: %s", maxNameLength, namesANamespace)},
		Validate:             validateNew,
		ValidateUpdate:       clustervalidation.ValidateMemberClusterUpdate,
		ValidateStatusUpdate: clustervalidation.ValidateMemberClusterStatusUpdate,
		Columns:              columns(),
	}
}

// validateNew refuses a name of which no namespace can be named. A member that has such a name already cannot have joined, and may be
// edited and deleted.
func validateNew(o *v1beta1.MemberCluster) field.ErrorList {
	var errs field.ErrorList
	if strings.Contains(o.Name, ".") {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.Name, "must have no dot: "+namesANamespace))
	}
	return append(errs, clustervalidation.ValidateMemberCluster(o)...)
}

func internalFamily() store.Family[*v1beta1.InternalMemberCluster, v1beta1.InternalMemberClusterSpec, v1beta1.InternalMemberClusterStatus] {
	return store.Family[*v1beta1.InternalMemberCluster, v1beta1.InternalMemberClusterSpec, v1beta1.InternalMemberClusterStatus]{
		Spec:                 func(o *v1beta1.InternalMemberCluster) *v1beta1.InternalMemberClusterSpec { return &o.Spec },
		Status:               func(o *v1beta1.InternalMemberCluster) *v1beta1.InternalMemberClusterStatus { return &o.Status },
		Validate:             clustervalidation.ValidateInternalMemberCluster,
		ValidateUpdate:       clustervalidation.ValidateInternalMemberClusterUpdate,
		ValidateStatusUpdate: clustervalidation.ValidateInternalMemberClusterStatusUpdate,
		AuthorizeStatusUpdate: func(ctx context.Context, o, old *v1beta1.InternalMemberCluster) field.ErrorList {
			if registry.IsController(ctx) {
				return nil
			}
			return memberreport.ValidateClusterStatus(o, old)
		},
		Columns: []store.Column[*v1beta1.InternalMemberCluster]{store.Age[*v1beta1.InternalMemberCluster]()},
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/rules/memberreport"
)

// Resources are Work and AppliedWork.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[v1beta1.Work, v1beta1.WorkList](
			v1beta1.GroupName, registry.Namespaced("works"), workFamily()),
		store.NewResource[v1beta1.AppliedWork, v1beta1.AppliedWorkList](
			v1beta1.GroupName, registry.ClusterScoped("appliedworks"), appliedWorkFamily()),
	}
}

func workFamily() store.Family[*v1beta1.Work, v1beta1.WorkSpec, v1beta1.WorkStatus] {
	return store.Family[*v1beta1.Work, v1beta1.WorkSpec, v1beta1.WorkStatus]{
		Spec:                 func(o *v1beta1.Work) *v1beta1.WorkSpec { return &o.Spec },
		Status:               func(o *v1beta1.Work) *v1beta1.WorkStatus { return &o.Status },
		Validate:             validation.ValidateWork,
		ValidateUpdate:       validation.ValidateWorkUpdate,
		ValidateStatusUpdate: validation.ValidateWorkStatusUpdate,
		AuthorizeStatusUpdate: func(ctx context.Context, o, old *v1beta1.Work) field.ErrorList {
			if registry.IsController(ctx) {
				return nil
			}
			return memberreport.ValidateWorkStatus(o, old)
		},
		Columns: []store.Column[*v1beta1.Work]{
			store.Age[*v1beta1.Work](),
			store.Condition("Applied", v1beta1.WorkApplied, conditions).OnlyWide(),
			store.Condition("Available", v1beta1.WorkAvailable, conditions).OnlyWide(),
		},
	}
}

func appliedWorkFamily() store.Family[*v1beta1.AppliedWork, v1beta1.AppliedWorkSpec, v1beta1.AppliedWorkStatus] {
	return store.Family[*v1beta1.AppliedWork, v1beta1.AppliedWorkSpec, v1beta1.AppliedWorkStatus]{
		Spec:                 func(o *v1beta1.AppliedWork) *v1beta1.AppliedWorkSpec { return &o.Spec },
		Status:               func(o *v1beta1.AppliedWork) *v1beta1.AppliedWorkStatus { return &o.Status },
		Validate:             validation.ValidateAppliedWork,
		ValidateUpdate:       validation.ValidateAppliedWorkUpdate,
		ValidateStatusUpdate: validation.ValidateAppliedWorkStatusUpdate,
		Columns:              []store.Column[*v1beta1.AppliedWork]{store.Age[*v1beta1.AppliedWork]()},
	}
}

func conditions(o *v1beta1.Work) []metav1.Condition { return o.Status.Conditions }

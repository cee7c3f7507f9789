// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Resources are Work and AppliedWork.
func Resources() []store.Resource {
	return []store.Resource{
		store.NewResource[placement.Work, placement.WorkList](
			placement.GroupName, registry.Namespaced("works"), workFamily()),
		store.NewResource[placement.AppliedWork, placement.AppliedWorkList](
			placement.GroupName, registry.ClusterScoped("appliedworks"), appliedWorkFamily()),
	}
}

func workFamily() store.Family[*placement.Work, placement.WorkSpec, placement.WorkStatus] {
	return store.Family[*placement.Work, placement.WorkSpec, placement.WorkStatus]{
		Spec:                 func(o *placement.Work) *placement.WorkSpec { return &o.Spec },
		Status:               func(o *placement.Work) *placement.WorkStatus { return &o.Status },
		Validate:             validation.ValidateWork,
		ValidateUpdate:       validation.ValidateWorkUpdate,
		ValidateStatusUpdate: validation.ValidateWorkStatusUpdate,
		Columns: []store.Column[*placement.Work]{
			store.Age[*placement.Work](),
			store.Condition("Applied", placement.WorkApplied, conditions).OnlyWide(),
			store.Condition("Available", placement.WorkAvailable, conditions).OnlyWide(),
		},
	}
}

func appliedWorkFamily() store.Family[*placement.AppliedWork, placement.AppliedWorkSpec, placement.AppliedWorkStatus] {
	return store.Family[*placement.AppliedWork, placement.AppliedWorkSpec, placement.AppliedWorkStatus]{
		Spec:                 func(o *placement.AppliedWork) *placement.AppliedWorkSpec { return &o.Spec },
		Status:               func(o *placement.AppliedWork) *placement.AppliedWorkStatus { return &o.Status },
		Validate:             validation.ValidateAppliedWork,
		ValidateUpdate:       validation.ValidateAppliedWorkUpdate,
		ValidateStatusUpdate: validation.ValidateAppliedWorkStatusUpdate,
		Columns:              []store.Column[*placement.AppliedWork]{store.Age[*placement.AppliedWork]()},
	}
}

func conditions(o *placement.Work) []metav1.Condition { return o.Status.Conditions }

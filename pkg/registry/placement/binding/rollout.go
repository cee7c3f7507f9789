// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/placement/validation"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

// Paths returns the storages of a resource of this package: the bindings, their status, and the subresource rollout.
func Paths(s *store.Storage) map[string]rest.Storage {
	paths := s.Paths()
	maps.Copy(paths, map[string]rest.Storage{"rollout": newRolloutREST(s)})
	return paths
}

// RolloutREST serves the rollout subresource of a binding: PUT of the binding with a version to hold and the condition RolloutStarted.
// Both are one write, so that nobody ever sees a version without knowing whether its rollout has started.
type RolloutREST struct {
	store *genericregistry.Store
}

var (
	_ rest.Storage                   = &RolloutREST{}
	_ rest.Updater                   = &RolloutREST{}
	_ rest.ResetFieldsFilterStrategy = &RolloutREST{}
)

func newRolloutREST(s *store.Storage) *RolloutREST {
	rollout := *s.REST.Store
	rollout.UpdateStrategy = rolloutStrategy{rollout.UpdateStrategy.(store.Strategy)}
	return &RolloutREST{store: &rollout}
}

// New implements rest.Storage.
func (r *RolloutREST) New() runtime.Object { return r.store.New() }

// Destroy does nothing: the store belongs to the bindings, which destroy it.
func (r *RolloutREST) Destroy() {}

// Update writes a binding that exists. It never creates one.
func (r *RolloutREST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, objInfo, createValidation, updateValidation, false, options)
}

// GetResetFieldsFilter leaves a write to the subresource one condition of the status to own.
func (r *RolloutREST) GetResetFieldsFilter() map[fieldpath.APIVersion]fieldpath.Filter {
	filter := fieldpath.NewIncludeMatcherFilter(
		fieldpath.MakePrefixMatcherOrDie("metadata"),
		fieldpath.MakePrefixMatcherOrDie("spec"),
		fieldpath.MakePrefixMatcherOrDie("status", "conditions", fieldpath.KeyByFields("type", v1beta1.BindingRolloutStarted)),
	)
	filters := map[fieldpath.APIVersion]fieldpath.Filter{}
	for _, version := range store.Versions(v1beta1.GroupName) {
		filters[fieldpath.APIVersion(v1beta1.GroupName+"/"+version)] = filter
	}
	return filters
}

// rolloutStrategy is the strategy of the bindings, which lets one condition pass. It embeds the whole strategy, since stores look for
// optional interfaces, such as validation by tags.
type rolloutStrategy struct{ store.Strategy }

// PrepareForUpdate keeps the stored status except for the condition RolloutStarted, which is about the generation of this write.
func (s rolloutStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	binding := obj.(v1beta1.BindingObject)
	started := meta.FindStatusCondition(binding.BindingStatus().Conditions, v1beta1.BindingRolloutStarted).DeepCopy()
	s.Strategy.PrepareForUpdate(ctx, obj, old)
	// Until here the list belongs to the stored object.
	list := slices.DeleteFunc(slices.Clone(binding.BindingStatus().Conditions), func(c metav1.Condition) bool {
		return c.Type == v1beta1.BindingRolloutStarted
	})
	if started != nil {
		started.ObservedGeneration = binding.GetGeneration()
		list = slices.Insert(list, 0, *started)
	}
	binding.BindingStatus().Conditions = list
}

// ValidateUpdate checks the binding and its status, and requires the condition RolloutStarted.
func (s rolloutStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	binding, stored := obj.(v1beta1.BindingObject), old.(v1beta1.BindingObject)
	errs := s.Strategy.ValidateUpdate(ctx, obj, old)
	errs = append(errs, validation.ValidateBindingStatusUpdate(binding, stored)...)
	if meta.FindStatusCondition(binding.BindingStatus().Conditions, v1beta1.BindingRolloutStarted) == nil {
		errs = append(errs, field.Required(field.NewPath("status", "conditions"), "must contain the condition "+v1beta1.BindingRolloutStarted))
	}
	return errs
}

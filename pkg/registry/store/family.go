// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Family is what the cluster-scoped and the namespaced kind of a family have in common. O is the interface of both, S their spec and T
// their status, which is struct{} for kinds without one.
type Family[O Object, S, T any] struct {
	// Spec returns what the user wants: everything outside metadata and status. A change of it is a new generation.
	Spec func(obj O) *S
	// Status returns what the server reports, which only the status subresource writes. It is nil for kinds that have neither.
	Status func(obj O) *T

	// OnCreate records in a new object what only the server knows, such as the user who creates it. sent is the status in the
	// request, which is otherwise dropped. Nil records nothing.
	OnCreate func(ctx context.Context, obj O, sent *T)
	// Keep restores in an object that is written as a whole what cannot be changed and the writer has left out: a client built on
	// KubeFleet's types drops the fields that it does not know. Nil restores nothing.
	Keep func(obj, old O)
	// Finalizers are the server's own. A user who writes an object does not take them off, since no manifest has them. Who may do so on one
	// that is being deleted, admission decides. ServersOwn reports whether the server makes a request, and must be set where there are any.
	Finalizers []string
	ServersOwn func(ctx context.Context) bool
	// OnUpdate records in the status of a changed object what only the server knows, such as the user who changed it. Nil records nothing.
	OnUpdate func(ctx context.Context, obj, old O)
	// ResetServerOwned restores the fields of a written status that only the server may change. Nil means that there are none.
	ResetServerOwned func(ctx context.Context, status, stored *T)

	// Name limits the names beyond what holds for every object.
	Name NameLimit

	// Validate checks a new object.
	Validate func(obj O) field.ErrorList
	// Authorize checks what only some users may put into a new object. Nil allows everything to all.
	Authorize func(ctx context.Context, obj O) field.ErrorList
	// ValidateUpdate checks a changed object against what it was. Nil allows every change.
	ValidateUpdate func(obj, old O) field.ErrorList
	// ValidateStatusUpdate checks a written status. Nil allows all that the types do.
	ValidateStatusUpdate func(obj, old O) field.ErrorList
	// AuthorizeStatusUpdate checks what only some users may write into a status. Nil allows everything to all.
	AuthorizeStatusUpdate func(ctx context.Context, obj, old O) field.ErrorList

	// Warnings returns a warning for everything in an object that is legal but probably not meant. It is called on create, and on
	// updates of the spec. Nil warns of nothing.
	Warnings func(obj O) []string
	// WarningsOnUpdate returns a warning for everything in a change of the spec that is legal but probably not meant. Nil warns of nothing.
	WarningsOnUpdate func(obj, old O) []string

	// Columns are what kubectl get prints after the name.
	Columns []Column[O]
	// Fields are what field selectors may ask for beyond name and namespace. Each version's field label conversion must allow them too.
	Fields map[string]func(obj O) string
}

// NameLimit is the longest name of a family. The zero value sets no limit of its own.
type NameLimit struct {
	// Max is the number of characters allowed.
	Max int
	// Message is the error for a longer name.
	Message string
}

// countGeneration sets the generation: one more than that of old if the spec differs.
func (f Family[O, S, T]) countGeneration(obj, old O) {
	obj.SetGeneration(old.GetGeneration())
	if !equality.DeepEqual(f.Spec(obj), f.Spec(old)) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

func (f Family[O, S, T]) fieldLabels() []string {
	return slices.Sorted(maps.Keys(f.Fields))
}

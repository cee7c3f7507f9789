// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Family is what the cluster-scoped and the namespaced kind of a family have in common. O is the family seen as one, S its spec and
// T its status; kinds without a status have struct{} there.
type Family[O Object, S, T any] struct {
	// Spec points at what the user wants: everything outside metadata and status. A change of it is a new generation.
	Spec func(obj O) *S
	// Status points at what the server reports, which only the status subresource writes. Nil means that there is neither.
	Status func(obj O) *T

	// Stamp records in a new object what the server alone knows, such as who creates it. sent is the status that came with the
	// object, which is dropped otherwise. Nil means nothing.
	Stamp func(ctx context.Context, obj O, sent *T)
	// Record records in the status of a changed object what the server alone knows, such as who changed it. Nil means nothing.
	Record func(ctx context.Context, obj, old O)
	// Keep takes back what a client changed of the status that the server alone writes. Nil means that there is nothing.
	Keep func(ctx context.Context, status, stored *T)

	// Name limits the names beyond what holds for every object.
	Name NameLimit

	// Validate checks a new object.
	Validate func(obj O) field.ErrorList
	// Restrict checks what only some users may put into a new object. Nil means nothing.
	Restrict func(ctx context.Context, obj O) field.ErrorList
	// ValidateUpdate checks a changed object, both what it is and what it was.
	ValidateUpdate func(obj, old O) field.ErrorList
	// ValidateStatusUpdate checks a written status. Nil allows all that the types do.
	ValidateStatusUpdate func(obj, old O) field.ErrorList

	// Warnings says what is legal in an object but probably not meant. Asked on create, and on an update of the spec.
	Warnings func(obj O) []string
	// WarningsOnUpdate says what of a change of the spec is legal but probably not meant. Nil means nothing.
	WarningsOnUpdate func(obj, old O) []string
	// Inert says that no loop acts on the family yet: whoever creates one is told.
	Inert bool

	// Columns are what kubectl get prints after the name.
	Columns []Column[O]
	// Fields are what field selectors may ask for beyond name and namespace. Each version's field label conversion has to allow
	// them too.
	Fields map[string]func(obj O) string
}

// NameLimit is the longest name of a family. The zero value sets no limit of its own.
type NameLimit struct {
	// Max is the number of characters allowed.
	Max int
	// Message says so in the error.
	Message string
}

// countGeneration makes a new generation where the spec is changed.
func (f Family[O, S, T]) countGeneration(obj, old O) {
	obj.SetGeneration(old.GetGeneration())
	if !equality.DeepEqual(f.Spec(obj), f.Spec(old)) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

func (f Family[O, S, T]) fieldLabels() []string {
	return slices.Sorted(maps.Keys(f.Fields))
}

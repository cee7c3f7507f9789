// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/stagegate/stagegate/pkg/apis/scheme"
)

// base is what all strategies have in common. Validation by the tags of the types comes with DeclarativeValidation.
type base struct {
	rest.DeclarativeValidation
	names.NameGenerator

	group      string
	namespaced bool
}

func newBase(group string, namespaced bool) base {
	return base{
		DeclarativeValidation: rest.DeclarativeValidation{Scheme: scheme.Scheme},
		NameGenerator:         names.SimpleNameGenerator,
		group:                 group,
		namespaced:            namespaced,
	}
}

// NamespaceScoped says whether objects are in a namespace.
func (b base) NamespaceScoped() bool { return b.namespaced }

// AllowCreateOnUpdate is false: as with custom resources, a PUT does not create. Server-side apply does.
func (base) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate is false: as with custom resources, a PUT has to name the resourceVersion that it replaces.
func (base) AllowUnconditionalUpdate(context.Context) bool { return false }

// Canonicalize changes nothing.
func (base) Canonicalize(runtime.Object) {}

// reset is the set of top-level fields that a strategy takes back, for every version that a request can come in.
func (b base) reset(fields ...string) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet()
	for _, f := range fields {
		set.Insert(fieldpath.MakePathOrDie(f))
	}
	byVersion := make(map[fieldpath.APIVersion]*fieldpath.Set, len(Versions))
	for _, v := range Versions {
		byVersion[fieldpath.APIVersion(b.group+"/"+v)] = set
	}
	return byVersion
}

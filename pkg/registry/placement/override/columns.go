// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package override

import (
	"strings"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

func columns[O store.Object](ref func(O) *v1beta1.PlacementRef, selects func(O) []string) []store.Column[O] {
	return []store.Column[O]{
		{Name: "Placement", Description: "Placement that the override is for.", Text: func(o O) string { return placementOf(o, ref(o)) }},
		store.Age[O](),
		{Name: "Selects", Wide: true, Description: "Objects that the override changes.", Text: func(o O) string { return strings.Join(selects(o), ",") }},
	}
}

// placementOf says which placement is meant. One of the override's own namespace is told from a cluster-scoped one of the same name.
func placementOf[O store.Object](override O, ref *v1beta1.PlacementRef) string {
	switch {
	case ref == nil:
		return "<all>"
	case ref.Scope == v1beta1.NamespaceScoped:
		return override.GetNamespace() + "/" + ref.Name
	}
	return ref.Name
}

func namesOf[S any](selectors []S, name func(S) string) []string {
	names := make([]string, 0, len(selectors))
	for _, s := range selectors {
		names = append(names, name(s))
	}
	return names
}

func snapshotColumns[O store.Object]() []store.Column[O] {
	return []store.Column[O]{
		label[O]("Override", "Override that this is a version of.", wellknown.ParentOverrideLabel),
		label[O]("Index", "Index of the version.", wellknown.OverrideIndexLabel),
		label[O]("Latest", "Whether this is the newest version.", wellknown.LatestSnapshotLabel),
		store.Age[O](),
	}
}

func label[O store.Object](name, description, key string) store.Column[O] {
	return store.Column[O]{Name: name, Description: description, Text: func(o O) string { return o.GetLabels()[key] }}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	"github.com/stagegate/stagegate/pkg/rules/placeable"
)

const aSecret = `{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a}}`

func parseLimits(t *testing.T, o placeable.LimitOptions) *placeable.Limits {
	t.Helper()
	l, err := placeable.ParseLimits(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// limited is a source that has read all there is, and selects within limits.
func (w *world) limited(o placeable.LimitOptions) *Source {
	w.t.Helper()
	s := w.source()
	s.limits = parseLimits(w.t, o)
	return s
}

// takes makes a version and returns what is in it, or why there is none.
func (w *world) takes(s *Source) ([]string, error) {
	w.t.Helper()
	selection, err := s.Snapshot(w.t.Context(), w.placement, false)
	var kinds []string
	for _, r := range selection.Resources {
		kinds = append(kinds, r.ID.Kind+" "+r.ID.Name)
	}
	return kinds, err
}

func TestWhatLimitsSkipIsNotSelected(t *testing.T) {
	whole := namespaceTerm("a", v1beta1.NamespaceWithResources)
	for name, tt := range map[string]struct {
		limits    placeable.LimitOptions
		placement v1beta1.PlacementObject
		want      string
		refused   string
	}{
		"a kind in a namespace":   {placeable.LimitOptions{SkippedAPIs: "v1/Secret"}, placementIn("", whole), "Namespace a, ConfigMap test", ""},
		"a group in a namespace":  {placeable.LimitOptions{SkippedAPIs: "rbac.authorization.k8s.io"}, placementIn("", whole), "Namespace a, Secret s, ConfigMap test", ""},
		"all but what is allowed": {placeable.LimitOptions{AllowedAPIs: "v1/Namespace,Secret"}, placementIn("", whole), "Namespace a, Secret s", ""},
		"a kind that a selector names": {placeable.LimitOptions{SkippedAPIs: "v1/Secret"}, placementIn("a", named("", "v1", "Secret", "s")), "",
			"invalid resourcePlacement a/app: Secret is not allowed to propagate on this hub (the server's --skipped-propagating-apis or --allowed-propagating-apis): remove the selector"},
		"Namespace that is not allowed": {placeable.LimitOptions{AllowedAPIs: "v1/Secret"}, placementIn("", whole), "",
			"invalid clusterResourcePlacement app: Namespace is not allowed to propagate on this hub (the server's --skipped-propagating-apis or --allowed-propagating-apis): remove the selector"},
		"a namespace": {placeable.LimitOptions{SkippedNamespaces: "a"}, placementIn("", whole), "",
			"invalid clusterResourcePlacement app: namespace a is not allowed to propagate"},
		"in a namespace": {placeable.LimitOptions{SkippedNamespaces: "a"}, placementIn("a", named("", "v1", "ConfigMap", "test")), "",
			"invalid resourcePlacement a/app: namespace a is not allowed to propagate"},
		"another namespace": {placeable.LimitOptions{SkippedNamespaces: "b"}, placementIn("a", named("", "v1", "ConfigMap", "test")), "ConfigMap test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, tt.placement)
			w.hub.put(aSecret)
			got, err := w.takes(w.limited(tt.limits))
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("selects %q, want %q", got, tt.want)
			}
			if message := ""; err != nil || tt.refused != "" {
				if err != nil {
					message = err.Error()
				}
				if message != tt.refused || !reconcile.IsTerminal(err) {
					t.Errorf("error %q, want %q", message, tt.refused)
				}
			}
		})
	}
}

// A kind that becomes skipped must not be taken off clusters by the next version: whoever sets a flag deletes nothing.
func TestWhatIsPlacedOfASkippedKindStays(t *testing.T) {
	const refusal = "invalid clusterResourcePlacement app: Secret a/s is placed, and not allowed to propagate on this hub any more: clusters keep it, and there is no new version. " +
		"To have it removed from clusters, delete it on the hub, or select the other objects of the namespace by themselves"
	whole := namespaceTerm("a", v1beta1.NamespaceWithResources)
	skipped := placeable.LimitOptions{SkippedAPIs: "v1/Secret"}
	placedWorld := func(t *testing.T) *world {
		w := newWorldOf(t, placementIn("", whole))
		w.hub.put(aSecret)
		w.snapshot(false)
		w.hub.put(configMap("a", "another", "value"))
		return w
	}
	holds := func(t *testing.T, w *world, s *Source, want string) {
		t.Helper()
		if got, err := w.takes(s); err == nil || err.Error() != want {
			t.Errorf("selects %q, error %v, want %q", got, err, want)
		}
		w.expect("app-0-snapshot 0 true")
	}
	t.Run("while it is there", func(t *testing.T) {
		w := placedWorld(t)
		holds(t, w, w.limited(skipped), refusal)
		holds(t, w, w.limited(placeable.LimitOptions{AllowedAPIs: "v1/Namespace,ConfigMap"}), refusal)
	})
	t.Run("while the cache lacks the version", func(t *testing.T) {
		w := placedWorld(t)
		s := newSource(fleet.New(w.api), w.hub, w.hub.metadata, w.hub.dynamic)
		s.limits = parseLimits(t, skipped)
		holds(t, w, s, refusal)
	})
	t.Run("while its kind cannot be told", func(t *testing.T) {
		w := newWorldOf(t, placementIn("", whole))
		w.hub.put(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: r, namespace: a}}`)
		w.snapshot(false)
		w.hub.set(func() {
			w.hub.failed[schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}] = errors.New("no answer")
		})
		var unseen *incomplete
		if got, err := w.takes(w.limited(placeable.LimitOptions{SkippedAPIs: "rbac.authorization.k8s.io"})); !errors.As(err, &unseen) {
			t.Errorf("selects %q, error %v", got, err)
		}
		w.expect("app-0-snapshot 0 true")
	})
	t.Run("while it cannot be read", func(t *testing.T) {
		w := placedWorld(t)
		w.hub.refuse("secrets")
		var unseen *incomplete
		if got, err := w.takes(w.limited(skipped)); !errors.As(err, &unseen) {
			t.Errorf("selects %q, error %v", got, err)
		}
		w.expect("app-0-snapshot 0 true")
	})
	t.Run("until it is deleted", func(t *testing.T) {
		w := placedWorld(t)
		if err := w.hub.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace("a").Delete(t.Context(), "s", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if got, err := w.takes(w.limited(skipped)); err != nil || !slices.Equal(got, []string{"Namespace a", "ConfigMap another", "ConfigMap test"}) {
			t.Errorf("selects %q, error %v", got, err)
		}
	})
	t.Run("until no selector selects it", func(t *testing.T) {
		w := placedWorld(t)
		w.placement.PlacementSpec().ResourceSelectors = []v1beta1.ResourceSelectorTerm{namespaceTerm("a", v1beta1.NamespaceWithResourceSelectors), named("", "v1", "ConfigMap", "test")}
		if got, err := w.takes(w.limited(skipped)); err != nil || !slices.Equal(got, []string{"Namespace a", "ConfigMap test"}) {
			t.Errorf("selects %q, error %v", got, err)
		}
	})
	t.Run("and one that was never placed is left out", func(t *testing.T) {
		w := newWorldOf(t, placementIn("", whole))
		w.snapshot(false)
		w.hub.put(aSecret)
		// Nor is a kind asked for that the server may not read.
		w.hub.refuse("secrets")
		if got, err := w.takes(w.limited(skipped)); err != nil || !slices.Equal(got, []string{"Namespace a", "ConfigMap test"}) {
			t.Errorf("selects %q, error %v", got, err)
		}
	})
}

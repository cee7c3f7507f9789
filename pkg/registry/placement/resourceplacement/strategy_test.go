// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package resourceplacement

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	registry "github.com/stagegate/stagegate/pkg/registry/placement"
)

func TestAPolicyThatPicksClustersIsNotWarnedAbout(t *testing.T) {
	for _, r := range Resources() {
		for _, kind := range []v1beta1.PlacementType{v1beta1.PickNPlacementType, v1beta1.PickAllPlacementType, ""} {
			o := r.New().(v1beta1.PlacementObject)
			o.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: kind}
			if got := r.Strategy.WarningsOnCreate(t.Context(), o); len(got) != 0 {
				t.Errorf("%s with %q: warnings %q", r.Plural, kind, got)
			}
		}
	}
}

func TestAPolicyThatNamesNoClusterIsWarnedAbout(t *testing.T) {
	for _, r := range Resources() {
		for names, want := range map[string][]string{"": {"spec.policy.clusterNames: no cluster is named, no cluster will be picked"}, "oslo": nil} {
			o := r.New().(v1beta1.PlacementObject)
			o.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: strings.Fields(names)}
			if got := r.Strategy.WarningsOnCreate(t.Context(), o); !slices.Equal(got, want) {
				t.Errorf("%s with the names %q: warnings %q, want %q", r.Plural, names, got, want)
			}
		}
	}
}

func TestNameIsAtMost63Characters(t *testing.T) {
	const message = "the name field cannot have length exceeding 63"
	for _, r := range Resources() {
		for length, want := range map[int]bool{63: false, 64: true} {
			o := r.New().(v1beta1.PlacementObject)
			o.SetName(strings.Repeat("a", length))
			var details []string
			for _, err := range r.Strategy.Validate(t.Context(), o) {
				details = append(details, err.Detail)
			}
			if got := slices.Contains(details, message); got != want {
				t.Errorf("%s with a name of %d characters refused for its length: %v, want %v", r.Plural, length, got, want)
			}
		}
	}
}

// A manifest has no finalizers of the server, and a placement without them would leave its resources behind.
func TestAPlacementKeepsTheFinalizersOfTheServer(t *testing.T) {
	of := func(finalizers ...string) []string { return finalizers }
	both := wellknown.PlacementFinalizers
	for name, tt := range map[string]struct {
		by              context.Context
		leaving         bool
		had, sent, want []string
	}{
		"replaced by a manifest":       {t.Context(), false, both, nil, both},
		"one is taken off":             {t.Context(), false, both, of("example.com/own", both[0]), of("example.com/own", both[0], both[1])},
		"it had none":                  {t.Context(), false, of("example.com/own"), nil, nil},
		"by the server":                {genericapirequest.WithUser(t.Context(), registry.Controllers()), false, both, nil, nil},
		"one that is being deleted":    {t.Context(), true, both, nil, nil},
		"with another one of the user": {t.Context(), false, both, append(of("example.com/own"), both...), append(of("example.com/own"), both...)},
	} {
		for _, r := range Resources() {
			old, sent := r.New().(v1beta1.PlacementObject), r.New().(v1beta1.PlacementObject)
			old.SetFinalizers(slices.Clone(tt.had))
			sent.SetFinalizers(slices.Clone(tt.sent))
			if tt.leaving {
				old.SetDeletionTimestamp(ptr.To(metav1.Now()))
			}
			r.Strategy.PrepareForUpdate(tt.by, sent, old)
			if diff := cmp.Diff(tt.want, sent.GetFinalizers(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", r.Plural, name, diff)
			}
		}
	}
}

func TestAReportToTheHubFromSeveralClustersIsWarnedAbout(t *testing.T) {
	original, works := v1beta1.ReportBackDestinationOriginalResource, v1beta1.ReportBackDestinationWorkAPI
	mirror := func(destination *v1beta1.ReportBackDestination) *v1beta1.ReportBackStrategy {
		return &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeMirror, Destination: destination}
	}
	one := &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickFixedPlacementType, ClusterNames: []string{"oslo"}}
	for name, test := range map[string]struct {
		strategy *v1beta1.ReportBackStrategy
		policy   *v1beta1.PlacementPolicy
		want     string
	}{
		"all clusters": {strategy: mirror(&original), want: "spec.strategy.reportBackStrategy.destination: no scheduling policy specified (the PickAll type is in use); cannot back-report status to original resources"},
		"one cluster":  {strategy: mirror(&original), policy: one},
		"to the Work":  {strategy: mirror(&works)},
		"disabled":     {strategy: &v1beta1.ReportBackStrategy{Type: v1beta1.ReportBackStrategyTypeDisabled, Destination: &original}},
	} {
		for _, r := range Resources() {
			o := r.New().(v1beta1.PlacementObject)
			o.PlacementSpec().Strategy.ReportBackStrategy, o.PlacementSpec().Policy = test.strategy, test.policy
			got := strings.Join(r.Strategy.WarningsOnCreate(t.Context(), o), "|")
			if got != test.want && (test.want == "" || !strings.HasPrefix(got, test.want)) {
				t.Errorf("%s of %s: warnings %q, want %q", name, r.Plural, got, test.want)
			}
		}
	}
}

func TestReservedNamespacesAreWarnedAbout(t *testing.T) {
	for namespace, reserved := range map[string]bool{"default": true, "kube-system": true, "fleet-system": true, "team": false} {
		for _, r := range Resources() {
			o := r.New().(v1beta1.PlacementObject)
			field := "metadata.namespace"
			if r.Plural == "resourceplacements" {
				o.SetNamespace(namespace)
			} else {
				field = "spec.resourceSelectors[0]"
				o.PlacementSpec().ResourceSelectors = []v1beta1.ResourceSelectorTerm{
					{Version: "v1", Kind: "Namespace", Name: namespace, SelectionScope: v1beta1.NamespaceOnly},
				}
			}
			var want []string
			if reserved {
				want = []string{field + ": namespace " + namespace + " is reserved (default, kube-*, fleet-*): it is not placed, and neither is anything in it"}
			}
			if got := r.Strategy.WarningsOnCreate(t.Context(), o); !slices.Equal(got, want) {
				t.Errorf("%s and namespace %s: warnings %q, want %q", r.Plural, namespace, got, want)
			}
		}
	}
}

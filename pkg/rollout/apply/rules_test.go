// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/rules/availability"
)

func TestWaves(t *testing.T) {
	var manifests []*manifest
	for i, resource := range []string{
		"widgets", "deployments", "apiservices", "rolebindings", "roles", "configmaps", "namespaces", "secrets", "",
	} {
		m := &manifest{ordinal: i}
		m.resource.Resource = resource
		manifests = append(manifests, m)
	}
	var got [][]string
	for _, wave := range inWaves(manifests) {
		var names []string
		for _, m := range wave {
			names = append(names, m.resource.Resource)
		}
		got = append(got, names)
	}
	want := [][]string{{"namespaces"}, {"configmaps", "secrets"}, {"roles"}, {"rolebindings"}, {"deployments"}, {"apiservices"}, {"widgets", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waves (-want +got):\n%s", diff)
	}
}

func TestVerdictsOnAWork(t *testing.T) {
	applied := &verdict{ok: true, reason: reasonApplied}
	available := &result{applied: applied, available: &verdict{ok: true, reason: availability.ReasonAvailable}}
	guessed := &result{applied: applied, available: &verdict{ok: true, reason: availability.ReasonNotTrackable}}
	waiting := &result{applied: applied, available: &verdict{reason: availability.ReasonNotYet}}
	refused := &result{applied: &verdict{reason: reasonApplyFailed}}
	for _, tc := range []struct {
		name                         string
		results                      []*result
		wantApplied, wantAvailable   string
		appliedMessage, availMessage string
	}{
		{"no manifests", nil, reasonAllApplied, reasonAllAvailable, messageAllApplied, messageAllAvailable},
		{"all available", []*result{available, available}, reasonAllApplied, reasonAllAvailable, messageAllApplied, messageAllAvailable},
		{"one untrackable", []*result{available, guessed}, reasonAllApplied, reasonWorkNotTrackable, messageAllApplied, messageWorkNotTrackable},
		{
			"one not available yet", []*result{guessed, waiting}, reasonAllApplied, reasonSomeNotAvailable, messageAllApplied,
			"Some manifests are not available (1 of 2 manifests are available)",
		},
		{"one not applied", []*result{available, refused}, reasonSomeNotApplied, "", "Failed to apply all manifests (1 of 2 manifests are applied)", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			gotApplied, gotAvailable, diffReported := verdicts(tc.results, true)
			if diffReported != nil {
				t.Errorf("DiffReported: %+v", diffReported)
			}
			if gotApplied.reason != tc.wantApplied || gotApplied.message != tc.appliedMessage {
				t.Errorf("Applied: %+v", gotApplied)
			}
			if (gotAvailable == nil) != (tc.wantAvailable == "") {
				t.Fatalf("Available: %+v", gotAvailable)
			}
			if gotAvailable != nil && (gotAvailable.reason != tc.wantAvailable || gotAvailable.message != tc.availMessage) {
				t.Errorf("Available: %+v", gotAvailable)
			}
		})
	}
}

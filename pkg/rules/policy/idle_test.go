// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
)

func TestSelectorsThatMissTheFleetAreNamed(t *testing.T) {
	const (
		protects = "spec.clusters picks none of 2 member clusters: the policy protects nothing now"
		soaks    = "spec.rules.soak.clusters picks none of 2 member clusters: no run that reaches other protected clusters can meet it now"
	)
	members := []labels.Set{labelsOf("prod1"), labelsOf("canary1")}
	for name, tt := range map[string]struct {
		spec string
		want []string
	}{
		"all are protected":           {"{clusters: {}, rules: {staged: true}}", nil},
		"some are":                    {"{clusters: {matchLabels: {environment: prod}}, rules: {staged: true}}", nil},
		"none is":                     {"{clusters: {matchLabels: {env: prod}}, rules: {staged: true}}", []string{protects}},
		"a soak that is met":          {"{rules: {soak: {clusters: {matchLabels: {environment: canary}}, duration: 1m}}}", nil},
		"a soak that is misspelled":   {"{rules: {soak: {clusters: {matchLabels: {environment: canarry}}, duration: 1m}}}", []string{soaks}},
		"both":                        {"{clusters: {matchLabels: {a: b}}, rules: {soak: {clusters: {matchLabels: {a: c}}, duration: 1m}}}", []string{protects, soaks}},
		"one that cannot be read":     {"{clusters: {matchExpressions: [{key: env, operator: Is}]}, rules: {staged: true}}", nil},
		"those without a label count": {"{clusters: {matchExpressions: [{key: env, operator: DoesNotExist}]}, rules: {staged: true}}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, clusterPolicy(t, "guard", tt.spec).Misses(members)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

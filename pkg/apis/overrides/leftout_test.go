// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package overrides

import (
	"testing"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

func TestAnOverrideStopsWhatItsScopeRulesOnly(t *testing.T) {
	namespaced, cluster := namespacedOverride("shop", "o", deployment), clusterOverride("o", role)
	for name, test := range map[string]struct {
		override  v1beta1.Override
		placement string
		want      bool
	}{
		"a namespace's, what is placed from it":       {namespaced, "shop", true},
		"a namespace's, what the platform places":     {namespaced, "", false},
		"a namespace's, what another one places":      {namespaced, "bank", false},
		"the platform's, what the platform places":    {cluster, "", true},
		"the platform's, what is placed by namespace": {cluster, "shop", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Vetoes(test.override, test.placement); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	genericoptions "k8s.io/apiserver/pkg/server/options"
)

func TestPluginsRunInThisOrder(t *testing.T) {
	want := []string{
		"NamespaceLifecycle",
		"MemberIdentity",
		"ObjectLimit",
		"StagedUpdateStrategyValidation",
		"RolloutPolicy",
		"OverrideValidation",
		"EvictionValidation",
		"AuthorValidation",
		"PlacementValidation",
		"MutatingAdmissionPolicy",
		"MutatingAdmissionWebhook",
		"ValidatingAdmissionPolicy",
		"ValidatingAdmissionWebhook",
	}
	options := genericoptions.NewAdmissionOptions()
	Configure(options)
	if diff := cmp.Diff(want, options.RecommendedPluginOrder); diff != "" {
		t.Errorf("order, -want +got:\n%s", diff)
	}
}

func TestEveryRegisteredPluginHasAPlace(t *testing.T) {
	options := genericoptions.NewAdmissionOptions()
	Configure(options)
	if errs := options.Validate(); len(errs) > 0 {
		t.Errorf("options: %v", errs)
	}
}

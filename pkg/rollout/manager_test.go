// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"
)

// TestCountersAreThereBeforeAReplicaLeads holds that the first panic after a change of the leader is an increase, which the alert on panics asks for.
func TestCountersAreThereBeforeAReplicaLeads(t *testing.T) {
	config := &rest.Config{Host: "https://127.0.0.1:1"}
	if _, err := New(config, config, Options{Controllers: []string{"*", "-apply"}}); err != nil {
		t.Fatal(err)
	}
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, controller := range []string{"updaterun", "apply"} {
				if m.GetCounter() != nil && testutil.LabelsMatch(m, map[string]string{"controller": controller}) {
					found[family.GetName()+" of "+controller] = true
				}
			}
		}
	}
	for _, name := range []string{"errors_total", "terminal_errors_total", "panics_total"} {
		if !found["stagegate_reconcile_"+name+" of updaterun"] {
			t.Errorf("stagegate_reconcile_%s does not have updaterun", name)
		}
		if found["stagegate_reconcile_"+name+" of apply"] {
			t.Errorf("stagegate_reconcile_%s has apply, which is not to run", name)
		}
	}
}

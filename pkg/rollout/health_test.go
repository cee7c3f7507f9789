// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"errors"
	"testing"

	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"

	"github.com/stagegate/stagegate/pkg/rollout/metrics"
)

func TestHealth(t *testing.T) {
	metrics.Register()
	h := newHealth([]string{"updaterun", "work"})
	is := func(when, want string) {
		t.Helper()
		got := ""
		if err := h.problem(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	is("before the caches are filled", "the caches are not filled")
	h.told(nil)
	is("while another leads", "")
	h.told(errors.New("another store rules the hub"))
	is("where nobody may lead", "another store rules the hub")
	h.told(nil)
	endTerm := h.lead()
	end := h.begin("updaterun")
	is("while one has yet to start", "controllers that wait to be started again: work")
	h.begin("work")
	is("while all run", "")
	running(t, "updaterun", 1)
	end()
	is("after one has ended", "controllers that wait to be started again: updaterun")
	running(t, "updaterun", 0)
	endTerm()
	is("after the term", "")
}

func running(t *testing.T, controller string, want float64) {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "stagegate_controller_running" {
			continue
		}
		for _, m := range family.GetMetric() {
			if testutil.LabelsMatch(m, map[string]string{"controller": controller}) {
				if got := m.GetGauge().GetValue(); got != want {
					t.Errorf("stagegate_controller_running of %s is %g, want %g", controller, got, want)
				}
				return
			}
		}
	}
	t.Errorf("stagegate_controller_running does not have %s", controller)
}

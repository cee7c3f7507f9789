// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// TestAClockThatJumpsBackShortensNothing holds what docs/known-issues.md tells of jumps: what has a time counts by the clock of the server, so
// that a jump forward shortens it and a jump back makes it longer, by as much, and a jump that is reverted does neither.
func TestAClockThatJumpsBackShortensNothing(t *testing.T) {
	const length = 2 * time.Hour
	// Each returns a run for which a time of that length has begun, and whether that is over.
	times := map[string]func(t *testing.T) (*fixture, func(*fixture) bool){
		"the wait after a stage": func(t *testing.T) (*fixture, func(*fixture) bool) {
			f := newFixture(t, 1, stage("a", waitAfter(length)), stage("b"))
			f.steps()
			f.available("a1")
			f.steps()
			return f, func(f *fixture) bool { return f.clusters()[1] != "b1" }
		},
		"the expiry of an approval": func(t *testing.T) (*fixture, func(*fixture) bool) {
			f := newFixture(t, 1, stage("a", approvedBy(v1beta1.ApprovalPolicy{ExpiresAfter: &metav1.Duration{Duration: length}})))
			f.steps()
			return f, func(f *fixture) bool { return f.condition(v1beta1.RunSucceeded) != "" }
		},
		"the timeout of a cluster": func(t *testing.T) (*fixture, func(*fixture) bool) {
			f := newFixture(t, 1, stage("a", func(c *v1beta1.StageConfig) {
				c.FailurePolicy = &v1beta1.FailurePolicy{ClusterTimeout: metav1.Duration{Duration: length}}
			}))
			f.steps()
			return f, func(f *fixture) bool { return f.clusters()[0] == "a1 Failed" }
		},
	}
	jumps := map[string]struct {
		// by is how far the clock jumps after ten minutes, and reverted whether it jumps back after ten more.
		by       time.Duration
		reverted bool
		takes    time.Duration
	}{
		"no jump":                {0, false, length},
		"back":                   {-time.Hour, false, length + time.Hour},
		"back, and reverted":     {-time.Hour, true, length},
		"forward":                {time.Hour, false, length - time.Hour},
		"forward, and reverted":  {time.Hour, true, length},
		"forward beyond the end": {3 * time.Hour, false, 10 * time.Minute},
	}
	for what, begin := range times {
		for how, jump := range jumps {
			t.Run(what+"/"+how, func(t *testing.T) {
				f, over := begin(t)
				took := time.Duration(0)
				for ; !over(f) && took < 2*length; took += time.Minute {
					switch {
					case took == 10*time.Minute:
						f.pass(jump.by)
					case jump.reverted && took == 20*time.Minute:
						f.pass(-jump.by)
					}
					f.pass(time.Minute)
					f.steps()
				}
				// Statuses have whole seconds, and the expiry has a grace of some.
				if off := took - jump.takes; off < -time.Second || off > 2*time.Minute {
					t.Errorf("%s took %s, want %s", what, took, jump.takes)
				}
			})
		}
	}
}

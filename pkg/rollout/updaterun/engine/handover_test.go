// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/updaterun/engine"
	"github.com/stagegate/stagegate/pkg/rules/policy"
)

// applied has clusters have version 0.
func applied(w known, clusters ...string) {
	for _, b := range w.Bindings {
		for _, cluster := range clusters {
			if b.BindingSpec().TargetCluster == cluster {
				b.BindingSpec().State, b.BindingSpec().ResourceSnapshotName = v1beta1.BindingStateBound, "p-0-snapshot"
			}
		}
	}
}

func TestNoRunHandsProtectedClustersOverToAVersionThatNobodyJudged(t *testing.T) {
	settings := v1beta1.ResourceIdentifier{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	const refusal = `stage "prod" (2 clusters, 2 protected): must not hand ConfigMap shop/settings on prod1 over to the version of ResourcePlacement shop/other, ` +
		"which waits for it there: remove it from that placement first, by a run of that placement, or delete that placement (ClusterRolloutPolicy prod-guard: Ask the SREs)"
	governed := v1beta1.GoverningPolicy{Kind: policy.KindCluster, Name: "prod-guard", UID: "guard-uid", Generation: 3, Stages: []string{"prod"}}
	overridden := governed
	overridden.Overridden, overridden.Violated = true, true
	warns := governed
	warns.Violated, warns.Warns = true, true
	for name, tt := range map[string]struct {
		rules    v1alpha1.PolicyRules
		change   []func(*v1alpha1.ClusterRolloutPolicy)
		override *v1beta1.PolicyOverride
		cluster  string
		// refusal is empty where the run is planned.
		refusal  string
		warning  string
		policies []v1beta1.GoverningPolicy
	}{
		"a protected cluster":       {rules: stagedRule, cluster: "prod1", refusal: refusal},
		"a cluster of another kind": {rules: stagedRule, cluster: "soak1", policies: []v1beta1.GoverningPolicy{governed}},
		"a policy that only warns": {rules: stagedRule, change: []func(*v1alpha1.ClusterRolloutPolicy){warnOnly}, cluster: "prod1", warning: refusal,
			policies: []v1beta1.GoverningPolicy{warns}},
		"an override": {rules: stagedRule, override: &v1beta1.PolicyOverride{Policies: []string{"prod-guard"}, Reason: "INC-7"}, cluster: "prod1", warning: refusal,
			policies: []v1beta1.GoverningPolicy{overridden}},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(2, stage("soak"), stage("prod"))
			applied(w, "soak1", "prod1", "prod2")
			w.Policies = []*policy.Policy{guard("prod", tt.rules, tt.change...)}
			w.Handovers = []policy.Handover{{Cluster: tt.cluster, Placement: "ResourcePlacement shop/other", Objects: []v1beta1.ResourceIdentifier{settings}}}
			run := newRun()
			run.Spec.PolicyOverride = tt.override
			o := initialize(run, w, simStart)
			if tt.refusal != "" {
				if o.Result != engine.ResultFailed || !strings.HasSuffix(o.Message, tt.refusal) {
					t.Errorf("result %v: %s", o.Result, o.Message)
				}
				return
			}
			if o.Result != engine.ResultInitialized {
				t.Fatal(o.Message)
			}
			if got := strings.Join(o.Warnings, "; "); got != tt.warning {
				t.Errorf("warnings are %q", got)
			}
			if diff := cmp.Diff(tt.policies, o.Decision.Status.Policies); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPlanAsksWhatProtectedClustersLetGoOf(t *testing.T) {
	for name, tt := range map[string]struct {
		policies []*policy.Policy
		change   func(w known)
		want     []string
	}{
		"nothing where there is no policy":  {nil, func(known) {}, nil},
		"nothing where nobody has anything": {[]*policy.Policy{guard("prod", stagedRule)}, func(w known) { applied(w) }, nil},
		"what protected clusters have":      {[]*policy.Policy{guard("prod", stagedRule)}, func(known) {}, []string{"prod1 0", "prod2 0"}},
		"also what is removed":              {[]*policy.Policy{guard("prod", stagedRule)}, func(w known) { w.Bindings[3].BindingSpec().State = v1beta1.BindingStateUnscheduled }, []string{"prod1 0", "prod2 0 removed"}},
		"by any policy":                     {[]*policy.Policy{guard("soak", stagedRule), guard("prod", stagedRule)}, func(known) {}, []string{"soak1 0", "soak2 0", "prod1 0", "prod2 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := initWorld(2, stage("soak"), stage("prod"))
			if name != "nothing where nobody has anything" {
				applied(w, "soak1", "soak2", "prod1", "prod2")
			}
			w.Policies = tt.policies
			tt.change(w)
			in := &answers{known: w}
			if o, err := engine.Initialize(newRun(), w.World, in, simStart); err != nil || o.Result != engine.ResultInitialized {
				t.Fatal(o.Message, err)
			}
			if diff := cmp.Diff(tt.want, said(in.changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func said(changes []policy.Change) (texts []string) {
	for _, c := range changes {
		text := c.Cluster + " " + strings.TrimSuffix(strings.TrimPrefix(strings.Join(c.Had, "+"), "p-"), "-snapshot")
		if c.Removes {
			text += " removed"
		}
		texts = append(texts, text)
	}
	return texts
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
)

// BindsNothing returns why the policy binds no rollout, whatever there is; empty where it may bind one.
func (p *Policy) BindsNothing() string {
	match := ptr.Deref(p.spec.Match, v1alpha1.PolicyMatch{})
	if p.Kind == KindCluster && !ptr.Deref(match.ClusterScoped, true) && match.NamespaceSelector == nil {
		return "spec.match: the policy binds no rollout: set clusterScoped to true, or write a namespaceSelector"
	}
	return ""
}

// Misses returns which selectors of the policy pick none of the member clusters, given by their labels, and what comes of that: the policy
// does not do what it was written for. A selector that cannot be read misses nothing.
func (p *Policy) Misses(members []labels.Set) []string {
	if p.err != nil {
		return nil
	}
	missed := func(selector labels.Selector) bool {
		return !slices.ContainsFunc(members, func(set labels.Set) bool { return selector.Matches(set) })
	}
	var found []string
	tell := func(field, consequence string) {
		found = append(found, fmt.Sprintf("spec.%s picks none of %s: %s", field, wording.Count(len(members), "member cluster"), consequence))
	}
	if missed(p.protects) {
		tell("clusters", "the policy protects nothing now")
	}
	if p.soaks != nil && missed(p.soaks) {
		tell("rules.soak.clusters", "no run that reaches other protected clusters can meet it now")
	}
	return found
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rolloutpolicy

import (
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/registry/store"
)

type column = store.Column[v1alpha1.RolloutPolicyObject]

func columns() []column {
	return []column{
		{Name: "Enforcement", Description: "Whether a violation is refused or only warned of.", Text: enforcement},
		store.Condition("Effective", v1alpha1.PolicyEffective, conditions),
		count("Clusters", "Number of member clusters that the policy protects.", func(g v1alpha1.PolicyGoverns) int32 { return g.Clusters }),
		count("Placements", "Number of placements that the policy binds and that pick a protected cluster.", func(g v1alpha1.PolicyGoverns) int32 { return g.Placements }),
		count("Runs", "Number of runs that the policy governs and that are not over.", func(g v1alpha1.PolicyGoverns) int32 { return g.ActiveRuns }),
		store.Age[v1alpha1.RolloutPolicyObject](),
		onlyWide(count("Violations", "Number of these placements and runs that violate the policy.", func(g v1alpha1.PolicyGoverns) int32 { return g.ViolatingPlacements + g.ViolatingRuns })),
		{Name: "Rules", Wide: true, Description: "What the policy demands.", Text: rules},
		{Name: "Description", Wide: true, Description: "What the policy is for.", Text: description},
	}
}

func enforcement(o v1alpha1.RolloutPolicyObject) string { return string(o.PolicySpec().Enforcement) }

func conditions(o v1alpha1.RolloutPolicyObject) []metav1.Condition {
	return o.PolicyStatus().Conditions
}

func description(o v1alpha1.RolloutPolicyObject) string { return o.PolicySpec().Description }

// count is blank until the policy has been counted for.
func count(name, description string, of func(v1alpha1.PolicyGoverns) int32) column {
	return column{Name: name, Description: description, Text: func(o v1alpha1.RolloutPolicyObject) string {
		if o.PolicyStatus().ObservedGeneration == 0 {
			return ""
		}
		return strconv.Itoa(int(of(o.PolicyStatus().Governs)))
	}}
}

// onlyWide shows a column to those who ask for more.
func onlyWide(c column) column {
	c.Wide = true
	return c
}

// rules are the names of the rules that are given, as they are written.
func rules(o v1alpha1.RolloutPolicyObject) string {
	r := &o.PolicySpec().Rules
	var names []string
	for _, rule := range []struct {
		name  string
		given bool
	}{
		{"deny", r.Deny},
		{"staged", r.Staged},
		{"approval", r.Approval != nil},
		{"soak", r.Soak != nil},
		{"maxConcurrency", r.MaxConcurrency != nil},
		{"maxStageClusters", r.MaxStageClusters != nil},
		{"failurePolicy", r.FailurePolicy != nil},
	} {
		if rule.given {
			names = append(names, rule.name)
		}
	}
	return strings.Join(names, ",")
}

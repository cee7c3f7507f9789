// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy decides whether a rollout meets the rollout policies that bind it. Admission asks it about new runs and placements,
// planning about every run, and the start of a run once more. It only reports violations: a policy changes no strategy.
//
// A policy binds a rollout by its scope, namespace or placement. A stage is governed by a policy that binds the rollout if it has a
// protected cluster. The rules of a policy are about the governed stages. Each policy must be met by itself, so that one more policy
// never allows what was refused.
package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
)

// Kinds of policies.
const (
	KindCluster   = "ClusterRolloutPolicy"
	KindNamespace = "RolloutPolicy"
)

// Policy is a policy that can be asked. It does not change.
type Policy struct {
	// Kind is KindCluster or KindNamespace.
	Kind string
	// Namespace of a policy of KindNamespace.
	Namespace string
	// Name of the policy.
	Name string
	// UID of the policy.
	UID types.UID
	// Generation of the policy.
	Generation int64

	spec  *v1alpha1.RolloutPolicySpec
	match Match
	// protects and soaks are selectors of the spec. A nil one picks nothing.
	protects, soaks labels.Selector
	err             error
}

// New returns a policy that can be asked. One with a selector that cannot be read, which validation refuses, has an Err.
func New(object v1alpha1.RolloutPolicyObject) *Policy {
	spec := object.PolicySpec().DeepCopy()
	p := &Policy{
		Kind: KindCluster, Namespace: object.GetNamespace(), Name: object.GetName(), UID: object.GetUID(), Generation: object.GetGeneration(),
		spec: spec,
	}
	if _, namespaced := object.(*v1alpha1.RolloutPolicy); namespaced {
		p.Kind = KindNamespace
	}
	p.protects = p.selector("clusters", orAll(spec.Clusters))
	p.match = newMatch(spec.Match, p.selector)
	if soak := spec.Rules.Soak; soak != nil {
		p.soaks = p.selector("rules.soak.clusters", soak.Clusters)
	}
	return p
}

// NewAll returns policies that can be asked.
func NewAll(objects []v1alpha1.RolloutPolicyObject) []*Policy {
	all := make([]*Policy, len(objects))
	for i, object := range objects {
		all[i] = New(object)
	}
	return all
}

func orAll(selector *metav1.LabelSelector) *metav1.LabelSelector {
	if selector == nil {
		return &metav1.LabelSelector{}
	}
	return selector
}

func (p *Policy) selector(field string, selector *metav1.LabelSelector) labels.Selector {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		if p.err == nil {
			p.err = fmt.Errorf("spec.%s: %w", field, err)
		}
		// Whether it picks something is unknown: it must not let anything pass.
		return labels.Everything()
	}
	return s
}

// Err returns why the policy cannot be held, nil where it can. Such a policy refuses every rollout that it may bind.
func (p *Policy) Err() error { return p.err }

// unreadable is the violation of a policy with an Err, by any rollout.
func (p *Policy) unreadable() Violation {
	return Violation{Policy: p, Where: "nobody can tell what the policy demands", Demands: []string{fmt.Sprintf("its owner must correct %v", p.err)}}
}

// Protects reports whether the policy protects a member cluster with these labels.
func (p *Policy) Protects(cluster labels.Labels) bool { return p.protects.Matches(cluster) }

// IsEnforced reports whether a violation is refused, and not only warned of.
func (p *Policy) IsEnforced() bool { return p.spec.Enforcement != v1alpha1.PolicyEnforcementWarn }

// isStaged reports whether runs alone may move protected clusters. A rule about stages would be none if a placement could do without them.
func (p *Policy) isStaged() bool {
	r := &p.spec.Rules
	return r.Staged || r.Approval != nil || r.Soak != nil || r.MaxConcurrency != nil || r.MaxStageClusters != nil || r.FailurePolicy != nil
}

// String names the policy, with its description, as messages do.
func (p *Policy) String() string {
	name := p.Kind + " " + p.Name
	// The description of a YAML block ends in a new line, which no warning and no table may have.
	isNoText := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	if words := strings.FieldsFunc(p.spec.Description, isNoText); len(words) > 0 {
		name += ": " + strings.Join(words, " ")
	}
	return name
}

// Subject is the rollouts of a placement, by what policies select them by.
type Subject struct {
	// Namespace of the placement, empty for a cluster-scoped one.
	Namespace string
	// NamespaceLabels are the labels of the Namespace on the hub, nil where they are not known: see Check.
	NamespaceLabels labels.Set
	// PlacementLabels are the labels of the placement. Those of one in a namespace are not looked at: its team writes them.
	PlacementLabels labels.Set
}

// Check returns an error where it is not known by what policies select: NamespaceLabels are nil then. Nothing may be done by what policies
// seem to say of such a subject.
func (s Subject) Check(policies []*Policy) error {
	isOfCluster := func(p *Policy) bool { return p.Kind == KindCluster }
	if s.Namespace != "" && s.NamespaceLabels == nil && slices.ContainsFunc(policies, isOfCluster) {
		return fmt.Errorf("the labels of Namespace %s are not known, by which ClusterRolloutPolicies select", s.Namespace)
	}
	return nil
}

// Binds reports whether the policy binds the rollouts of a placement.
func (p *Policy) Binds(subject Subject) bool {
	if p.Kind == KindNamespace {
		return p.Namespace == subject.Namespace
	}
	return p.match.Matches(subject)
}

// Binding returns the policies that bind the rollouts of a placement, in their order.
func Binding(policies []*Policy, subject Subject) []*Policy {
	var binding []*Policy
	for _, p := range policies {
		if p.Binds(subject) {
			binding = append(binding, p)
		}
	}
	return binding
}

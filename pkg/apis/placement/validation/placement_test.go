// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement"
)

// placements are the tutorial's.
func placements() []placement.PlacementObject {
	spec := placement.PlacementSpec{
		ResourceSelectors:    []placement.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: "test-namespace", SelectionScope: placement.NamespaceWithResources}},
		Policy:               &placement.PlacementPolicy{PlacementType: placement.PickAllPlacementType},
		Strategy:             placement.RolloutStrategy{Type: placement.ExternalRolloutStrategyType},
		StatusReportingScope: placement.ClusterScopeOnly,
	}
	return []placement.PlacementObject{
		&placement.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "example-placement"}, Spec: spec},
		&placement.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "example-placement", Namespace: "test-namespace"}, Spec: spec},
	}
}

type placementRule = rule[placement.PlacementObject]

// spec makes a spoiler of an edit of the spec.
func spec(spoil func(*placement.PlacementSpec)) func(placement.PlacementObject) {
	return func(object placement.PlacementObject) { spoil(object.PlacementSpec()) }
}

func policy(p placement.PlacementPolicy) func(placement.PlacementObject) {
	return spec(func(s *placement.PlacementSpec) { s.Policy = &p })
}

func strategy(s placement.RolloutStrategy) func(placement.PlacementObject) {
	return spec(func(spec *placement.PlacementSpec) { spec.Strategy = s })
}

func TestResourceSelectors(t *testing.T) {
	with := func(selectors ...placement.ResourceSelectorTerm) func(placement.PlacementObject) {
		return spec(func(s *placement.PlacementSpec) { s.ResourceSelectors = selectors })
	}
	namespace := func(name string, scope placement.SelectionScope) placement.ResourceSelectorTerm {
		return placement.ResourceSelectorTerm{Version: "v1", Kind: "Namespace", Name: name, SelectionScope: scope}
	}
	configMaps := placement.ResourceSelectorTerm{Version: "v1", Kind: "ConfigMap"}
	labelled := namespace("", placement.NamespaceWithResourceSelectors)
	labelled.LabelSelector = &metav1.LabelSelector{}
	invalid := configMaps
	invalid.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In"}}}
	both := configMaps
	both.Name, both.LabelSelector = "x", &metav1.LabelSelector{}

	check(t, placements(), ValidatePlacement, []placementRule{
		{"all of a kind", with(configMaps), nil},
		{"a namespace by selectors", with(namespace("a", placement.NamespaceWithResourceSelectors), configMaps), nil},
		{"name or labels", with(both), []string{
			`spec.resourceSelectors[0]: Invalid value: "x": name and labelSelector are mutually exclusive in a resource selector`,
		}},
		{"labels that can match", with(invalid), []string{
			"spec.resourceSelectors[0].labelSelector.matchExpressions[0].values: Required value: the labelSelector in resource selector is invalid: must be specified when `operator` is 'In' or 'NotIn'",
		}},
		{"one namespace by selectors", with(namespace("a", placement.NamespaceWithResourceSelectors), namespace("b", placement.NamespaceWithResourceSelectors)), []string{
			"spec.resourceSelectors: Forbidden: only one namespace selector with NamespaceWithResourceSelectors mode is allowed",
			"spec.resourceSelectors: Forbidden: namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)",
			"spec.resourceSelectors: Forbidden: when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other namespace selectors)",
		}},
		{"a namespace by selectors has a name", with(labelled), []string{
			"spec.resourceSelectors: Forbidden: namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)",
		}},
		{"a namespace by selectors is alone", with(namespace("a", placement.NamespaceWithResourceSelectors), namespace("b", placement.NamespaceOnly)), []string{
			"spec.resourceSelectors: Forbidden: when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other namespace selectors)",
		}},
	})
}

func TestStatusReportingScope(t *testing.T) {
	accessible := func(kinds ...string) func(placement.PlacementObject) {
		return spec(func(s *placement.PlacementSpec) {
			s.StatusReportingScope, s.ResourceSelectors = placement.NamespaceAccessible, nil
			for _, kind := range kinds {
				s.ResourceSelectors = append(s.ResourceSelectors, placement.ResourceSelectorTerm{Version: "v1", Kind: kind})
			}
		})
	}
	refusal := []string{`spec.statusReportingScope: Invalid value: "NamespaceAccessible": when statusReportingScope is NamespaceAccessible, exactly one resourceSelector with kind 'Namespace' is required`}
	rules := []placementRule{
		{"into the namespace", accessible("Namespace", "ClusterRole"), nil},
		{"into none", accessible("ClusterRole"), refusal},
		{"into two", accessible("Namespace", "Namespace"), refusal},
	}
	check(t, placements()[:1], ValidatePlacement, rules)
	// The field means nothing in a namespace.
	for i := range rules {
		rules[i].want = nil
	}
	check(t, placements()[1:], ValidatePlacement, rules)
}

func TestPlacementPolicy(t *testing.T) {
	affinity := &placement.Affinity{ClusterAffinity: &placement.ClusterAffinity{}}
	spread := []placement.TopologySpreadConstraint{{TopologyKey: "zone"}}
	tolerations := []placement.Toleration{{Operator: placement.TolerationOpExists}}
	const pickFixed = "spec.policy: Forbidden: affinity, numberOfClusters, topologySpreadConstraints, and tolerations cannot be set when placementType is PickFixed"
	const pickAll = "spec.policy: Forbidden: clusterNames, numberOfClusters, and topologySpreadConstraints cannot be set when placementType is PickAll"
	const pickN = `spec.policy: Invalid value: "PickN": clusterNames cannot be set and numberOfClusters must be set when placementType is PickN`
	long := strings.Repeat("a", 64)

	check(t, placements(), ValidatePlacement, []placementRule{
		{"no policy", spec(func(s *placement.PlacementSpec) { s.Policy = nil }), nil},
		{"PickAll", policy(placement.PlacementPolicy{PlacementType: "PickAll", Affinity: affinity, Tolerations: tolerations}), nil},
		{"PickN", policy(placement.PlacementPolicy{PlacementType: "PickN", NumberOfClusters: ptr.To[int32](0), Affinity: affinity, Tolerations: tolerations, TopologySpreadConstraints: spread}), nil},
		{"PickFixed", policy(placement.PlacementPolicy{PlacementType: "PickFixed", ClusterNames: []string{"member1"}}), nil},
		{"PickFixed has no affinity", policy(placement.PlacementPolicy{PlacementType: "PickFixed", Affinity: affinity}), []string{pickFixed}},
		{"PickFixed has no number", policy(placement.PlacementPolicy{PlacementType: "PickFixed", NumberOfClusters: ptr.To[int32](1)}), []string{pickFixed}},
		{"PickFixed does not spread", policy(placement.PlacementPolicy{PlacementType: "PickFixed", TopologySpreadConstraints: spread}), []string{pickFixed}},
		{"PickFixed does not tolerate", policy(placement.PlacementPolicy{PlacementType: "PickFixed", Tolerations: tolerations}), []string{pickFixed}},
		{"PickAll has no names", policy(placement.PlacementPolicy{PlacementType: "PickAll", ClusterNames: []string{"a"}}), []string{pickAll}},
		{"PickAll has no number", policy(placement.PlacementPolicy{PlacementType: "PickAll", NumberOfClusters: ptr.To[int32](1)}), []string{pickAll}},
		{"PickAll does not spread", policy(placement.PlacementPolicy{PlacementType: "PickAll", TopologySpreadConstraints: spread}), []string{pickAll}},
		{"PickAll prefers none", policy(placement.PlacementPolicy{PlacementType: "PickAll", Affinity: &placement.Affinity{ClusterAffinity: &placement.ClusterAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []placement.PreferredClusterSelector{{}},
		}}}), []string{"spec.policy.affinity.clusterAffinity.preferredDuringSchedulingIgnoredDuringExecution: Forbidden: PreferredDuringSchedulingIgnoredDuringExecution will be ignored for placement policy type PickAll"}},
		{"PickN has a number", policy(placement.PlacementPolicy{PlacementType: "PickN"}), []string{pickN}},
		{"PickN has no names", policy(placement.PlacementPolicy{PlacementType: "PickN", NumberOfClusters: ptr.To[int32](1), ClusterNames: []string{"a"}}), []string{pickN}},
		{"names of members", policy(placement.PlacementPolicy{PlacementType: "PickFixed", ClusterNames: []string{"a", "a", long, "A"}}), []string{
			`spec.policy.clusterNames[1]: Invalid value: "a": cluster names must be unique for policy type PickFixed`,
			`spec.policy.clusterNames[2]: Invalid value: "` + long + `": PickFixed cluster name ` + long + ` cannot have length exceeding 63`,
			`spec.policy.clusterNames[3]: Invalid value: "A": PickFixed cluster name A is not a valid member name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		}},
	})
}

func TestTolerations(t *testing.T) {
	tolerate := func(tolerations ...placement.Toleration) func(placement.PlacementObject) {
		return policy(placement.PlacementPolicy{PlacementType: "PickAll", Tolerations: tolerations})
	}
	check(t, placements(), ValidatePlacement, []placementRule{
		{"a taint", tolerate(placement.Toleration{Key: "a", Operator: "Equal", Value: "b", Effect: "NoSchedule"}), nil},
		{"every taint", tolerate(placement.Toleration{Operator: "Exists"}), nil},
		{"Exists has no value", tolerate(placement.Toleration{Key: "a", Operator: "Exists", Value: "b"}), []string{
			`spec.policy.tolerations[0].value: Invalid value: "b": value must be empty when operator is Exists`,
		}},
		{"Equal has a key", tolerate(placement.Toleration{Operator: "Equal", Value: "b"}), []string{
			`spec.policy.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when key is empty`,
		}},
		{"unique", tolerate(placement.Toleration{Key: "a", Operator: "Exists"}, placement.Toleration{Key: "a", Operator: "Exists"}), []string{
			`spec.policy.tolerations[1]: Invalid value: "a": toleration {Key:a Operator:Exists Value: Effect:} already exists, tolerations must be unique`,
		}},
		{"keys and values of labels", tolerate(placement.Toleration{Key: "a b", Operator: "Equal", Value: "c d"}), []string{
			`spec.policy.tolerations[0].value: Invalid value: "c d": invalid toleration value {Key:a b Operator:Equal Value:c d Effect:}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
			`spec.policy.tolerations[0].key: Invalid value: "a b": invalid toleration key {Key:a b Operator:Equal Value:c d Effect:}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
		}},
	})
}

func TestRolloutStrategy(t *testing.T) {
	rolling := func(maxUnavailable, maxSurge intstr.IntOrString) func(placement.PlacementObject) {
		return strategy(placement.RolloutStrategy{Type: "RollingUpdate", RollingUpdate: &placement.RollingUpdateConfig{MaxUnavailable: &maxUnavailable, MaxSurge: &maxSurge}})
	}
	ok := intstr.FromInt32(0)
	check(t, placements(), ValidatePlacement, []placementRule{
		{"a pace", rolling(intstr.FromString("100%"), intstr.FromInt32(1000)), nil},
		{"External has no pace", strategy(placement.RolloutStrategy{Type: "External", RollingUpdate: &placement.RollingUpdateConfig{}}), []string{
			"spec.strategy.rollingUpdate: Forbidden: rollingUpdateConifg is not valid for ExternalRollout strategy type",
		}},
		{"a pace is not negative", rolling(intstr.FromInt32(-1), intstr.FromInt32(-2)), []string{
			"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"-1\": maxUnavailable must be greater than or equal to 0, got `-1`",
			"spec.strategy.rollingUpdate.maxSurge: Invalid value: \"-2\": maxSurge must be greater than or equal to 0, got `-2`",
		}},
		{"text is a percentage", rolling(intstr.FromString("10"), ok), []string{
			"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"10\": maxUnavailable `10` is invalid: invalid value for IntOrString: invalid type: string is not a percentage",
		}},
		{"a percentage is one of all", rolling(intstr.FromString("101%"), ok), []string{
			`spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": spec.strategy.rollingUpdate.maxUnavailable in body should match '^(100|[0-9]{1,2})%$': write a number such as 2, or a percentage from "0%" to "100%"`,
		}},
		{"server-side apply is configured for server-side apply", strategy(placement.RolloutStrategy{ApplyStrategy: &placement.ApplyStrategy{
			Type: "ClientSideApply", ServerSideApplyConfig: &placement.ServerSideApplyConfig{},
		}}), []string{"spec.strategy.applyStrategy.serverSideApplyConfig: Forbidden: serverSideApplyConfig is only valid for ServerSideApply strategy type"}},
		{"server-side apply", strategy(placement.RolloutStrategy{ApplyStrategy: &placement.ApplyStrategy{
			Type: "ServerSideApply", ServerSideApplyConfig: &placement.ServerSideApplyConfig{ForceConflicts: true},
		}}), nil},
		{"a mirror has a destination", strategy(placement.RolloutStrategy{ReportBackStrategy: &placement.ReportBackStrategy{Type: "Mirror"}}), []string{
			"spec.strategy.reportBackStrategy.destination: Required value: when reportBackStrategy.type is 'Mirror', a destination must be specified",
		}},
	})
}

func TestPlacementUpdate(t *testing.T) {
	tolerating := placements()
	for _, object := range tolerating {
		object.PlacementSpec().Policy.Tolerations = []placement.Toleration{{Key: "a", Operator: "Exists"}}
	}
	without := placements()
	for _, object := range without {
		object.PlacementSpec().Policy = nil
		object.PlacementSpec().Strategy.Type = placement.RollingUpdateRolloutStrategyType
	}
	checkUpdate(t, placements(), ValidatePlacementUpdate, []placementRule{
		{"the policy stays", spec(func(s *placement.PlacementSpec) { s.Policy = nil }), []string{
			`spec.policy: Invalid value: "": policy cannot be removed once set`,
		}},
		{"the way of picking stays", policy(placement.PlacementPolicy{PlacementType: "PickFixed"}), []string{
			`spec.policy.placementType: Invalid value: "PickFixed": placement type is immutable`,
		}},
		{"External stays", strategy(placement.RolloutStrategy{Type: "RollingUpdate"}), []string{
			`spec.strategy.type: Invalid value: "RollingUpdate": cannot change rollout strategy type from 'External' to other types`,
		}},
		{"the new spec is looked at", strategy(placement.RolloutStrategy{Type: "External", RollingUpdate: &placement.RollingUpdateConfig{}}), []string{
			"spec.strategy.rollingUpdate: Forbidden: rollingUpdateConifg is not valid for ExternalRollout strategy type",
		}},
	})
	checkUpdate(t, placements()[:1], ValidatePlacementUpdate, []placementRule{
		{"who reads the status stays", spec(func(s *placement.PlacementSpec) { s.StatusReportingScope = placement.NamespaceAccessible }), []string{
			`spec.statusReportingScope: Invalid value: "NamespaceAccessible": statusReportingScope is immutable`,
		}},
	})
	checkUpdate(t, tolerating, ValidatePlacementUpdate, []placementRule{
		{"tolerations are added", spec(func(s *placement.PlacementSpec) {
			s.Policy.Tolerations = append(s.Policy.Tolerations, placement.Toleration{Key: "b", Operator: "Exists"})
		}), nil},
		{"tolerations stay", spec(func(s *placement.PlacementSpec) { s.Policy.Tolerations = nil }), []string{
			"spec.policy.tolerations: Forbidden: tolerations have been updated/deleted, only additions to tolerations are allowed",
		}},
	})
	checkUpdate(t, without, ValidatePlacementUpdate, []placementRule{
		{"no policy picks all", policy(placement.PlacementPolicy{PlacementType: "PickAll"}), nil},
		{"no policy picks not some", policy(placement.PlacementPolicy{PlacementType: "PickN", NumberOfClusters: ptr.To[int32](1)}), []string{
			`spec.policy.placementType: Invalid value: "PickN": placement type is immutable`,
		}},
		{"from rolling to External", strategy(placement.RolloutStrategy{Type: "External"}), nil},
	})
}

func TestPlacementStatus(t *testing.T) {
	broken := placement.PlacementStatus{
		Conditions: []metav1.Condition{incomplete("ClusterResourcePlacementScheduled")},
		PerClusterPlacementStatuses: []placement.PerClusterPlacementStatus{{
			Conditions:       []metav1.Condition{incomplete("Scheduled")},
			FailedPlacements: []placement.FailedResourcePlacement{{Condition: incomplete("Applied")}},
		}},
	}
	checkUpdate(t, placements(), ValidatePlacementStatusUpdate, []placementRule{
		{"conditions are complete", func(object placement.PlacementObject) { *object.PlacementStatus() = broken }, []string{
			"status.conditions[0].reason: Required value",
			"status.placementStatuses[0].conditions[0].reason: Required value",
			"status.placementStatuses[0].failedPlacements[0].condition.reason: Required value",
		}},
	})
	mirror := &placement.ClusterResourcePlacementStatus{SourceStatus: placement.PlacementStatus{Conditions: broken.Conditions}}
	expect(t, ValidatePlacementStatusMirror(mirror), "sourceStatus.conditions[0].reason: Required value")
	expect(t, ValidatePlacementStatusMirrorUpdate(mirror, &placement.ClusterResourcePlacementStatus{}), "sourceStatus.conditions[0].reason: Required value")
	expect(t, ValidatePlacementStatusMirrorUpdate(mirror, mirror))
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
)

// placements are the tutorial's.
func placements() []v1beta1.PlacementObject {
	spec := v1beta1.PlacementSpec{
		ResourceSelectors:    []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: "test-namespace", SelectionScope: v1beta1.NamespaceWithResources}},
		Policy:               &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType},
		Strategy:             v1beta1.RolloutStrategy{Type: v1beta1.ExternalRolloutStrategyType},
		StatusReportingScope: v1beta1.ClusterScopeOnly,
	}
	return []v1beta1.PlacementObject{
		&v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "example-placement"}, Spec: spec},
		&v1beta1.ResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "example-placement", Namespace: "test-namespace"}, Spec: spec},
	}
}

type placementRule = rule[v1beta1.PlacementObject]

// spec makes a spoiler of an edit of the spec.
func spec(spoil func(*v1beta1.PlacementSpec)) func(v1beta1.PlacementObject) {
	return func(object v1beta1.PlacementObject) { spoil(object.PlacementSpec()) }
}

func policy(p v1beta1.PlacementPolicy) func(v1beta1.PlacementObject) {
	return spec(func(s *v1beta1.PlacementSpec) { s.Policy = &p })
}

func strategy(s v1beta1.RolloutStrategy) func(v1beta1.PlacementObject) {
	return spec(func(spec *v1beta1.PlacementSpec) { spec.Strategy = s })
}

func TestResourceSelectors(t *testing.T) {
	with := func(selectors ...v1beta1.ResourceSelectorTerm) func(v1beta1.PlacementObject) {
		return spec(func(s *v1beta1.PlacementSpec) { s.ResourceSelectors = selectors })
	}
	namespace := func(name string, scope v1beta1.SelectionScope) v1beta1.ResourceSelectorTerm {
		return v1beta1.ResourceSelectorTerm{Version: "v1", Kind: "Namespace", Name: name, SelectionScope: scope}
	}
	configMaps := v1beta1.ResourceSelectorTerm{Version: "v1", Kind: "ConfigMap"}
	labeled := namespace("", v1beta1.NamespaceWithResourceSelectors)
	labeled.LabelSelector = &metav1.LabelSelector{}
	invalid := configMaps
	invalid.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In"}}}
	both := configMaps
	both.Name, both.LabelSelector = "x", &metav1.LabelSelector{}

	check(t, placements(), ValidatePlacement, []placementRule{
		{"all of a kind", with(configMaps), nil},
		{"a namespace by selectors", with(namespace("a", v1beta1.NamespaceWithResourceSelectors), configMaps), nil},
		{"name or labels", with(both), []string{
			`spec.resourceSelectors[0]: Invalid value: "x": name and labelSelector are mutually exclusive in a resource selector`,
		}},
		{"labels that can match", with(invalid), []string{
			"spec.resourceSelectors[0].labelSelector.matchExpressions[0].values: Required value: the labelSelector in resource selector is invalid: must be specified when `operator` is 'In' or 'NotIn'",
		}},
		{"one namespace by selectors", with(namespace("a", v1beta1.NamespaceWithResourceSelectors), namespace("b", v1beta1.NamespaceWithResourceSelectors)), []string{
			"spec.resourceSelectors: Forbidden: only one namespace selector with NamespaceWithResourceSelectors mode is allowed",
			"spec.resourceSelectors: Forbidden: namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)",
			"spec.resourceSelectors: Forbidden: when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other namespace selectors)",
		}},
		{"a namespace by selectors has a name", with(labeled), []string{
			"spec.resourceSelectors: Forbidden: namespace selector with NamespaceWithResourceSelectors mode must select by name (not by label)",
		}},
		{"a namespace by selectors is alone", with(namespace("a", v1beta1.NamespaceWithResourceSelectors), namespace("b", v1beta1.NamespaceOnly)), []string{
			"spec.resourceSelectors: Forbidden: when using NamespaceWithResourceSelectors mode, only one namespace selector is allowed (cannot mix with other namespace selectors)",
		}},
	})
}

func TestStatusReportingScope(t *testing.T) {
	accessible := func(kinds ...string) func(v1beta1.PlacementObject) {
		return spec(func(s *v1beta1.PlacementSpec) {
			s.StatusReportingScope, s.ResourceSelectors = v1beta1.NamespaceAccessible, nil
			for _, kind := range kinds {
				kind, name, _ := strings.Cut(kind, " ")
				s.ResourceSelectors = append(s.ResourceSelectors, v1beta1.ResourceSelectorTerm{Version: "v1", Kind: kind, Name: name})
			}
		})
	}
	refusal := []string{`spec.statusReportingScope: Invalid value: "NamespaceAccessible": when statusReportingScope is NamespaceAccessible, exactly one resourceSelector with kind 'Namespace' is required`}
	rules := []placementRule{
		{"into the namespace", accessible("Namespace team", "ClusterRole"), nil},
		{"into one without a name", accessible("ClusterRole", "Namespace"), []string{
			"spec.resourceSelectors[1].name: Required value: when statusReportingScope is NamespaceAccessible, the namespace must be selected by its name",
		}},
		{"into none", accessible("ClusterRole"), refusal},
		{"into two", accessible("Namespace team", "Namespace other"), refusal},
	}
	check(t, placements()[:1], ValidatePlacement, rules)
	// The field means nothing in a namespace.
	for i := range rules {
		rules[i].want = nil
	}
	check(t, placements()[1:], ValidatePlacement, rules)
}

func TestPlacementPolicy(t *testing.T) {
	affinity := &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{}}
	spread := []v1beta1.TopologySpreadConstraint{{TopologyKey: "zone"}}
	tolerations := []v1beta1.Toleration{{Operator: v1beta1.TolerationOpExists}}
	const pickFixed = "spec.policy: Forbidden: affinity, numberOfClusters, topologySpreadConstraints, and tolerations cannot be set when placementType is PickFixed"
	const pickAll = "spec.policy: Forbidden: clusterNames, numberOfClusters, and topologySpreadConstraints cannot be set when placementType is PickAll"
	const pickN = `spec.policy: Invalid value: "PickN": clusterNames cannot be set and numberOfClusters must be set when placementType is PickN`
	long := strings.Repeat("a", 64)

	check(t, placements(), ValidatePlacement, []placementRule{
		{"no policy", spec(func(s *v1beta1.PlacementSpec) { s.Policy = nil }), nil},
		{"PickAll", policy(v1beta1.PlacementPolicy{PlacementType: "PickAll", Affinity: affinity, Tolerations: tolerations}), nil},
		{"PickN", policy(v1beta1.PlacementPolicy{PlacementType: "PickN", NumberOfClusters: ptr.To[int32](0), Affinity: affinity, Tolerations: tolerations, TopologySpreadConstraints: spread}), nil},
		{"PickFixed", policy(v1beta1.PlacementPolicy{PlacementType: "PickFixed", ClusterNames: []string{"member1"}}), nil},
		{"PickFixed has no affinity", policy(v1beta1.PlacementPolicy{PlacementType: "PickFixed", Affinity: affinity}), []string{pickFixed}},
		{"PickFixed has no number", policy(v1beta1.PlacementPolicy{PlacementType: "PickFixed", NumberOfClusters: ptr.To[int32](1)}), []string{pickFixed}},
		{"PickFixed does not spread", policy(v1beta1.PlacementPolicy{PlacementType: "PickFixed", TopologySpreadConstraints: spread}), []string{pickFixed}},
		{"PickFixed does not tolerate", policy(v1beta1.PlacementPolicy{PlacementType: "PickFixed", Tolerations: tolerations}), []string{pickFixed}},
		{"PickAll has no names", policy(v1beta1.PlacementPolicy{PlacementType: "PickAll", ClusterNames: []string{"a"}}), []string{pickAll}},
		{"PickAll has no number", policy(v1beta1.PlacementPolicy{PlacementType: "PickAll", NumberOfClusters: ptr.To[int32](1)}), []string{pickAll}},
		{"PickAll does not spread", policy(v1beta1.PlacementPolicy{PlacementType: "PickAll", TopologySpreadConstraints: spread}), []string{pickAll}},
		{"PickAll prefers none", policy(v1beta1.PlacementPolicy{PlacementType: "PickAll", Affinity: &v1beta1.Affinity{ClusterAffinity: &v1beta1.ClusterAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []v1beta1.PreferredClusterSelector{{}},
		}}}), []string{"spec.policy.affinity.clusterAffinity.preferredDuringSchedulingIgnoredDuringExecution: Forbidden: PreferredDuringSchedulingIgnoredDuringExecution will be ignored for placement policy type PickAll"}},
		{"PickN has a number", policy(v1beta1.PlacementPolicy{PlacementType: "PickN"}), []string{pickN}},
		{"PickN has no names", policy(v1beta1.PlacementPolicy{PlacementType: "PickN", NumberOfClusters: ptr.To[int32](1), ClusterNames: []string{"a"}}), []string{pickN}},
		{"names of members", policy(v1beta1.PlacementPolicy{PlacementType: "PickFixed", ClusterNames: []string{"a", "a", long, "A"}}), []string{
			`spec.policy.clusterNames[1]: Invalid value: "a": cluster names must be unique for policy type PickFixed`,
			`spec.policy.clusterNames[2]: Invalid value: "` + long + `": PickFixed cluster name ` + long + ` cannot have length exceeding 63`,
			`spec.policy.clusterNames[3]: Invalid value: "A": PickFixed cluster name A is not a valid member name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
		}},
	})
}

func TestTolerations(t *testing.T) {
	tolerate := func(tolerations ...v1beta1.Toleration) func(v1beta1.PlacementObject) {
		return policy(v1beta1.PlacementPolicy{PlacementType: "PickAll", Tolerations: tolerations})
	}
	check(t, placements(), ValidatePlacement, []placementRule{
		{"a taint", tolerate(v1beta1.Toleration{Key: "a", Operator: "Equal", Value: "b", Effect: "NoSchedule"}), nil},
		{"every taint", tolerate(v1beta1.Toleration{Operator: "Exists"}), nil},
		{"Exists has no value", tolerate(v1beta1.Toleration{Key: "a", Operator: "Exists", Value: "b"}), []string{
			`spec.policy.tolerations[0].value: Invalid value: "b": value must be empty when operator is Exists`,
		}},
		{"Equal has a key", tolerate(v1beta1.Toleration{Operator: "Equal", Value: "b"}), []string{
			`spec.policy.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when key is empty`,
		}},
		{"unique", tolerate(v1beta1.Toleration{Key: "a", Operator: "Exists"}, v1beta1.Toleration{Key: "a", Operator: "Exists"}), []string{
			`spec.policy.tolerations[1]: Invalid value: "a": toleration {Key:a Operator:Exists Value: Effect:} already exists, tolerations must be unique`,
		}},
		{"keys and values of labels", tolerate(v1beta1.Toleration{Key: "a b", Operator: "Equal", Value: "c d"}), []string{
			`spec.policy.tolerations[0].value: Invalid value: "c d": invalid toleration value {Key:a b Operator:Equal Value:c d Effect:}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
			`spec.policy.tolerations[0].key: Invalid value: "a b": invalid toleration key {Key:a b Operator:Equal Value:c d Effect:}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
		}},
	})
}

func TestRolloutStrategy(t *testing.T) {
	rolling := func(maxUnavailable, maxSurge intstr.IntOrString) func(v1beta1.PlacementObject) {
		return strategy(v1beta1.RolloutStrategy{Type: "RollingUpdate", RollingUpdate: &v1beta1.RollingUpdateConfig{MaxUnavailable: &maxUnavailable, MaxSurge: &maxSurge}})
	}
	ok := intstr.FromInt32(0)
	check(t, placements(), ValidatePlacement, []placementRule{
		{"a pace", rolling(intstr.FromString("100%"), intstr.FromInt32(1000)), nil},
		{"External has no pace", strategy(v1beta1.RolloutStrategy{Type: "External", RollingUpdate: &v1beta1.RollingUpdateConfig{}}), []string{
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
		{"server-side apply is configured for server-side apply", strategy(v1beta1.RolloutStrategy{ApplyStrategy: &v1beta1.ApplyStrategy{
			Type: "ClientSideApply", ServerSideApplyConfig: &v1beta1.ServerSideApplyConfig{},
		}}), []string{"spec.strategy.applyStrategy.serverSideApplyConfig: Forbidden: serverSideApplyConfig is only valid for ServerSideApply strategy type"}},
		{"server-side apply", strategy(v1beta1.RolloutStrategy{ApplyStrategy: &v1beta1.ApplyStrategy{
			Type: "ServerSideApply", ServerSideApplyConfig: &v1beta1.ServerSideApplyConfig{ForceConflicts: true},
		}}), nil},
		{"a mirror has a destination", strategy(v1beta1.RolloutStrategy{ReportBackStrategy: &v1beta1.ReportBackStrategy{Type: "Mirror"}}), []string{
			"spec.strategy.reportBackStrategy.destination: Required value: when reportBackStrategy.type is 'Mirror', a destination must be specified",
		}},
	})
}

func TestPlacementUpdate(t *testing.T) {
	tolerating := placements()
	for _, object := range tolerating {
		object.PlacementSpec().Policy.Tolerations = []v1beta1.Toleration{{Key: "a", Operator: "Exists"}}
	}
	without := placements()
	for _, object := range without {
		object.PlacementSpec().Policy = nil
		object.PlacementSpec().Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
	}
	checkUpdate(t, placements(), ValidatePlacementUpdate, []placementRule{
		{"the policy stays", spec(func(s *v1beta1.PlacementSpec) { s.Policy = nil }), []string{
			`spec.policy: Invalid value: "": policy cannot be removed once set`,
		}},
		{"the way of picking stays", policy(v1beta1.PlacementPolicy{PlacementType: "PickFixed"}), []string{
			`spec.policy.placementType: Invalid value: "PickFixed": placement type is immutable`,
		}},
		{"External stays", strategy(v1beta1.RolloutStrategy{Type: "RollingUpdate"}), []string{
			`spec.strategy.type: Invalid value: "RollingUpdate": cannot change rollout strategy type from 'External' to other types`,
		}},
		{"the new spec is looked at", strategy(v1beta1.RolloutStrategy{Type: "External", RollingUpdate: &v1beta1.RollingUpdateConfig{}}), []string{
			"spec.strategy.rollingUpdate: Forbidden: rollingUpdateConifg is not valid for ExternalRollout strategy type",
		}},
	})
	checkUpdate(t, placements()[:1], ValidatePlacementUpdate, []placementRule{
		{"who reads the status stays", spec(func(s *v1beta1.PlacementSpec) { s.StatusReportingScope = v1beta1.NamespaceAccessible }), []string{
			`spec.statusReportingScope: Invalid value: "NamespaceAccessible": statusReportingScope is immutable`,
		}},
	})
	mirrored := placements()[:1]
	spec(func(s *v1beta1.PlacementSpec) {
		s.StatusReportingScope = v1beta1.NamespaceAccessible
		s.ResourceSelectors = []v1beta1.ResourceSelectorTerm{{Version: "v1", Kind: "Namespace", Name: "team"}}
	})(mirrored[0])
	checkUpdate(t, mirrored, ValidatePlacementUpdate, []placementRule{
		{"more is selected", spec(func(s *v1beta1.PlacementSpec) {
			s.ResourceSelectors = slices.Insert(s.ResourceSelectors, 0, v1beta1.ResourceSelectorTerm{Version: "v1", Kind: "ClusterRole", Name: "team"})
		}), nil},
		{"the namespace of the mirror stays", spec(func(s *v1beta1.PlacementSpec) { s.ResourceSelectors[0].Name = "other" }), []string{
			`spec.resourceSelectors[0].name: Invalid value: "other": namespace resource selector is choosing a different namespace 'other' from what was ` +
				`originally picked 'team'. This is not allowed for NamespaceAccessible ClusterResourcePlacement`,
		}},
	})
	checkUpdate(t, tolerating, ValidatePlacementUpdate, []placementRule{
		{"tolerations are added", spec(func(s *v1beta1.PlacementSpec) {
			s.Policy.Tolerations = append(s.Policy.Tolerations, v1beta1.Toleration{Key: "b", Operator: "Exists"})
		}), nil},
		{"tolerations stay", spec(func(s *v1beta1.PlacementSpec) { s.Policy.Tolerations = nil }), []string{
			"spec.policy.tolerations: Forbidden: tolerations have been updated/deleted, only additions to tolerations are allowed",
		}},
	})
	checkUpdate(t, without, ValidatePlacementUpdate, []placementRule{
		{"no policy picks all", policy(v1beta1.PlacementPolicy{PlacementType: "PickAll"}), nil},
		{"no policy picks not some", policy(v1beta1.PlacementPolicy{PlacementType: "PickN", NumberOfClusters: ptr.To[int32](1)}), []string{
			`spec.policy.placementType: Invalid value: "PickN": placement type is immutable`,
		}},
		{"from rolling to External", strategy(v1beta1.RolloutStrategy{Type: "External"}), nil},
	})
}

func TestPlacementStatus(t *testing.T) {
	broken := v1beta1.PlacementStatus{
		Conditions: []metav1.Condition{incomplete("ClusterResourcePlacementScheduled")},
		PerClusterPlacementStatuses: []v1beta1.PerClusterPlacementStatus{{
			Conditions:       []metav1.Condition{incomplete("Scheduled")},
			FailedPlacements: []v1beta1.FailedResourcePlacement{{Condition: incomplete("Applied")}},
		}},
	}
	checkUpdate(t, placements(), ValidatePlacementStatusUpdate, []placementRule{
		{"conditions are complete", func(object v1beta1.PlacementObject) { *object.PlacementStatus() = broken }, []string{
			"status.conditions[0].reason: Required value",
			"status.placementStatuses[0].conditions[0].reason: Required value",
			"status.placementStatuses[0].failedPlacements[0].condition.reason: Required value",
		}},
	})
	mirror := &v1beta1.ClusterResourcePlacementStatus{SourceStatus: v1beta1.PlacementStatus{Conditions: broken.Conditions}}
	expect(t, ValidatePlacementStatusMirror(mirror), "sourceStatus.conditions[0].reason: Required value")
	expect(t, ValidatePlacementStatusMirrorUpdate(mirror, &v1beta1.ClusterResourcePlacementStatus{}), "sourceStatus.conditions[0].reason: Required value")
	expect(t, ValidatePlacementStatusMirrorUpdate(mirror, mirror))
}

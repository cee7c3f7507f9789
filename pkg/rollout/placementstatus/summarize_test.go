// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

var (
	before = metav1.NewTime(time.Date(2025, 7, 22, 21, 0, 0, 0, time.UTC))
	now    = metav1.NewTime(time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC))
)

// bind makes a binding of a cluster; its conditions are written as "Type=Status" or "Type=Status:Reason".
func bind(cluster, snapshot string, conditions ...string) v1beta1.BindingObject {
	b := &v1beta1.ClusterResourceBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b-" + cluster, Generation: 2, CreationTimestamp: before},
		Spec: v1beta1.ResourceBindingSpec{
			State: v1beta1.BindingStateBound, TargetCluster: cluster, ResourceSnapshotName: snapshot,
			ClusterDecision: v1beta1.ClusterDecision{Reason: "picked"},
		},
	}
	if snapshot == "" {
		b.Spec.State = v1beta1.BindingStateScheduled
	}
	for _, c := range conditions {
		conditionType, rest, _ := strings.Cut(c, "=")
		status, reason, found := strings.Cut(rest, ":")
		if !found {
			reason = conditionType
		}
		b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{
			Type: conditionType, Status: metav1.ConditionStatus(status), Reason: reason, ObservedGeneration: 2, LastTransitionTime: before,
		})
	}
	return b
}

var allDone = []string{"RolloutStarted=True", "Overridden=True:NoOverrideSpecified", "WorkSynchronized=True", "Applied=True", "Available=True"}

func policy(status metav1.ConditionStatus, decisions ...v1beta1.ClusterDecision) v1beta1.PolicySnapshotObject {
	return &v1beta1.ClusterSchedulingPolicySnapshot{
		ObjectMeta: metav1.ObjectMeta{Generation: 1},
		Status: v1beta1.SchedulingPolicySnapshotStatus{
			ObservedCRPGeneration: 3, ClusterDecisions: decisions,
			Conditions: []metav1.Condition{{Type: "Scheduled", Status: status, Reason: "Why", Message: "found", ObservedGeneration: 1}},
		},
	}
}

// snapshotOnly has every cluster be to hold a snapshot and nothing else.
func snapshotOnly(name string) func(string) bindingrules.Version {
	return func(string) bindingrules.Version { return bindingrules.Version{ResourceSnapshot: name} }
}

// lines shows conditions as "Type=Status Reason: message", without the kind's prefix.
func lines(conditions []metav1.Condition) []string {
	var shown []string
	for _, c := range conditions {
		shown = append(shown, fmt.Sprintf("%s=%s %s: %s", strings.TrimPrefix(strings.TrimPrefix(c.Type, "Cluster"), "ResourcePlacement"), c.Status, c.Reason, c.Message))
	}
	return shown
}

func TestSummarize(t *testing.T) {
	const scheduledLine = "Scheduled=True Why: found"
	tests := map[string]struct {
		strategy  v1beta1.RolloutStrategyType
		status    v1beta1.PlacementStatus
		policy    v1beta1.PolicySnapshotObject
		bindings  []v1beta1.BindingObject
		want      []string
		index     string
		clusters  string
		resources bool
		// empty is a version without resources, never whether no version had any.
		empty, never bool
		// noVersion is that there is no snapshot.
		noVersion bool
	}{
		"scheduling has not begun": {
			strategy: v1beta1.ExternalRolloutStrategyType,
			want:     []string{"Scheduled=Unknown SchedulePending: Scheduling has not completed"},
		},
		"scheduling of an older generation does not count": {
			strategy: v1beta1.ExternalRolloutStrategyType,
			policy: func() v1beta1.PolicySnapshotObject {
				p := policy(metav1.ConditionTrue)
				p.PolicySnapshotStatus().ObservedCRPGeneration = 2
				return p
			}(),
			bindings: []v1beta1.BindingObject{bind("a", "p-0-snapshot", allDone...)},
			want:     []string{"Scheduled=Unknown SchedulePending: Scheduling has not completed"},
		},
		"selectors that are wrong come before the clusters": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType,
			status: v1beta1.PlacementStatus{Conditions: []metav1.Condition{{
				Type: "ClusterResourcePlacementResourcesSelected", Status: metav1.ConditionFalse, Reason: "InvalidResourceSelectors", Message: "bad",
			}}},
			policy: policy(metav1.ConditionTrue),
			want:   []string{"ResourcesSelected=False InvalidResourceSelectors: bad", "Scheduled=False InvalidResourceSelectors: bad"},
		},
		"an incomplete view is told with the scheduling": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType,
			status: v1beta1.PlacementStatus{Conditions: []metav1.Condition{{
				Type: "ClusterResourcePlacementResourcesSelected", Status: metav1.ConditionFalse, Reason: "ResourcesIncomplete", Message: "group x does not answer",
			}}},
			policy: policy(metav1.ConditionTrue),
			want:   []string{"ResourcesSelected=False ResourcesIncomplete: group x does not answer", "Scheduled=True Why: found; group x does not answer"},
		},
		"no cluster picked": {strategy: v1beta1.RollingUpdateRolloutStrategyType, policy: policy(metav1.ConditionTrue), want: []string{scheduledLine}},
		"External, before a run": {
			strategy: v1beta1.ExternalRolloutStrategyType, policy: policy(metav1.ConditionTrue),
			bindings: []v1beta1.BindingObject{bind("b", ""), bind("a", "")}, clusters: "a: b:",
			want: []string{scheduledLine, "RolloutStarted=Unknown RolloutControlledByExternalController: Rollout is controlled by an external controller and no resource snapshot name " +
				"is observed across clusters. To determine rollout status, check the ClusterStagedUpdateRun (or StagedUpdateRun) resources with spec.placementName matching this placement"},
		},
		"External, in the middle of a run": {
			strategy: v1beta1.ExternalRolloutStrategyType, policy: policy(metav1.ConditionTrue),
			bindings: []v1beta1.BindingObject{bind("a", "p-0-snapshot", allDone...), bind("b", "p-1-snapshot", allDone...)}, clusters: "a:0 b:1",
			want: []string{scheduledLine, "RolloutStarted=Unknown RolloutControlledByExternalController: Rollout is controlled by an external controller and different resource snapshot versions are observed across clusters"},
		},
		"External, after a run": {
			strategy: v1beta1.ExternalRolloutStrategyType, policy: policy(metav1.ConditionTrue), index: "1", resources: true,
			bindings: []v1beta1.BindingObject{bind("a", "p-1-snapshot", allDone...), bind("b", "p-1-snapshot", allDone...)}, clusters: "a:1 b:1",
			want: []string{
				scheduledLine,
				"RolloutStarted=True RolloutStarted: All 2 cluster(s) start rolling out the latest resource",
				"Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources",
				"WorkSynchronized=True WorkSynchronized: Work(s) are successfully created or updated in 2 target cluster(s)' namespaces",
				"Applied=True ApplySucceeded: The selected resources are successfully applied to 2 cluster(s)",
				"Available=True ResourceAvailable: The selected resources in 2 cluster(s) are available now",
			},
		},
		"a version without resources is no success": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType, policy: policy(metav1.ConditionTrue), index: "1", empty: true, never: true,
			bindings: []v1beta1.BindingObject{bind("a", "p-1-snapshot", allDone...), bind("b", "p-1-snapshot", allDone...)}, clusters: "a:1 b:1",
			want: []string{
				scheduledLine,
				"RolloutStarted=True RolloutStarted: All 2 cluster(s) start rolling out the latest resource",
				"Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources",
				"WorkSynchronized=True WorkSynchronized: Work(s) are successfully created or updated in 2 target cluster(s)' namespaces",
				"Applied=False NothingSelected: Nothing is placed on 2 cluster(s), since the placement selects nothing: mend its resource selectors, or create what they select",
			},
		},
		"unless it takes away what there was": {
			strategy: v1beta1.ExternalRolloutStrategyType, policy: policy(metav1.ConditionTrue), index: "1", empty: true,
			bindings: []v1beta1.BindingObject{bind("a", "p-1-snapshot", allDone...)}, clusters: "a:1",
			want: []string{
				scheduledLine,
				"RolloutStarted=True RolloutStarted: All 1 cluster(s) start rolling out the latest resource",
				"Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources",
				"WorkSynchronized=True WorkSynchronized: Work(s) are successfully created or updated in 1 target cluster(s)' namespaces",
				"Applied=True ApplySucceeded: The version has no resources: nothing is to be applied to 1 cluster(s)",
				"Available=True ResourceAvailable: The version has no resources: there is nothing to be available in 1 cluster(s)",
			},
		},
		"a version without resources that is on its way": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType, policy: policy(metav1.ConditionTrue), index: "1", empty: true, never: true,
			bindings: []v1beta1.BindingObject{bind("a", "p-1-snapshot", "RolloutStarted=True")}, clusters: "a:1",
			want: []string{
				scheduledLine,
				"RolloutStarted=True RolloutStarted: All 1 cluster(s) start rolling out the latest resource",
				"Overridden=Unknown OverriddenPending: There are still 1 cluster(s) in the process of overriding the selected resources if there is any override defined",
			},
		},
		"a cluster on which applying failed stops the line there": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType, policy: policy(metav1.ConditionTrue), index: "1", resources: true, clusters: "a:1 b:1",
			bindings: []v1beta1.BindingObject{bind("a", "p-1-snapshot", append(allDone[:3:3], "Applied=False")...), bind("b", "p-1-snapshot", allDone...)},
			status: v1beta1.PlacementStatus{Conditions: []metav1.Condition{{
				Type: "ClusterResourcePlacementAvailable", Status: metav1.ConditionTrue, Reason: "Old", Message: "old",
			}}},
			want: []string{
				scheduledLine,
				"RolloutStarted=True RolloutStarted: All 2 cluster(s) start rolling out the latest resource",
				"Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources",
				"WorkSynchronized=True WorkSynchronized: Work(s) are successfully created or updated in 2 target cluster(s)' namespaces",
				"Applied=False ApplyFailed: Failed to apply resources to 1 cluster(s)",
			},
		},
		"RollingUpdate, a cluster waits for its turn with the old version": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType, policy: policy(metav1.ConditionTrue), index: "1", resources: true, clusters: "a:0 b:1",
			bindings: []v1beta1.BindingObject{bind("a", "p-0-snapshot", allDone...), bind("b", "p-1-snapshot", allDone...)},
			want:     []string{scheduledLine, "RolloutStarted=False RolloutNotStartedYet: The rollout is being blocked by the rollout strategy in 1 cluster(s)"},
		},
		"RollingUpdate, selectors that are wrong from the start make no version": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType, policy: policy(metav1.ConditionTrue), clusters: "a: b:", noVersion: true,
			bindings: []v1beta1.BindingObject{bind("a", ""), bind("b", "")},
			status: v1beta1.PlacementStatus{Conditions: []metav1.Condition{{
				Type: "ClusterResourcePlacementResourcesSelected", Status: metav1.ConditionFalse, Reason: "ResourcesIncomplete", Message: "bad",
			}}},
			want: []string{
				"ResourcesSelected=False ResourcesIncomplete: bad", "Scheduled=True Why: found; bad",
				"RolloutStarted=Unknown RolloutStartedUnknown: No version is made for 2 cluster(s): ResourcesIncomplete",
			},
		},
		"a cluster that is missing is told": {
			strategy: v1beta1.ExternalRolloutStrategyType, clusters: "(cluster z: is not there)",
			policy: policy(metav1.ConditionFalse, v1beta1.ClusterDecision{ClusterName: "z", Reason: "is not there"}),
			want:   []string{"Scheduled=False Why: found"},
		},
		"conditions of an older binding do not count": {
			strategy: v1beta1.RollingUpdateRolloutStrategyType, policy: policy(metav1.ConditionTrue), index: "1", resources: true, clusters: "a:1",
			bindings: []v1beta1.BindingObject{func() v1beta1.BindingObject {
				b := bind("a", "p-1-snapshot", allDone...)
				b.SetGeneration(3)
				return b
			}()},
			want: []string{scheduledLine, "RolloutStarted=Unknown RolloutStartedUnknown: There are still 1 cluster(s) in the process of deciding whether to roll out the latest resources or not"},
		},
	}
	for name, test := range tests {
		for _, namespace := range []string{"", "team"} {
			t.Run(name+"/"+namespace, func(t *testing.T) {
				var placement v1beta1.PlacementObject = &v1beta1.ClusterResourcePlacement{}
				if namespace != "" {
					placement = &v1beta1.ResourcePlacement{}
				}
				placement.SetNamespace(namespace)
				placement.SetGeneration(3)
				placement.PlacementSpec().Strategy.Type = test.strategy
				*placement.PlacementStatus() = *test.status.DeepCopy()
				for i := range placement.PlacementStatus().Conditions {
					c := &placement.PlacementStatus().Conditions[i]
					c.Type = v1beta1.PlacementConditionType(namespace, strings.TrimPrefix(c.Type, "ClusterResourcePlacement"))
				}
				w := world{
					policy: test.policy, bindings: test.bindings, latest: "p-1-snapshot", wanted: snapshotOnly("p-1-snapshot"),
					index:      map[string]string{"p-0-snapshot": "0", "p-1-snapshot": "1"},
					resources:  func(string) []v1beta1.ResourceIdentifier { return []v1beta1.ResourceIdentifier{{Kind: "ConfigMap"}} },
					onClusters: func() []v1beta1.ResourceIdentifier { return nil },
				}
				if test.noVersion {
					w.latest, w.wanted = "", nil
				}
				if test.empty {
					w.resources = func(string) []v1beta1.ResourceIdentifier { return nil }
					w.neverAnything = func(string) bool { return test.never }
				}
				w.contents = w.resources
				got := summarize(placement, w, now)
				shown := lines(got.Conditions)
				if diff := cmp.Diff(sorted(test.want), sorted(shown)); diff != "" {
					t.Errorf("conditions (-want +got):\n%s", diff)
				}
				if got.ObservedResourceIndex != test.index || (len(got.SelectedResources) > 0) != test.resources {
					t.Errorf("index %q resources %v, want %q %v", got.ObservedResourceIndex, got.SelectedResources, test.index, test.resources)
				}
				var clusters []string
				for _, c := range got.PerClusterPlacementStatuses {
					if c.ClusterName == "" {
						clusters = append(clusters, "("+c.Conditions[0].Message+")")
						continue
					}
					clusters = append(clusters, c.ClusterName+":"+c.ObservedResourceIndex)
				}
				if s := strings.Join(clusters, " "); s != test.clusters {
					t.Errorf("clusters %q, want %q", s, test.clusters)
				}
				// Summing up again changes nothing, whatever the time: else each write would cause the next.
				*placement.PlacementStatus() = *got
				again := summarize(placement, w, metav1.NewTime(now.Add(time.Hour)))
				if diff := cmp.Diff(got, again); diff != "" {
					t.Errorf("summing up again changes the status:\n%s", diff)
				}
			})
		}
	}
}

func TestWhatAClusterKeepsIsInItsStatus(t *testing.T) {
	earlier := metav1.NewTime(before.Add(-time.Hour))
	kept := func(generation int64, since metav1.Time, message string) metav1.Condition {
		return metav1.Condition{
			Type: v1beta1.BindingObjectsKept, Status: metav1.ConditionTrue, Reason: "Adopted", Message: message,
			ObservedGeneration: generation, LastTransitionTime: since,
		}
	}
	for name, tc := range map[string]struct {
		binding   []metav1.Condition
		said      []metav1.Condition
		applied   string
		want      *metav1.Condition
		wantSteps int
	}{
		"nothing":                       {nil, nil, "True", nil, 6},
		"that it keeps them":            {[]metav1.Condition{kept(2, before, "x")}, nil, "True", ptr.To(kept(3, before, "x")), 7},
		"although applying has failed":  {[]metav1.Condition{kept(2, before, "x")}, nil, "False", ptr.To(kept(3, before, "x")), 6},
		"since when, not since it said": {[]metav1.Condition{kept(2, before, "y")}, []metav1.Condition{kept(3, earlier, "x")}, "True", ptr.To(kept(3, before, "y")), 7},
		"not of an older binding":       {[]metav1.Condition{kept(1, before, "x")}, nil, "True", nil, 6},
		"not any more":                  {nil, []metav1.Condition{kept(3, before, "x")}, "True", nil, 6},
	} {
		t.Run(name, func(t *testing.T) {
			b := bind("a", "p-1-snapshot", append(allDone[:3:3], "Applied="+tc.applied, "Available=True")...)
			b.BindingStatus().Conditions = append(b.BindingStatus().Conditions, tc.binding...)
			placement := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			placement.Spec.Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
			placement.Status.PerClusterPlacementStatuses = []v1beta1.PerClusterPlacementStatus{{ClusterName: "a", Conditions: tc.said}}
			placement.Status.Prune = &v1beta1.PlacementPruneRecord{ResourceSnapshotName: "p-1-snapshot"}
			w := world{
				policy: policy(metav1.ConditionTrue), bindings: []v1beta1.BindingObject{b}, latest: "p-1-snapshot", wanted: snapshotOnly("p-1-snapshot"), index: map[string]string{"p-1-snapshot": "1"},
				resources:  func(string) []v1beta1.ResourceIdentifier { return []v1beta1.ResourceIdentifier{{Kind: "ConfigMap"}} },
				onClusters: func() []v1beta1.ResourceIdentifier { return nil },
			}
			w.contents = w.resources
			got := summarize(placement, w, now)
			conditions := got.PerClusterPlacementStatuses[0].Conditions
			if diff := cmp.Diff(tc.want, meta.FindStatusCondition(conditions, v1beta1.PlacementObjectsKept)); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
			if len(conditions) != tc.wantSteps {
				t.Errorf("conditions %v, want %d", lines(conditions), tc.wantSteps)
			}
			if diff := cmp.Diff(placement.Status.Prune, got.Prune); diff != "" {
				t.Errorf("what was asked is lost:\n%s", diff)
			}
			placement.Status = *got
			if diff := cmp.Diff(got, summarize(placement, w, metav1.NewTime(now.Add(time.Hour)))); diff != "" {
				t.Errorf("summing up again changes the status:\n%s", diff)
			}
		})
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func TestAClusterThatPoliciesKeepSaysSo(t *testing.T) {
	const refusal = "the placement (protected: a): spec.strategy.type must be External (ClusterRolloutPolicy guard)"
	b := bind("a", "p-0-snapshot", append([]string{"RolloutStarted=False:RolloutPolicyViolated"}, allDone[1:]...)...)
	b.BindingStatus().Conditions[0].Message = refusal
	placement := &v1beta1.ClusterResourcePlacement{Spec: v1beta1.PlacementSpec{Strategy: v1beta1.RolloutStrategy{Type: v1beta1.RollingUpdateRolloutStrategyType}}}
	entry := perCluster(placement, b, steps(&placement.Spec), "0", snapshotOnly("p-1-snapshot"), nil, now)
	c := meta.FindStatusCondition(entry.Conditions, v1beta1.PlacementRolloutStarted)
	if c == nil || c.Reason != "RolloutPolicyViolated" || c.Message != refusal {
		t.Errorf("the cluster says %v, want the refusal", c)
	}
	summary := keptByPolicies([]v1beta1.PerClusterPlacementStatus{entry, {ClusterName: "free"}})
	if want := "rollout policies keep a: " + refusal; summary != want {
		t.Errorf("the placement says %q, want %q", summary, want)
	}
}

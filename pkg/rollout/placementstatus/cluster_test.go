// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

// entries shows what a placement says and what it says of each cluster, in the order in which it stands.
func entries(status *v1beta1.PlacementStatus) (lines []string) {
	for _, c := range status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	for i := range status.PerClusterPlacementStatuses {
		cluster := &status.PerClusterPlacementStatuses[i]
		line := fmt.Sprintf("%s at %s:", cluster.ClusterName, cluster.ObservedResourceIndex)
		for _, c := range cluster.Conditions {
			line += fmt.Sprintf(" %s=%s", c.Type, c.Status)
		}
		line += fmt.Sprintf("; failed %d, drifted %d, differ %d; overrides %v %v", len(cluster.FailedPlacements), len(cluster.DriftedPlacements),
			len(cluster.DiffedPlacements), cluster.ApplicableClusterResourceOverrides, cluster.ApplicableResourceOverrides)
		lines = append(lines, line)
	}
	return lines
}

// TestAPlacementSaysWhatItsClustersDo compares all that is said, and its order.
func TestAPlacementSaysWhatItsClustersDo(t *testing.T) {
	object := v1beta1.ResourceIdentifier{Kind: "ConfigMap", Name: "c"}
	with := func(b v1beta1.BindingObject, change func(*v1beta1.ResourceBindingSpec, *v1beta1.ResourceBindingStatus)) v1beta1.BindingObject {
		change(b.BindingSpec(), b.BindingStatus())
		return b
	}
	overridden := func(cluster string, conditions ...string) v1beta1.BindingObject {
		return with(bind(cluster, "p-1-snapshot", conditions...), func(spec *v1beta1.ResourceBindingSpec, _ *v1beta1.ResourceBindingStatus) {
			spec.ClusterResourceOverrideSnapshots = []string{"cro-0"}
			spec.ResourceOverrideSnapshots = []v1beta1.NamespacedName{{Namespace: "n", Name: "ro-0"}}
		})
	}
	failing := func(cluster, conditionType, reason, message string) v1beta1.BindingObject {
		conditions := []string{}
		for _, c := range allDone {
			if strings.HasPrefix(c, conditionType+"=") {
				break
			}
			conditions = append(conditions, c)
		}
		return with(bind(cluster, "p-1-snapshot", append(conditions, conditionType+"=False:"+reason)...), func(_ *v1beta1.ResourceBindingSpec, status *v1beta1.ResourceBindingStatus) {
			status.Conditions[len(status.Conditions)-1].Message = message
			if reason != wellknown.ReasonClusterUnreachable {
				status.FailedPlacements = []v1beta1.FailedResourcePlacement{{ResourceIdentifier: object, Condition: metav1.Condition{Reason: reason, Message: message}}}
			}
		})
	}
	const prefix = "ClusterResourcePlacement"
	const (
		scheduled = prefix + "Scheduled=True Why: found"
		started   = prefix + "RolloutStarted=True RolloutStarted: All %d cluster(s) start rolling out the latest resource"
		none      = prefix + "Overridden=True NoOverrideSpecified: No override rules are configured for the selected resources"
		worked    = prefix + "WorkSynchronized=True WorkSynchronized: Work(s) are successfully created or updated in %d target cluster(s)' namespaces"
	)
	of := fmt.Sprintf
	for name, test := range map[string]struct {
		reportDiff bool
		bindings   []v1beta1.BindingObject
		want       []string
	}{
		"differences are reported": {true, []v1beta1.BindingObject{
			bind("b", "p-1-snapshot", append(allDone[:3:3], "DiffReported=True")...),
			with(bind("a", "p-1-snapshot", append(allDone[:3:3], "DiffReported=True")...), func(_ *v1beta1.ResourceBindingSpec, status *v1beta1.ResourceBindingStatus) {
				status.DiffedPlacements = []v1beta1.DiffedResourcePlacement{{ResourceIdentifier: object}}
			}),
		}, []string{
			scheduled, of(started, 2), none, of(worked, 2),
			prefix + "DiffReported=True DiffReportingCompleted: Diff reporting in 2 cluster(s) has been completed; objects differ in 1 of them, see `diffedPlacements`: a",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True DiffReported=True; failed 0, drifted 0, differ 1; overrides [] []",
			"b at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True DiffReported=True; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"one does not report differences": {true, []v1beta1.BindingObject{
			bind("a", "p-1-snapshot", append(allDone[:3:3], "DiffReported=False")...), bind("b", "p-1-snapshot", append(allDone[:3:3], "DiffReported=True")...),
		}, []string{
			scheduled, of(started, 2), none, of(worked, 2),
			prefix + "DiffReported=False DiffReportingIncompleteOrFailed: Diff reporting in 1 clusters is still in progress or has failed",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True DiffReported=False; failed 0, drifted 0, differ 0; overrides [] []",
			"b at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True DiffReported=True; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"what was applied before says nothing of differences": {true, []v1beta1.BindingObject{bind("a", "p-1-snapshot", allDone...)}, []string{
			scheduled, of(started, 1), none, of(worked, 1),
			prefix + "DiffReported=Unknown DiffReportingPending: There are still 1 cluster(s) in the process of checking for configuration differences",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True DiffReported=Unknown; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"one cluster has overrides": {false, []v1beta1.BindingObject{
			overridden("a", append([]string{"RolloutStarted=True", "Overridden=True:OverriddenSucceeded"}, allDone[2:]...)...), bind("b", "p-1-snapshot", allDone...),
		}, []string{
			scheduled, of(started, 2), prefix + "Overridden=True OverriddenSucceeded: The selected resources are successfully overridden in 2 cluster(s)", of(worked, 2),
			prefix + "Applied=True ApplySucceeded: The selected resources are successfully applied to 2 cluster(s)",
			prefix + "Available=True ResourceAvailable: The selected resources in 2 cluster(s) are available now",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=True Available=True; failed 0, drifted 0, differ 0; overrides [cro-0] [{ro-0 n}]",
			"b at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=True Available=True; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"an override does not fit": {false, []v1beta1.BindingObject{overridden("a", "RolloutStarted=True", "Overridden=False:OverriddenFailed")}, []string{
			scheduled, of(started, 1), prefix + "Overridden=False OverriddenFailed: Failed to override resources in 1 cluster(s)",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=False; failed 0, drifted 0, differ 0; overrides [cro-0] [{ro-0 n}]",
		}},
		"overrides of a rollout that has not started": {false, []v1beta1.BindingObject{overridden("a", "RolloutStarted=False:RolloutNotStartedYet")}, []string{
			scheduled, prefix + "RolloutStarted=False RolloutNotStartedYet: The rollout is being blocked by the rollout strategy in 1 cluster(s)",
			"a at 1: Scheduled=True RolloutStarted=False; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"objects failed, drifted and differ": {false, []v1beta1.BindingObject{
			with(bind("a", "p-1-snapshot", append(allDone[:3:3], "Applied=False")...), func(_ *v1beta1.ResourceBindingSpec, status *v1beta1.ResourceBindingStatus) {
				status.FailedPlacements = []v1beta1.FailedResourcePlacement{{ResourceIdentifier: object}, {ResourceIdentifier: object}}
				status.DriftedPlacements = []v1beta1.DriftedResourcePlacement{{ResourceIdentifier: object}}
				status.DiffedPlacements = []v1beta1.DiffedResourcePlacement{{ResourceIdentifier: object}, {ResourceIdentifier: object}, {ResourceIdentifier: object}}
			}),
		}, []string{
			scheduled, of(started, 1), none, of(worked, 1), prefix + "Applied=False ApplyFailed: Failed to apply resources to 1 cluster(s), please check the `failedPlacements` status; cluster a: ConfigMap c and 1 other object:",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=False; failed 2, drifted 1, differ 3; overrides [] []",
		}},
		"nothing differs": {true, []v1beta1.BindingObject{bind("a", "p-1-snapshot", append(allDone[:3:3], "DiffReported=True")...)}, []string{
			scheduled, of(started, 1), none, of(worked, 1),
			prefix + "DiffReported=True DiffReportingCompleted: Diff reporting in 1 cluster(s) has been completed; nothing differs",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True DiffReported=True; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"a cluster cannot be reached": {false, []v1beta1.BindingObject{failing("a", "Applied", wellknown.ReasonClusterUnreachable, "The member cannot be reached: x")}, []string{
			scheduled, of(started, 1), none, of(worked, 1), prefix + "Applied=False ApplyFailed: Failed to apply resources to 1 cluster(s); cluster a: The member cannot be reached: x",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=False; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"an envelope cannot be used": {false, []v1beta1.BindingObject{failing("a", "WorkSynchronized", wellknown.ReasonEnvelopeUnusable, "no kind")}, []string{
			scheduled, of(started, 1), none,
			prefix + "WorkSynchronized=False WorkNotSynchronizedYet: There are 1 cluster(s) which have not finished creating or updating work(s) yet; cluster a: ConfigMap c: no kind",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=False; failed 1, drifted 0, differ 0; overrides [] []",
		}},
		"an override was left out": {false, []v1beta1.BindingObject{
			with(overridden("a", append([]string{"RolloutStarted=True", "Overridden=True:OverriddenSucceeded"}, allDone[2:]...)...), func(_ *v1beta1.ResourceBindingSpec, status *v1beta1.ResourceBindingStatus) {
				status.Conditions[1].Message = wellknown.MessageOverridden + ". One that does not fit is left out: x"
			}),
		}, []string{
			scheduled, of(started, 1), prefix + "Overridden=True OverriddenSucceeded: The selected resources are successfully overridden in 1 cluster(s); " +
				"overrides are left out in 1 cluster(s), cluster a: One that does not fit is left out: x", of(worked, 1),
			prefix + "Applied=True ApplySucceeded: The selected resources are successfully applied to 1 cluster(s)",
			prefix + "Available=True ResourceAvailable: The selected resources in 1 cluster(s) are available now",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=True Available=True; failed 0, drifted 0, differ 0; overrides [cro-0] [{ro-0 n}]",
		}},
		"clusters wait for one that is not available": {false, []v1beta1.BindingObject{
			failing("a", "Available", "NotAvailable", "Updated: 1/2"), bind("b", "p-0-snapshot", allDone...), bind("c", "p-1-snapshot", allDone[:3]...),
		}, []string{
			scheduled, prefix + "RolloutStarted=False RolloutNotStartedYet: The rollout is being blocked by the rollout strategy in 1 cluster(s); " +
				"maxUnavailable 25% waits for cluster a: ConfigMap c: Updated: 1/2; and 1 more",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=True Available=False; failed 1, drifted 0, differ 0; overrides [] []",
			"b at 0: Scheduled=True RolloutStarted=False; failed 0, drifted 0, differ 0; overrides [] []",
			"c at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=Unknown; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"one says nothing and one has failed": {false, []v1beta1.BindingObject{
			bind("a", "p-1-snapshot", allDone[:3]...), bind("b", "p-1-snapshot", append(allDone[:3:3], "Applied=False")...),
		}, []string{
			scheduled, of(started, 2), none, of(worked, 2),
			prefix + "Applied=Unknown ApplyPending: There are still 1 cluster(s) in the process of applying the resources on the member cluster",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=Unknown; failed 0, drifted 0, differ 0; overrides [] []",
			"b at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=False; failed 0, drifted 0, differ 0; overrides [] []",
		}},
		"clusters wait at their own version": {false, []v1beta1.BindingObject{
			bind("b", "p-0-snapshot", allDone...), bind("a", "p-1-snapshot", allDone...), bind("c", "p-0-snapshot", allDone...),
		}, []string{
			scheduled, prefix + "RolloutStarted=False RolloutNotStartedYet: The rollout is being blocked by the rollout strategy in 2 cluster(s)",
			"a at 1: Scheduled=True RolloutStarted=True Overridden=True WorkSynchronized=True Applied=True Available=True; failed 0, drifted 0, differ 0; overrides [] []",
			"b at 0: Scheduled=True RolloutStarted=False; failed 0, drifted 0, differ 0; overrides [] []",
			"c at 0: Scheduled=True RolloutStarted=False; failed 0, drifted 0, differ 0; overrides [] []",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			placement := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			placement.Spec.Strategy.Type = v1beta1.RollingUpdateRolloutStrategyType
			if test.reportDiff {
				placement.Spec.Strategy.ApplyStrategy = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
			}
			w := world{
				policy: policy(metav1.ConditionTrue), bindings: test.bindings, latest: "p-1-snapshot",
				index:      map[string]string{"p-0-snapshot": "0", "p-1-snapshot": "1"},
				resources:  func(string) []v1beta1.ResourceIdentifier { return []v1beta1.ResourceIdentifier{object} },
				contents:   func(string) []v1beta1.ResourceIdentifier { return []v1beta1.ResourceIdentifier{object} },
				onClusters: func() []v1beta1.ResourceIdentifier { return nil },
			}
			// Only the snapshot makes a difference here.
			w.wanted = wantsOwn(test.bindings, "p-1-snapshot")
			if diff := cmp.Diff(test.want, entries(summarize(placement, w, now))); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

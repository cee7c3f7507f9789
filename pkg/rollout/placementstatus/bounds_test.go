// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package placementstatus

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/fleet"
	bindingrules "github.com/stagegate/stagegate/pkg/rules/binding"
)

// maxStored is how large a status may be for the API to take it.
const maxStored = 8 << 20

func TestAStatusOverManyClustersCanBeStored(t *testing.T) {
	objects := func(count, details, message int) func(*v1beta1.ResourceBindingStatus) {
		patch := make([]v1beta1.PatchDetail, details)
		for i := range patch {
			patch[i] = v1beta1.PatchDetail{Path: fmt.Sprintf("/data/%d", i), ValueInMember: strings.Repeat("m", 256), ValueInHub: strings.Repeat("h", 256)}
		}
		var said v1beta1.ResourceBindingStatus
		for i := range count {
			id := v1beta1.ResourceIdentifier{Version: "v1", Kind: "ConfigMap", Namespace: "ns", Name: fmt.Sprintf("cm-%d", i)}
			said.FailedPlacements = append(said.FailedPlacements, v1beta1.FailedResourcePlacement{
				ResourceIdentifier: id, Condition: metav1.Condition{Type: "Applied", Status: metav1.ConditionFalse, Message: strings.Repeat("f", message)},
			})
			said.DriftedPlacements = append(said.DriftedPlacements, v1beta1.DriftedResourcePlacement{ResourceIdentifier: id, ObservedDrifts: patch})
			said.DiffedPlacements = append(said.DiffedPlacements, v1beta1.DiffedResourcePlacement{ResourceIdentifier: id, ObservedDiffs: patch})
		}
		return func(status *v1beta1.ResourceBindingStatus) {
			status.FailedPlacements, status.DriftedPlacements, status.DiffedPlacements = said.FailedPlacements, said.DriftedPlacements, said.DiffedPlacements
		}
	}
	longNames := func(say func(*v1beta1.ResourceBindingStatus)) func(*v1beta1.ResourceBindingStatus) {
		return func(status *v1beta1.ResourceBindingStatus) {
			say(status)
			status.FailedPlacements = slices.Clone(status.FailedPlacements)
			for i := range status.FailedPlacements {
				status.FailedPlacements[i].Name = strings.Repeat("n", 253)
			}
		}
	}
	for name, tc := range map[string]struct {
		clusters int
		say      func(*v1beta1.ResourceBindingStatus)
		// want is how many objects each list of a cluster has, and details how many differences each of them.
		want, details int
		trimmed       bool
	}{
		"all there is":                       {clusters: 5, say: objects(10, 10, 1<<10), want: 10, details: 10},
		"where objects differ goes first":    {clusters: 10, say: objects(100, 10, 32), want: 100, trimmed: true},
		"then some of the objects":           {clusters: 100, say: objects(100, 0, 1<<10), want: 3, trimmed: true},
		"a thousand clusters":                {clusters: 1000, say: objects(100, 10, 1<<10), want: 1, trimmed: true},
		"more clusters than are listed":      {clusters: 1500, say: objects(100, 10, 1<<10), want: 1, trimmed: true},
		"so long names that none has room":   {clusters: 1500, say: longNames(objects(100, 0, 1<<10)), trimmed: true},
		"a long message of a condition, too": {clusters: 1000, say: func(s *v1beta1.ResourceBindingStatus) { s.Conditions[3].Message = strings.Repeat("x", 8<<10) }, trimmed: true},
	} {
		t.Run(name, func(t *testing.T) {
			done := append([]string{}, allDone...)
			done[3] = "Applied=False"
			var bindings []v1beta1.BindingObject
			for i := range tc.clusters {
				b := bind(fmt.Sprintf("cluster-%05d", i), "p-0-snapshot", done...)
				tc.say(b.BindingStatus())
				bindings = append(bindings, b)
			}
			cached := fleet.Copy(bindings[0])
			placement := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 3}}
			placement.Spec.Strategy.Type = v1beta1.ExternalRolloutStrategyType
			w := world{
				policy: policy(metav1.ConditionTrue), bindings: bindings, latest: "p-0-snapshot",
				index: map[string]string{"p-0-snapshot": "0"}, resources: func(string) []v1beta1.ResourceIdentifier { return nil }, contents: func(string) []v1beta1.ResourceIdentifier { return nil },
				onClusters: func() []v1beta1.ResourceIdentifier { return nil },
			}
			status := summarize(placement, w, now)

			if want := min(tc.clusters, bindingrules.MaxListed); len(status.PerClusterPlacementStatuses) != want || bindingrules.Clusters(status) != tc.clusters {
				t.Fatalf("%d of %d clusters are listed, want %d of %d", len(status.PerClusterPlacementStatuses), bindingrules.Clusters(status), want, tc.clusters)
			}
			for _, c := range status.PerClusterPlacementStatuses {
				details := 0
				if len(c.DiffedPlacements) > 0 {
					details = len(c.DiffedPlacements[0].ObservedDiffs)
				}
				if len(c.FailedPlacements) != tc.want || len(c.DriftedPlacements) != tc.want || len(c.DiffedPlacements) != tc.want || details != tc.details {
					t.Fatalf("%s: %d failed, %d drifted, %d differ, with %d details; want %d and %d", c.ClusterName,
						len(c.FailedPlacements), len(c.DriftedPlacements), len(c.DiffedPlacements), details, tc.want, tc.details)
				}
			}
			applied := meta.FindStatusCondition(status.Conditions, "ClusterResourcePlacementApplied")
			if got := strings.HasSuffix(applied.Message, messageObjectsLeftOut); got != tc.trimmed {
				t.Errorf("it says that something is left out: %v, want %v: %q", got, tc.trimmed, applied.Message)
			}
			if data, err := json.Marshal(status); err != nil || len(data) > maxStored {
				t.Errorf("the status has %d bytes, %v", len(data), err)
			}
			if diff := cmp.Diff(cached, bindings[0]); diff != "" {
				t.Errorf("the binding in the cache was changed:\n%s", diff)
			}

			// A status that differed at each look would be written for ever.
			placement.Status = *status
			if !equality.Semantic.DeepEqual(status, summarize(placement, w, metav1.NewTime(now.Add(time.Minute)))) {
				t.Error("nothing has changed, and the status has")
			}
		})
	}
}

func TestOfManyClustersThePlacementSpeaksWhetherTheyAreListedOrNot(t *testing.T) {
	const clusters, failing = 3000, 1200
	failed := append([]string{}, allDone...)
	failed[3] = "Applied=False"
	failed = failed[:4]
	var bindings []v1beta1.BindingObject
	for i := range clusters {
		conditions := allDone
		if i >= clusters-failing {
			conditions = failed
		}
		bindings = append(bindings, bind(fmt.Sprintf("cluster-%05d", i), "p-0-snapshot", conditions...))
	}
	placement := &v1beta1.ClusterResourcePlacement{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 3}}
	placement.Spec.Strategy.Type = v1beta1.ExternalRolloutStrategyType
	w := world{
		policy:   policy(metav1.ConditionFalse, v1beta1.ClusterDecision{ClusterName: "full", Reason: "it is full"}),
		bindings: bindings, latest: "p-0-snapshot",
		index: map[string]string{"p-0-snapshot": "0"}, resources: func(string) []v1beta1.ResourceIdentifier { return nil }, contents: func(string) []v1beta1.ResourceIdentifier { return nil },
		neverAnything: func(string) bool { return false },
		onClusters:    func() []v1beta1.ResourceIdentifier { return nil },
	}
	status := summarize(placement, w, now)

	if last := status.PerClusterPlacementStatuses[bindingrules.MaxListed]; len(status.PerClusterPlacementStatuses) != bindingrules.MaxListed+1 || last.ClusterName != "" {
		t.Errorf("%d entries, the last of cluster %q; want those that are listed and one that is not picked", len(status.PerClusterPlacementStatuses), last.ClusterName)
	}
	if status.SelectedClusters != clusters {
		t.Errorf("%d clusters are picked, want %d", status.SelectedClusters, clusters)
	}
	for conditionType, want := range map[string]string{
		"ClusterResourcePlacementScheduled":        "found; placementStatuses lists 1000 of 3000 clusters",
		"ClusterResourcePlacementWorkSynchronized": "3000 target cluster(s)",
		"ClusterResourcePlacementApplied":          "1200 cluster(s)",
	} {
		if c := meta.FindStatusCondition(status.Conditions, conditionType); c == nil || !strings.Contains(c.Message, want) {
			t.Errorf("%s is %+v, want it to say %q", conditionType, c, want)
		}
	}

	// With fewer clusters it says so no more.
	placement.Status, w.bindings = *status, bindings[:10]
	status = summarize(placement, w, now)
	if c := meta.FindStatusCondition(status.Conditions, "ClusterResourcePlacementScheduled"); status.SelectedClusters != 0 || strings.Contains(c.Message, "lists") {
		t.Errorf("of %d clusters the status says %q", status.SelectedClusters, c.Message)
	}
}

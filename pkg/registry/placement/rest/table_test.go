// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package rest

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/registry/store"
	"github.com/stagegate/stagegate/pkg/registry/store/storetest"
)

// TestTables shows each kind as kubectl get and kubectl get -o wide print it: without a status first, where blanks stand for what is
// not known, then with one.
func TestTables(t *testing.T) {
	const (
		placementHeaders = "NAME | GEN | SCHEDULED | SCHEDULED-GEN | AVAILABLE | AVAILABLE-GEN | AGE"
		placementWide    = "NAME | GEN | TYPE | SCHEDULED | SCHEDULED-GEN | WORK-SYNCHRONIZED | WORK-SYNCHRONIZED-GEN | AVAILABLE | AVAILABLE-GEN | AGE | WAITING-FOR"
		runHeaders       = "NAME | PLACEMENT | RESOURCE-SNAPSHOT-INDEX | POLICY-SNAPSHOT-INDEX | INITIALIZED | SUCCEEDED | AGE"
		runWide          = runHeaders + " | PROGRESSING | STAGE | PROGRESS | WAITING-FOR | OUTCOME | STRATEGY | DIFFERING"
		requestHeaders   = "NAME | UPDATE-RUN | STAGE | APPROVED | APPROVALACCEPTED | AGE"
		requestWide      = requestHeaders + " | PLACEMENT | SNAPSHOT | CLUSTERS | DECIDED-BY | MISSING | EXPIRES"
		overrideHeaders  = "NAME | PLACEMENT | AGE"
		overrideWide     = overrideHeaders + " | SELECTS"
		mirrorWide       = "NAME | RESOURCE-INDEX | LAST-UPDATED | AGE | SCHEDULED | AVAILABLE"
		evictionWide     = "NAME | VALID | EXECUTED | AGE | PLACEMENT | CLUSTER | MESSAGE"
		bindingHeaders   = "NAME | WORKSYNCHRONIZED | RESOURCESAPPLIED | AGE"
		bindingWide      = "NAME | WORKSYNCHRONIZED | RESOURCESAPPLIED | RESOURCEAVAILABLE | AGE | CLUSTER | STATE | RESOURCE-SNAPSHOT"
	)
	tests := []struct {
		resources string
		with      func(store.Object)
		headers   string
		row       string
		wide      string
		wideRow   string
	}{
		{
			resources: "clusterresourceplacements resourceplacements",
			headers:   placementHeaders, row: "sample | 1 |  |  |  |  | 90m",
			wide: placementWide, wideRow: "sample | 1 |  |  |  |  |  |  |  | 90m | ",
		},
		{
			resources: "clusterresourceplacements resourceplacements",
			with: func(o store.Object) {
				p := o.(v1beta1.PlacementObject)
				p.PlacementSpec().Policy = &v1beta1.PlacementPolicy{PlacementType: v1beta1.PickAllPlacementType}
				p.PlacementStatus().Conditions = conditions(4,
					v1beta1.PlacementConditionType(o.GetNamespace(), "Scheduled"), "True",
					v1beta1.PlacementConditionType(o.GetNamespace(), "WorkSynchronized"), "False",
					v1beta1.PlacementConditionType(o.GetNamespace(), "Available"), "Unknown")
			},
			headers: placementHeaders, row: "sample | 1 | True | 4 | Unknown | 4 | 90m",
			wide: placementWide, wideRow: "sample | 1 | PickAll | True | 4 | False | 4 | Unknown | 4 | 90m | ",
		},
		{
			resources: "clusterresourceplacements resourceplacements",
			with: func(o store.Object) {
				p := o.(v1beta1.PlacementObject)
				p.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
				p.PlacementStatus().Conditions = conditions(4, v1beta1.PlacementConditionType(o.GetNamespace(), "Available"), "True",
					v1beta1.PlacementConditionType(o.GetNamespace(), "ObjectsRemaining"), "True")
				p.PlacementStatus().Conditions[1].Message = "The removal waits for cluster a: ConfigMap n/c waits for finalizer example.com/hold"
			},
			headers: placementHeaders, row: "sample | 1 |  |  | Terminating | 4 | 90m",
			wide: placementWide, wideRow: "sample | 1 |  |  |  |  |  | Terminating | 4 | 90m | cluster a: ConfigMap n/c waits for finalizer example.com/hold",
		},
		{
			resources: "clusterstagedupdateruns stagedupdateruns",
			headers:   runHeaders, row: "sample | app |  |  |  |  | 90m",
			wide: runWide, wideRow: "sample | app |  |  |  |  | 90m |  |  |  |  |  | s | ",
		},
		{
			resources: "clusterstagedupdateruns stagedupdateruns",
			with: func(o store.Object) {
				r := o.(v1beta1.UpdateRunObject)
				r.RunSpec().ResourceSnapshotIndex = "1"
				r.RunStatus().PolicySnapshotIndexUsed = "0"
				r.RunStatus().Outcome = v1beta1.OutcomeSucceeded
				r.RunStatus().Conditions = conditions(1, "Initialized", "True", "Progressing", "False", "Succeeded", "True")
			},
			headers: runHeaders, row: "sample | app | 1 | 0 | True | True | 90m",
			wide: runWide, wideRow: "sample | app | 1 | 0 | True | True | 90m | False |  | 0/0 |  | Succeeded | s | ",
		},
		{
			resources: "clusterapprovalrequests",
			headers:   requestHeaders, row: "sample | run | canary |  |  | 90m",
			wide: requestWide, wideRow: "sample | run | canary |  |  | 90m |  |  |  |  | approval | ",
		},
		{
			resources: "clusterapprovalrequests",
			with: func(o store.Object) {
				r := o.(v1beta1.ApprovalRequestObject)
				r.RequestSpec().Policy = &v1beta1.ApprovalPolicy{Required: 2}
				r.RequestSpec().Rollout = &v1beta1.StageRollout{
					PlacementName: "app", ResourceSnapshotIndex: "4", Clusters: []string{"bern", "oslo", "paris", "rome"}, ClusterCount: 104,
				}
				r.RequestStatus().Decisions = []v1beta1.ApprovalDecision{{Decision: v1beta1.DecisionApproved, User: v1beta1.DecisionUser{Username: "ann"}}}
			},
			headers: requestHeaders, row: "sample | run | canary |  |  | 90m",
			wide: requestWide, wideRow: "sample | run | canary |  |  | 90m | app | 4 | bern,oslo,paris and 101 more | ann | 1 of 2 approvals | ",
		},
		{
			resources: "approvalrequests",
			with: func(o store.Object) {
				o.(v1beta1.ApprovalRequestObject).RequestSpec().Rollout = &v1beta1.StageRollout{PlacementName: "app", Clusters: []string{"oslo"}, ClusterCount: 1}
				status := o.(v1beta1.ApprovalRequestObject).RequestStatus()
				status.Conditions = conditions(1, "Approved", "True", "ApprovalAccepted", "True")
				status.Decisions = []v1beta1.ApprovalDecision{
					{Decision: v1beta1.DecisionApproved, User: v1beta1.DecisionUser{Username: "ann"}},
					{Decision: v1beta1.DecisionApproved, User: v1beta1.DecisionUser{Username: "bob"}},
				}
			},
			headers: "NAME | STAGED-UPDATE-RUN | STAGE | APPROVED | APPROVALACCEPTED | AGE", row: "sample | run | canary | True | True | 90m",
			wide: "NAME | STAGED-UPDATE-RUN | STAGE | APPROVED | APPROVALACCEPTED | AGE | PLACEMENT | SNAPSHOT | CLUSTERS | DECIDED-BY | MISSING | EXPIRES", wideRow: "sample | run | canary | True | True | 90m | app |  | oslo | ann,bob |  | ",
		},
		{
			resources: "clusterstagedupdatestrategies stagedupdatestrategies",
			headers:   "NAME | AGE", row: "sample | 90m",
			wide: "NAME | AGE | STAGES", wideRow: "sample | 90m | canary",
		},
		{
			resources: "clusterresourcesnapshots resourcesnapshots",
			headers:   "NAME | GEN | AGE", row: "sample | 1 | 90m",
		},
		{
			resources: "clusterschedulingpolicysnapshots schedulingpolicysnapshots",
			with: func(o store.Object) {
				o.(v1beta1.PolicySnapshotObject).PolicySnapshotStatus().Conditions = conditions(1, "Scheduled", "True")
			},
			headers: "NAME | GEN | AGE", row: "sample | 1 | 90m",
			wide: "NAME | GEN | AGE | SCHEDULED", wideRow: "sample | 1 | 90m | True",
		},
		{
			resources: "clusterresourcebindings resourcebindings",
			headers:   bindingHeaders, row: "sample |  |  | 90m",
			wide: bindingWide, wideRow: "sample |  |  |  | 90m | member1 | Scheduled | ",
		},
		{
			resources: "clusterresourcebindings resourcebindings",
			with: func(o store.Object) {
				b := o.(v1beta1.BindingObject)
				b.BindingSpec().ResourceSnapshotName = "app-1-snapshot"
				b.BindingStatus().Conditions = conditions(1, "WorkSynchronized", "True", "Applied", "False", "Available", "Unknown")
			},
			headers: bindingHeaders, row: "sample | True | False | 90m",
			wide: bindingWide, wideRow: "sample | True | False | Unknown | 90m | member1 | Scheduled | app-1-snapshot",
		},
		{
			resources: "works",
			with: func(o store.Object) {
				o.(*v1beta1.Work).Status.Conditions = conditions(1, "Applied", "True", "Available", "False")
			},
			headers: "NAME | AGE", row: "sample | 90m",
			wide: "NAME | AGE | APPLIED | AVAILABLE", wideRow: "sample | 90m | True | False",
		},
		{
			resources: "clusterresourceplacementevictions",
			with: func(o store.Object) {
				o.(*v1beta1.ClusterResourcePlacementEviction).Status.Conditions = conditions(1, "Valid", "True", "Executed", "False")
				o.(*v1beta1.ClusterResourcePlacementEviction).Status.Conditions[1].Message = "Eviction is blocked"
			},
			headers: "NAME | VALID | EXECUTED | AGE", row: "sample | True | False | 90m",
			wide: evictionWide, wideRow: "sample | True | False | 90m | app | member1 | Eviction is blocked",
		},
		{
			resources: "clusterresourceplacementevictions",
			with: func(o store.Object) {
				o.(*v1beta1.ClusterResourcePlacementEviction).Status.Conditions = conditions(1, "Valid", "False")
				o.(*v1beta1.ClusterResourcePlacementEviction).Status.Conditions[0].Message = "there is no app"
			},
			headers: "NAME | VALID | EXECUTED | AGE", row: "sample | False |  | 90m",
			wide: evictionWide, wideRow: "sample | False |  | 90m | app | member1 | there is no app",
		},
		{
			resources: "clusterresourceplacementevictions",
			headers:   "NAME | VALID | EXECUTED | AGE", row: "sample |  |  | 90m",
			wide: evictionWide, wideRow: "sample |  |  | 90m | app | member1 | ",
		},
		{
			resources: "clusterresourceplacementdisruptionbudgets",
			with: func(o store.Object) {
				o.(*v1beta1.ClusterResourcePlacementDisruptionBudget).Spec = v1beta1.PlacementDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(2))}
			},
			headers: "NAME | AGE", row: "sample | 90m",
			wide: "NAME | AGE | MIN-AVAILABLE | MAX-UNAVAILABLE", wideRow: "sample | 90m | 2 | ",
		},
		{
			resources: "clusterresourceplacementdisruptionbudgets",
			with: func(o store.Object) {
				o.(*v1beta1.ClusterResourcePlacementDisruptionBudget).Spec = v1beta1.PlacementDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromString("25%"))}
			},
			headers: "NAME | AGE", row: "sample | 90m",
			wide: "NAME | AGE | MIN-AVAILABLE | MAX-UNAVAILABLE", wideRow: "sample | 90m |  | 25%",
		},
		{
			resources: "clusterresourceplacementstatuses",
			headers:   "NAME | RESOURCE-INDEX | LAST-UPDATED | AGE", row: "sample | 3 | 2027-01-15T08:00:00Z | 90m",
			wide: mirrorWide, wideRow: "sample | 3 | 2027-01-15T08:00:00Z | 90m |  | ",
		},
		{
			resources: "clusterresourceplacementstatuses",
			with: func(o store.Object) {
				o.(*v1beta1.ClusterResourcePlacementStatus).SourceStatus.Conditions = conditions(1,
					"ClusterResourcePlacementScheduled", "True", "ClusterResourcePlacementAvailable", "False")
			},
			headers: "NAME | RESOURCE-INDEX | LAST-UPDATED | AGE", row: "sample | 3 | 2027-01-15T08:00:00Z | 90m",
			wide: mirrorWide, wideRow: "sample | 3 | 2027-01-15T08:00:00Z | 90m | True | False",
		},
		{
			resources: "clusterresourceplacementstatuses",
			with: func(o store.Object) {
				o.(*v1beta1.ClusterResourcePlacementStatus).LastUpdatedTime = metav1.Time{}
			},
			headers: "NAME | RESOURCE-INDEX | LAST-UPDATED | AGE", row: "sample | 3 |  | 90m",
			wide: mirrorWide, wideRow: "sample | 3 |  | 90m |  | ",
		},
		{
			resources: "clusterresourceoverrides",
			headers:   overrideHeaders, row: "sample | <all> | 90m",
			wide: overrideWide, wideRow: "sample | <all> | 90m | ClusterRole/c",
		},
		{
			resources: "clusterresourceoverrides",
			with: func(o store.Object) {
				spec := &o.(*v1beta1.ClusterResourceOverride).Spec
				spec.Placement = &v1beta1.PlacementRef{Name: "app", Scope: v1beta1.ClusterScoped}
				spec.ClusterResourceSelectors = append(spec.ClusterResourceSelectors, v1beta1.ResourceSelectorTerm{Version: "v1", Kind: "Namespace", Name: "n"})
			},
			headers: overrideHeaders, row: "sample | app | 90m",
			wide: overrideWide, wideRow: "sample | app | 90m | ClusterRole/c,Namespace/n",
		},
		{
			resources: "resourceoverrides",
			headers:   overrideHeaders, row: "sample | <all> | 90m",
			wide: overrideWide, wideRow: "sample | <all> | 90m | ConfigMap/c",
		},
		{
			resources: "resourceoverrides",
			with: func(o store.Object) {
				o.(*v1beta1.ResourceOverride).Spec.Placement = &v1beta1.PlacementRef{Name: "app", Scope: v1beta1.ClusterScoped}
			},
			headers: overrideHeaders, row: "sample | app | 90m",
			wide: overrideWide, wideRow: "sample | app | 90m | ConfigMap/c",
		},
		{
			resources: "resourceoverrides",
			with: func(o store.Object) {
				o.(*v1beta1.ResourceOverride).Spec.Placement = &v1beta1.PlacementRef{Name: "app", Scope: v1beta1.NamespaceScoped}
			},
			headers: overrideHeaders, row: "sample | team/app | 90m",
			wide: overrideWide, wideRow: "sample | team/app | 90m | ConfigMap/c",
		},
		{
			resources: "clusterresourceoverridesnapshots resourceoverridesnapshots",
			headers:   "NAME | OVERRIDE | INDEX | LATEST | AGE", row: "sample |  |  |  | 90m",
		},
		{
			resources: "clusterresourceoverridesnapshots resourceoverridesnapshots",
			with: func(o store.Object) {
				o.SetLabels(map[string]string{wellknown.ParentOverrideLabel: "o", wellknown.OverrideIndexLabel: "3", wellknown.LatestSnapshotLabel: "true"})
			},
			headers: "NAME | OVERRIDE | INDEX | LATEST | AGE", row: "sample | o | 3 | true | 90m",
		},
		{
			resources: "appliedworks clusterresourceenvelopes resourceenvelopes",
			headers:   "NAME | AGE", row: "sample | 90m",
		},
	}

	printed := map[string]bool{}
	for _, test := range tests {
		if test.wide == "" {
			test.wide, test.wideRow = test.headers, test.row
		}
		for plural := range strings.FieldsSeq(test.resources) {
			printed[plural] = true
			r := find(t, plural)
			obj := sample(t, r)
			obj.SetGeneration(1)
			obj.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-90*time.Minute - 5*time.Second)))
			if r.Namespaced {
				obj.SetNamespace(storetest.Namespace)
			}
			if test.with != nil {
				test.with(obj)
			}
			if headers, row := storetest.Print(t, r, obj, false); headers != test.headers || row != test.row {
				t.Errorf("%s print\n%s\n%s\nwant\n%s\n%s", plural, headers, row, test.headers, test.row)
			}
			if headers, row := storetest.Print(t, r, obj, true); headers != test.wide || row != test.wideRow {
				t.Errorf("%s -o wide print\n%s\n%s\nwant\n%s\n%s", plural, headers, row, test.wide, test.wideRow)
			}
		}
	}
	for _, r := range Table() {
		if !printed[r.Plural] {
			t.Errorf("no example of how %s print", r.Plural)
		}
	}
}

// conditions are made from pairs of type and status.
func conditions(generation int64, pairs ...string) []metav1.Condition {
	var all []metav1.Condition
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, metav1.Condition{Type: pairs[i], Status: metav1.ConditionStatus(pairs[i+1]), ObservedGeneration: generation})
	}
	return all
}

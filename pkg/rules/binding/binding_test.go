// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"strings"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/randfill"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

func TestWhatABindingIsMadeToAskForItHolds(t *testing.T) {
	version := func(change func(*Version)) Version {
		v := Version{
			ResourceSnapshot: "p-1-snapshot",
			ClusterOverrides: []string{"o-1"},
			Overrides:        []v1beta1.NamespacedName{{Namespace: "n", Name: "o-2"}},
			ApplyStrategy:    &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeServerSideApply, ServerSideApplyConfig: &v1beta1.ServerSideApplyConfig{ForceConflicts: true}},
		}
		change(&v)
		return v
	}
	wanted := version(func(*Version) {})
	for name, tt := range map[string]struct {
		version Version
		change  func(*v1beta1.ResourceBindingSpec)
		want    bool
	}{
		"the same":                      {version: version(func(*Version) {}), want: true},
		"another snapshot":              {version: version(func(v *Version) { v.ResourceSnapshot = "p-2-snapshot" })},
		"another cluster override":      {version: version(func(v *Version) { v.ClusterOverrides = []string{"o-3"} })},
		"no cluster override":           {version: version(func(v *Version) { v.ClusterOverrides = nil })},
		"an override of another":        {version: version(func(v *Version) { v.Overrides = []v1beta1.NamespacedName{{Namespace: "m", Name: "o-2"}} })},
		"another way to apply":          {version: version(func(v *Version) { v.ApplyStrategy.ServerSideApplyConfig.ForceConflicts = false })},
		"the default way to apply":      {version: version(func(v *Version) { v.ApplyStrategy = nil })},
		"the same for a cluster to add": {version: wanted, change: func(s *v1beta1.ResourceBindingSpec) { s.State = v1beta1.BindingStateScheduled }},
		"the same for one to clean up":  {version: wanted, change: func(s *v1beta1.ResourceBindingSpec) { s.State = v1beta1.BindingStateUnscheduled }},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &v1beta1.ResourceBindingSpec{TargetCluster: "c"}
			Ask(spec, tt.version)
			if !Holds(spec, tt.version) || spec.TargetCluster != "c" {
				t.Errorf("what was asked for is not held: %+v", spec)
			}
			if tt.change != nil {
				tt.change(spec)
			}
			if got := Holds(spec, wanted); got != tt.want {
				t.Errorf("holds what is wanted: %t, want %t", got, tt.want)
			}
		})
	}
	empty := &v1beta1.ResourceBindingSpec{}
	if Ask(empty, Version{ClusterOverrides: []string{}, Overrides: []v1beta1.NamespacedName{}}); !Holds(empty, Version{}) {
		t.Error("a list without overrides is another than none")
	}
}

func TestApplyStrategiesAreComparedWhole(t *testing.T) {
	differ := 0
	for seed := range int64(2000) {
		var a, b *v1beta1.ApplyStrategy
		random := randfill.NewWithSeed(seed).NilChance(0.3).Funcs(func(s *v1beta1.ApplyStrategy, c randfill.Continue) {
			// Few values, so that two strategies often differ in one field alone.
			c.FillNoCustom(s)
			for _, text := range []*string{(*string)(&s.ComparisonOption), (*string)(&s.WhenToApply), (*string)(&s.Type), (*string)(&s.WhenToTakeOver)} {
				*text = []string{"", "a"}[c.Intn(2)]
			}
		})
		random.Fill(&a)
		if b = a.DeepCopy(); seed%2 == 0 {
			random.Fill(&b)
		}
		want := apiequality.Semantic.DeepEqual(a, b)
		if got := SameApplyStrategy(a, b); got != want {
			t.Fatalf("seed %d: %+v and %+v are the same: %t, want %t", seed, a, b, got, want)
		}
		if !want {
			differ++
		}
	}
	if differ == 0 || differ == 2000 {
		t.Errorf("%d of 2000 differ", differ)
	}
}

func TestABindingIsReadyAtItsOwnGenerationOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		conditionType  string
		status         metav1.ConditionStatus
		observed       int64
		ready, started bool
	}{
		"nothing is said":                       {"", "", 0, false, false},
		"the rollout has started":               {v1beta1.BindingRolloutStarted, metav1.ConditionTrue, 2, false, true},
		"the rollout is held":                   {v1beta1.BindingRolloutStarted, metav1.ConditionFalse, 2, false, false},
		"the rollout of an earlier one started": {v1beta1.BindingRolloutStarted, metav1.ConditionTrue, 1, false, false},
		"applied":                               {v1beta1.BindingApplied, metav1.ConditionTrue, 2, false, false},
		"available":                             {v1beta1.BindingAvailable, metav1.ConditionTrue, 2, true, false},
		"not available":                         {v1beta1.BindingAvailable, metav1.ConditionFalse, 2, false, false},
		"an earlier one was available":          {v1beta1.BindingAvailable, metav1.ConditionTrue, 1, false, false},
		"the difference is reported":            {v1beta1.BindingDiffReported, metav1.ConditionTrue, 2, true, false},
		"that of an earlier one was":            {v1beta1.BindingDiffReported, metav1.ConditionTrue, 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			b.Status.Conditions = []metav1.Condition{{Type: tt.conditionType, Status: tt.status, ObservedGeneration: tt.observed}}
			if IsReady(b) != tt.ready || IsRolloutStarted(b) != tt.started {
				t.Errorf("ready %t, started %t", IsReady(b), IsRolloutStarted(b))
			}
		})
	}
}

func TestTheClusterOfABindingIsPickedUntilThatGoes(t *testing.T) {
	now := metav1.Now()
	for name, tt := range map[string]struct {
		state   v1beta1.BindingState
		deleted *metav1.Time
		want    bool
	}{
		"new":           {v1beta1.BindingStateScheduled, nil, true},
		"has a version": {v1beta1.BindingStateBound, nil, true},
		"not picked":    {v1beta1.BindingStateUnscheduled, nil, false},
		"on its way out although it was never unscheduled": {v1beta1.BindingStateBound, &now, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: tt.deleted}, Spec: v1beta1.ResourceBindingSpec{State: tt.state}}
			if got := IsPicked(b); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// named is a run of a name, with the uid that another one of the name does not have.
func named(name, uid string) *v1beta1.ClusterStagedUpdateRun {
	return &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
}

func TestAnotherRunHasMovedAClusterSince(t *testing.T) {
	for name, tt := range map[string]struct {
		by   Mover
		run  *v1beta1.ClusterStagedUpdateRun
		turn int64
		want string
	}{
		"in a later turn": {Mover{"s", "2", 8}, named("r", "1"), 7, "s"},
		"in the same one": {Mover{"s", "2", 8}, named("r", "1"), 8, ""},
		"the run itself":  {Mover{"s", "2", 8}, named("s", "2"), 7, ""},
		"the run itself, as an older server recorded":   {Mover{"s", "", 8}, named("s", "2"), 7, ""},
		"an earlier run of the name":                    {Mover{"s", "1", 8}, named("s", "2"), 7, "s (uid 1)"},
		"one that nobody knows, of a run without a uid": {Mover{"", "", 8}, named("", ""), 7, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ClusterResourceBinding{}
			RecordMove(b, tt.by)
			if got := MovedSince(b, tt.run, tt.turn); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTheLastMoveIsThatWhichWasRecorded(t *testing.T) {
	b := &v1beta1.ClusterResourceBinding{}
	want := func(what string, want Mover) {
		t.Helper()
		if got := LastMove(b); got != want {
			t.Errorf("%s: got %+v, want %+v: %v", what, got, want, b.Annotations)
		}
	}
	want("nobody has moved it", Mover{})
	RecordMove(b, Mover{"r", "1", 7})
	b.Annotations["other"] = "stays"
	RecordMove(b, Mover{"s", "2", 8})
	want("it was moved twice", Mover{"s", "2", 8})
	if b.Annotations["other"] != "stays" {
		t.Errorf("annotations are lost: %v", b.Annotations)
	}
	b.Annotations[wellknown.UpdateRunAnnotation], b.Annotations[wellknown.UpdateRunTurnAnnotation] = "t", "9"
	want("an older server has moved it since", Mover{"t", "", 9})
	b.Annotations[wellknown.UpdateRunTurnAnnotation] = "soon"
	want("somebody has written it", Mover{"t", "", 0})
}

func TestWhatCannotHealIsNoProgress(t *testing.T) {
	for name, tt := range map[string]struct {
		conditionType string
		status        metav1.ConditionStatus
		observed      int64
		reason        string
		want          bool
	}{
		"nothing is said":                       {"", "", 0, "", false},
		"an override does not fit":              {v1beta1.BindingOverridden, metav1.ConditionFalse, 2, "", true},
		"one of an earlier version did not":     {v1beta1.BindingOverridden, metav1.ConditionFalse, 1, "", false},
		"an envelope cannot be used":            {v1beta1.BindingWorkSynchronized, metav1.ConditionFalse, 2, wellknown.ReasonEnvelopeUnusable, true},
		"the member refuses for good":           {v1beta1.BindingApplied, metav1.ConditionFalse, 2, wellknown.ReasonManifestRefused, true},
		"it refused an earlier version":         {v1beta1.BindingApplied, metav1.ConditionFalse, 1, wellknown.ReasonManifestRefused, false},
		"it refused, and takes it now":          {v1beta1.BindingApplied, metav1.ConditionTrue, 2, wellknown.ReasonManifestRefused, false},
		"an object differs that was there":      {v1beta1.BindingApplied, metav1.ConditionFalse, 2, wellknown.ReasonManifestFailedToTakeOver + " differs", true},
		"an object is another placement's":      {v1beta1.BindingApplied, metav1.ConditionFalse, 2, wellknown.ReasonManifestFailedToTakeOver, false},
		"a Job has failed":                      {v1beta1.BindingAvailable, metav1.ConditionFalse, 2, wellknown.ReasonJobFailed, true},
		"applying fails and is tried again":     {v1beta1.BindingApplied, metav1.ConditionFalse, 2, "FailedToApply", false},
		"applying is under way":                 {v1beta1.BindingApplied, metav1.ConditionFalse, 2, "", false},
		"nothing becomes available":             {v1beta1.BindingAvailable, metav1.ConditionFalse, 2, "NotAvailableYet", false},
		"the Works cannot be written now":       {v1beta1.BindingWorkSynchronized, metav1.ConditionFalse, 2, "", false},
		"the difference is not reported so far": {v1beta1.BindingDiffReported, metav1.ConditionFalse, 2, "FailedToReportDiff", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			b.Status.Conditions = []metav1.Condition{{Type: tt.conditionType, Status: tt.status, ObservedGeneration: tt.observed}}
			if reason, differs := strings.CutSuffix(tt.reason, " differs"); tt.reason != "" {
				of := func(name string) v1beta1.ResourceIdentifier {
					return v1beta1.ResourceIdentifier{Kind: "ConfigMap", Name: name, Envelope: &v1beta1.EnvelopeIdentifier{Name: "e"}}
				}
				b.Status.FailedPlacements = []v1beta1.FailedResourcePlacement{{ResourceIdentifier: of("c"), Condition: metav1.Condition{Reason: reason}}}
				b.Status.DiffedPlacements = []v1beta1.DiffedResourcePlacement{{ResourceIdentifier: of("other")}}
				if differs {
					b.Status.DiffedPlacements = append(b.Status.DiffedPlacements, v1beta1.DiffedResourcePlacement{ResourceIdentifier: of("c")})
				}
			}
			if got := CannotHeal(b); got != tt.want {
				t.Errorf("cannot heal: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestHowAClusterStands(t *testing.T) {
	failed := func(reasons ...string) (list []v1beta1.FailedResourcePlacement) {
		for _, reason := range reasons {
			list = append(list, v1beta1.FailedResourcePlacement{Condition: metav1.Condition{Reason: reason}})
		}
		return list
	}
	for name, tt := range map[string]struct {
		conditionType, reason string
		status                metav1.ConditionStatus
		observed              int64
		failed                []v1beta1.FailedResourcePlacement
		want                  Standing
	}{
		"nothing is told":                    {want: Undecided},
		"what it had before was available":   {v1beta1.BindingAvailable, "AllWorkAreAvailable", metav1.ConditionTrue, 1, nil, Undecided},
		"what it had before failed":          {v1beta1.BindingApplied, "NotAllWorkHaveBeenApplied", metav1.ConditionFalse, 1, failed("ManifestRefused"), Undecided},
		"it is applied":                      {v1beta1.BindingApplied, "AllWorkHaveBeenApplied", metav1.ConditionTrue, 2, nil, Undecided},
		"it is being applied":                {v1beta1.BindingApplied, "ApplyInProgress", metav1.ConditionFalse, 2, nil, Undecided},
		"a part of it is applied":            {v1beta1.BindingApplied, "NotAllWorkHaveBeenApplied", metav1.ConditionFalse, 2, nil, Undecided},
		"it is being compared":               {v1beta1.BindingDiffReported, "DiffReportInProgress", metav1.ConditionFalse, 2, nil, Undecided},
		"an object is not applied":           {v1beta1.BindingApplied, "NotAllWorkHaveBeenApplied", metav1.ConditionFalse, 2, failed("FoundDrifts", "ManifestRefused"), Failing},
		"its objects are left alone":         {v1beta1.BindingApplied, "NotAllWorkHaveBeenApplied", metav1.ConditionFalse, 2, failed("FoundDrifts", "FailedToTakeOver", "NotTakenOver", "FoundDriftsInDegradedMode"), Untouched},
		"the cluster cannot be reached":      {v1beta1.BindingApplied, wellknown.ReasonClusterUnreachable, metav1.ConditionFalse, 2, failed("ManifestRefused"), Undecided},
		"it cannot be reached to compare":    {v1beta1.BindingDiffReported, wellknown.ReasonClusterUnreachable, metav1.ConditionFalse, 2, nil, Undecided},
		"it is available":                    {v1beta1.BindingAvailable, "AllWorkAreAvailable", metav1.ConditionTrue, 2, nil, Ready},
		"it is not available":                {v1beta1.BindingAvailable, "NotAllWorkAreAvailable", metav1.ConditionFalse, 2, nil, Failing},
		"it is compared":                     {v1beta1.BindingDiffReported, "AllWorkHaveDiffReported", metav1.ConditionTrue, 2, nil, Ready},
		"it cannot be compared":              {v1beta1.BindingDiffReported, "NotAllWorkHaveDiffReported", metav1.ConditionFalse, 2, nil, Untouched},
		"an override does not fit":           {v1beta1.BindingOverridden, "OverriddenFailed", metav1.ConditionFalse, 2, nil, Untouched},
		"the manifests cannot be given away": {v1beta1.BindingWorkSynchronized, "SyncWorkFailed", metav1.ConditionFalse, 2, nil, Untouched},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ResourceBinding{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			b.Status.FailedPlacements = tt.failed
			b.Status.Conditions = []metav1.Condition{{Type: tt.conditionType, Reason: tt.reason, Status: tt.status, ObservedGeneration: tt.observed}}
			if got := StandingOf(b); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAClusterHasItsVersionFromTheRunThatMovedItLast(t *testing.T) {
	before := Version{ResourceSnapshot: "p-0-snapshot", ClusterOverrides: []string{"o-0"}}
	for name, tt := range map[string]struct {
		by   string
		uid  types.UID
		turn int64
		has  string
		over []string
		want string
		is   bool
	}{
		"that run":                           {by: "r", turn: 3, has: "p-1-snapshot", is: true},
		"a later one":                        {by: "s", turn: 5, has: "p-2-snapshot", want: "s"},
		"a later one, to the version before": {by: "s", turn: 5, has: "p-0-snapshot", over: []string{"o-0"}, want: "s"},
		"one between two turns of that run":  {by: "s", turn: 3, has: "p-2-snapshot", want: "s"},
		"an earlier one, which it replaced with other overrides": {by: "s", turn: 3, has: "p-0-snapshot", want: "s"},
		"an earlier one, and that run never wrote":               {by: "s", turn: 3, has: "p-0-snapshot", over: []string{"o-0"}, is: true},
		"nobody, and that run never wrote":                       {has: "p-0-snapshot", over: []string{"o-0"}, is: true},
		"nobody, since the binding is new":                       {},
		"that run, with its uid":                                 {by: "r", uid: "r-uid", turn: 3, is: true},
		"an earlier one of its name":                             {by: "r", uid: "old", turn: 3, has: "p-2-snapshot", want: "r (uid old)"},
		"an earlier one of its name, and that run never wrote":   {by: "r", uid: "old", turn: 3, has: "p-0-snapshot", over: []string{"o-0"}, is: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{ResourceSnapshotName: tt.has, ClusterResourceOverrideSnapshots: tt.over}}
			if tt.by != "" {
				RecordMove(b, Mover{tt.by, tt.uid, tt.turn})
			}
			if by, is := IsFrom(b, named("r", "r-uid"), 4, before); by != tt.want || is != tt.is {
				t.Errorf("by %q, is %v, want %q, %v", by, is, tt.want, tt.is)
			}
		})
	}
}

func TestABindingReportsWhatOtherPlacementsHave(t *testing.T) {
	failed := func(name, message string) v1beta1.FailedResourcePlacement {
		return v1beta1.FailedResourcePlacement{ResourceIdentifier: v1beta1.ResourceIdentifier{Kind: "ConfigMap", Name: name}, Condition: metav1.Condition{Message: message}}
	}
	b := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Status: v1beta1.ResourceBindingStatus{
		FailedPlacements: []v1beta1.FailedResourcePlacement{failed("a", "The object is placed by ResourcePlacement shop/web already (AppliedWork w)"), failed("b", "Failed to apply")},
		Conditions:       []metav1.Condition{{Type: v1beta1.BindingApplied, Status: metav1.ConditionFalse, ObservedGeneration: 2}},
	}}
	if got := PlacedByOthers(b); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("placed by others: %v", got)
	}
	b.Generation++
	if got := PlacedByOthers(b); got != nil {
		t.Errorf("what it asked for before: %v", got)
	}
}

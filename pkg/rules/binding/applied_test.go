// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/wellknown"
)

var report = &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}

func TestAnApplyStrategyOnlyRestrains(t *testing.T) {
	type s = v1beta1.ApplyStrategy
	serverSide := func(force bool) *s {
		return &s{Type: v1beta1.ApplyStrategyTypeServerSideApply, ServerSideApplyConfig: &v1beta1.ServerSideApplyConfig{ForceConflicts: force}}
	}
	full, partial := v1beta1.ComparisonOptionTypeFullComparison, v1beta1.ComparisonOptionTypePartialComparison
	for name, tt := range map[string]struct {
		before, after *s
		// there reports whether the second only restrains after the first, back the other way round.
		there, back bool
	}{
		"the default and none":                    {nil, (*s)(nil).WithDefaults(), true, true},
		"only compare":                            {nil, report, true, false},
		"only compare, differently":               {report, &s{Type: v1beta1.ApplyStrategyTypeReportDiff, ComparisonOption: full}, true, true},
		"compare what was restrained":             {&s{WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever}, report, true, false},
		"server-side":                             {nil, serverSide(false), false, false},
		"without force":                           {serverSide(true), serverSide(false), true, false},
		"take over without differences":           {nil, &s{WhenToTakeOver: v1beta1.WhenToTakeOverTypeIfNoDiff}, true, false},
		"take over nothing":                       {&s{WhenToTakeOver: v1beta1.WhenToTakeOverTypeIfNoDiff}, &s{WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever}, true, false},
		"apply without drifts":                    {nil, &s{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}, true, false},
		"own alone":                               {&s{AllowCoOwnership: true}, nil, true, false},
		"one restrains and one does not":          {&s{AllowCoOwnership: true}, &s{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}, true, false},
		"one restrains, another loosens":          {&s{AllowCoOwnership: true, WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted}, &s{}, false, false},
		"compare in whole where nothing hangs on": {&s{ComparisonOption: partial}, &s{ComparisonOption: full}, true, true},
		"compare in whole before taking over": {
			&s{WhenToTakeOver: v1beta1.WhenToTakeOverTypeIfNoDiff, ComparisonOption: partial}, &s{WhenToTakeOver: v1beta1.WhenToTakeOverTypeIfNoDiff, ComparisonOption: full}, true, false,
		},
		"compare in whole before applying": {
			&s{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted, ComparisonOption: partial}, &s{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted, ComparisonOption: full}, true, false,
		},
		"ask for differences, fewer than would have been found": {
			&s{ComparisonOption: full}, &s{WhenToApply: v1beta1.WhenToApplyTypeIfNotDrifted, ComparisonOption: partial}, true, false,
		},
		"what nobody knows": {&s{WhenToApply: "Sometimes"}, &s{}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := OnlyRestrains(tt.before, tt.after); got != tt.there {
				t.Errorf("there: %v", got)
			}
			if got := OnlyRestrains(tt.after, tt.before); got != tt.back {
				t.Errorf("back: %v", got)
			}
		})
	}
}

func TestABindingKnowsWhatWasLastApplied(t *testing.T) {
	version := func(index int, strategy *v1beta1.ApplyStrategy) Version {
		return Version{
			ResourceSnapshot: fmt.Sprintf("p-%d-snapshot", index), ApplyStrategy: strategy,
			ClusterOverrides: []string{fmt.Sprintf("c-%d", index)}, Overrides: []v1beta1.NamespacedName{{Namespace: "n", Name: fmt.Sprintf("o-%d", index)}},
		}
	}
	for name, tt := range map[string]struct {
		versions []Version
		// want is the index of the version, -1 for none.
		want     int
		recorded bool
	}{
		"nothing was asked for":                       {nil, -1, false},
		"one is applied":                              {[]Version{version(0, nil)}, 0, false},
		"the first is only compared":                  {[]Version{version(0, report)}, -1, false},
		"one is compared after another was applied":   {[]Version{version(0, nil), version(1, report)}, 0, true},
		"another is compared then":                    {[]Version{version(0, nil), version(1, report), version(2, report)}, 0, true},
		"what was compared is applied":                {[]Version{version(0, nil), version(1, report), version(1, nil)}, 1, true},
		"it is compared with what it has":             {[]Version{version(0, nil), version(0, report)}, 0, true},
		"it is compared again after it was applied":   {[]Version{version(0, nil), version(1, report), version(2, nil), version(3, report)}, 2, true},
		"what was only compared leaves nothing to it": {[]Version{version(0, report), version(1, report)}, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ClusterResourceBinding{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"other": "stays"}}}
			b.Status.Conditions = []metav1.Condition{{Type: v1beta1.BindingApplied, Status: metav1.ConditionTrue}}
			for _, v := range tt.versions {
				spec := b.Spec.DeepCopy()
				Ask(spec, v)
				Become(b, spec)
				RecordSynchronized(&b.Status, &b.Spec)
				if !Holds(&b.Spec, v) {
					t.Errorf("the binding does not hold %+v", v)
				}
			}
			got, known := LastApplied(b)
			want := Version{}
			if tt.want >= 0 {
				want = version(tt.want, nil)
			}
			if diff := cmp.Diff(want, got); diff != "" || known != (tt.want >= 0) {
				t.Errorf("known %v (-want +got):\n%s", known, diff)
			}
			if _, recorded := b.Annotations[wellknown.AppliedVersionAnnotation]; recorded != tt.recorded || b.Annotations["other"] != "stays" {
				t.Errorf("annotations are %v", b.Annotations)
			}
		})
	}
}

func TestARecordTellsHowTheVersionWasApplied(t *testing.T) {
	never := &v1beta1.ApplyStrategy{WhenToTakeOver: v1beta1.WhenToTakeOverTypeNever}
	b := &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{ResourceSnapshotName: "p-0-snapshot", ApplyStrategy: never}}
	RecordSynchronized(&b.Status, &b.Spec)
	b.Status.Conditions = []metav1.Condition{{Type: v1beta1.BindingApplied, Status: metav1.ConditionTrue}}
	Become(b, &v1beta1.ResourceBindingSpec{ResourceSnapshotName: "p-1-snapshot", ApplyStrategy: report})
	got, known := LastApplied(b)
	if diff := cmp.Diff(Version{ResourceSnapshot: "p-0-snapshot", ApplyStrategy: never}, got); diff != "" || !known {
		t.Errorf("known %v (-want +got):\n%s", known, diff)
	}
}

// What a run has written in part is on the cluster, whatever the Works held before: nobody may say that the cluster was left alone, that nothing needs what
// the version names, nor that the cluster can go back to it.
func TestAVersionThatWasWrittenInPartIsRecorded(t *testing.T) {
	type step struct {
		snapshot string
		way      *v1beta1.ApplyStrategy
		run      string
		// whole has all Works be written, and the cluster be available.
		whole bool
	}
	for name, tt := range map[string]struct {
		steps     []step
		leftBy    string
		applied   string
		snapshots string
	}{
		"nothing else was there": {[]step{{"1", nil, "a", false}, {"2", report, "b", true}}, "a", "", "2 1"},
		"compared before":        {[]step{{"1", report, "a", true}, {"2", nil, "b", false}, {"3", report, "c", true}}, "b", "", "3 2"},
		"applied before":         {[]step{{"1", nil, "a", true}, {"2", nil, "b", false}, {"3", report, "c", true}}, "b", "1", "3 2 1"},
		"applied and compared before": {
			[]step{{"1", nil, "a", true}, {"2", report, "b", true}, {"3", nil, "c", false}, {"4", report, "d", false}}, "c", "1", "4 2 3 1",
		},
		"another one applied in its place, in part": {
			[]step{{"1", nil, "a", true}, {"2", nil, "b", false}, {"3", nil, "c", false}}, "c", "1", "3 1 2",
		},
		"another one applied in its place": {[]step{{"1", nil, "a", true}, {"2", nil, "b", false}, {"3", nil, "c", true}}, "", "3", "3"},
		"let go of and picked again":       {[]step{{"1", report, "a", true}, {"2", nil, "b", false}, {"2", nil, "b", false}, {"3", report, "c", true}}, "b", "", "3 2"},
		"asked for again before the Works were written back": {
			[]step{{"1", nil, "a", true}, {"2", nil, "b", false}, {"1", nil, "c", false}}, "c", "1", "1 2",
		},
		"compared before the Works were written back": {
			[]step{{"1", nil, "a", true}, {"2", nil, "b", false}, {"1", nil, "c", false}, {"3", report, "d", true}}, "c", "1", "3 1 2",
		},
		"the first in part, asked for again after another one": {
			[]step{{"1", nil, "a", false}, {"2", nil, "b", false}, {"1", nil, "c", false}}, "c", "", "1 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ClusterResourceBinding{}
			for _, s := range tt.steps {
				Become(b, &v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, ResourceSnapshotName: s.snapshot, ApplyStrategy: s.way})
				RecordMove(b, Mover{Name: s.run, Turn: 1})
				b.Generation++
				// A rolling update that policies keep says so in place of what a run has announced.
				b.Status.Conditions = []metav1.Condition{{Type: v1beta1.BindingRolloutStarted, Status: metav1.ConditionFalse, ObservedGeneration: b.Generation}}
				if s.whole {
					RecordSynchronized(&b.Status, &b.Spec)
					for _, conditionType := range []string{v1beta1.BindingWorkSynchronized, v1beta1.BindingApplied, v1beta1.BindingAvailable} {
						b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{Type: conditionType, Status: metav1.ConditionTrue, ObservedGeneration: b.Generation})
					}
					RecordAnswer(&b.Status, b.Generation, true)
				}
			}
			if got := LeftBy(b).Name; got != tt.leftBy {
				t.Errorf("left by %q, want %q", got, tt.leftBy)
			}
			if got, _ := LastApplied(b); got.ResourceSnapshot != tt.applied {
				t.Errorf("last applied %q, want %q", got.ResourceSnapshot, tt.applied)
			}
			if got := strings.Join(snapshots(b), " "); got != tt.snapshots {
				t.Errorf("snapshots %q, want %q", got, tt.snapshots)
			}
		})
	}
}

// To compare a cluster is no way to have it count as one that the last run has updated.
func TestTheRunThatLeftAClusterIsKnownWhileItIsOnlyCompared(t *testing.T) {
	available := []metav1.Condition{{Type: v1beta1.BindingAvailable, Status: metav1.ConditionTrue}}
	applying := v1beta1.ResourceBindingSpec{ResourceSnapshotName: "p-1-snapshot"}
	comparing := v1beta1.ResourceBindingSpec{ResourceSnapshotName: "p-2-snapshot", ApplyStrategy: report}
	for name, tt := range map[string]struct {
		status v1beta1.ResourceBindingStatus
		mover  string
		specs  []v1beta1.ResourceBindingSpec
		want   string
	}{
		"nobody has moved it":                       {},
		"it is not available":                       {mover: "first", want: "first"},
		"it is available":                           {mover: "first", status: v1beta1.ResourceBindingStatus{Conditions: available}},
		"it is compared":                            {mover: "first", specs: []v1beta1.ResourceBindingSpec{comparing}, want: "first"},
		"it is compared twice":                      {mover: "first", specs: []v1beta1.ResourceBindingSpec{comparing, comparing}, want: "first"},
		"it was available as it began to be":        {mover: "first", status: v1beta1.ResourceBindingStatus{Conditions: available}, specs: []v1beta1.ResourceBindingSpec{comparing, comparing}},
		"it is compared, and nobody had moved it":   {specs: []v1beta1.ResourceBindingSpec{comparing}},
		"it is compared, and then gets another one": {mover: "first", specs: []v1beta1.ResourceBindingSpec{comparing, applying}, want: "run-1"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1beta1.ClusterResourceBinding{Spec: applying, Status: tt.status}
			if tt.mover != "" {
				RecordMove(b, Mover{Name: tt.mover, UID: "uid", Turn: 7})
			}
			for i, spec := range tt.specs {
				Become(b, &spec)
				RecordMove(b, Mover{Name: fmt.Sprintf("run-%d", i), Turn: 8})
			}
			if got := LeftBy(b).Name; got != tt.want {
				t.Errorf("left by %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNobodyElsesWordsAreAVersionThatWasApplied(t *testing.T) {
	for _, record := range []string{"", "p-0-snapshot", "null", "[]", "{}", `{"resourceSnapshot": 1}`, `{"resourceSnapshot": ""}`} {
		b := &v1beta1.ClusterResourceBinding{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{wellknown.AppliedVersionAnnotation: record}}, Spec: v1beta1.ResourceBindingSpec{ApplyStrategy: report},
		}
		if got, known := LastApplied(b); known {
			t.Errorf("%q is %+v", record, got)
		}
	}
}

// Nobody may hide behind many overrides what a run has left on a cluster.
func TestOfARecordThatAnnotationsHaveNoRoomForTheRunIsKept(t *testing.T) {
	b := &v1beta1.ClusterResourceBinding{Spec: v1beta1.ResourceBindingSpec{ResourceSnapshotName: "p-0-snapshot"}}
	for i := range 10000 {
		b.Spec.ClusterResourceOverrideSnapshots = append(b.Spec.ClusterResourceOverrideSnapshots, fmt.Sprintf("override-%05d", i))
	}
	RecordSynchronized(&b.Status, &b.Spec)
	RecordMove(b, Mover{Name: "run", Turn: 1})
	Become(b, &v1beta1.ResourceBindingSpec{ResourceSnapshotName: "p-1-snapshot", ApplyStrategy: report})
	if got, known := LastApplied(b); known {
		t.Errorf("the cluster can go back to %+v, without the overrides", got)
	}
	if got := LeftBy(b).Name; got != "run" {
		t.Errorf("left by %q", got)
	}
	if got := len(b.Annotations[wellknown.AppliedVersionAnnotation]); got > maxAppliedRecord {
		t.Errorf("the record has %d bytes", got)
	}
}

// Runs that fail one after the other must not have it forgotten what the cluster has: with as many overrides as a namespace may have, a few do.
func TestWhatAClusterHasIsNotForgottenForVersionsThatNeverCame(t *testing.T) {
	compare := &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	b := &v1beta1.ResourceBinding{}
	b.Generation = 1
	n := 0
	ask := func(snapshot string, way *v1beta1.ApplyStrategy, overrides []v1beta1.NamespacedName, written bool) {
		n++
		Become(b, &v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, ResourceSnapshotName: snapshot, ApplyStrategy: way.WithDefaults(), ResourceOverrideSnapshots: overrides})
		RecordMove(b, Mover{Name: fmt.Sprint("r", n), UID: "0", Turn: int64(n)})
		b.Generation++
		status := metav1.ConditionFalse
		if written {
			status = metav1.ConditionTrue
			RecordSynchronized(&b.Status, &b.Spec)
		}
		b.Status.Conditions = nil
		for _, conditionType := range []string{v1beta1.BindingWorkSynchronized, v1beta1.BindingApplied} {
			b.Status.Conditions = append(b.Status.Conditions, metav1.Condition{Type: conditionType, Status: status, ObservedGeneration: b.Generation})
		}
	}
	var overrides []v1beta1.NamespacedName
	for i := range 100 {
		overrides = append(overrides, v1beta1.NamespacedName{Namespace: strings.Repeat("n", 10), Name: fmt.Sprintf("%03d-%s", i, strings.Repeat("o", 240))})
	}
	ask("web-1", nil, nil, true)     // has the object that another placement waits for
	ask("web-2", compare, nil, true) // takes nothing off the cluster
	for i := range 8 {
		// Not one Work of it can be written.
		ask(fmt.Sprint("web-", 3+i), nil, overrides, false)
		if applied, known := LastApplied(b); !known || applied.ResourceSnapshot != "web-1" || !slices.Contains(snapshots(b), "web-1") {
			t.Fatalf("after %d runs that failed the cluster has %v: web-1, which is there, is forgotten", i+1, snapshots(b))
		}
	}
}

// Works that hold a version take nothing off a member that has not looked at them. If the cluster is only compared before it has, what it has stays.
func TestWhatAMemberWasNotYetToldToDropIsKnown(t *testing.T) {
	compare := &v1beta1.ApplyStrategy{Type: v1beta1.ApplyStrategyTypeReportDiff}
	b := &v1beta1.ResourceBinding{}
	b.Generation = 1
	turn := int64(0)
	ask := func(snapshot string, way *v1beta1.ApplyStrategy, conditions ...metav1.Condition) {
		turn++
		Become(b, &v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, ResourceSnapshotName: snapshot, ApplyStrategy: way.WithDefaults()})
		RecordMove(b, Mover{Name: snapshot, UID: "0", Turn: turn})
		b.Generation++
		RecordSynchronized(&b.Status, &b.Spec)
		b.Status.Conditions = conditions
		for i := range conditions {
			conditions[i].ObservedGeneration = b.Generation
		}
	}
	is := func(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: status, Reason: reason}
	}
	ask("web-1", nil, is(v1beta1.BindingWorkSynchronized, metav1.ConditionTrue, ""), is(v1beta1.BindingApplied, metav1.ConditionTrue, ""), is(v1beta1.BindingAvailable, metav1.ConditionTrue, ""))
	ask("web-2", nil, is(v1beta1.BindingWorkSynchronized, metav1.ConditionTrue, ""), is(v1beta1.BindingApplied, metav1.ConditionFalse, "ClusterUnreachable"))
	ask("web-3", compare, is(v1beta1.BindingWorkSynchronized, metav1.ConditionTrue, ""), is(v1beta1.BindingDiffReported, metav1.ConditionTrue, ""))
	if !slices.Contains(snapshots(b), "web-1") {
		t.Errorf("the cluster may have objects of %v, want web-1 among them, of which nothing was ever dropped", snapshots(b))
	}
	if had, known := LastApplied(b); known && had.ResourceSnapshot == "web-2" {
		t.Errorf("a rollback would go back to %s as a whole, which the member has never seen", had.ResourceSnapshot)
	}
}

// history plays what becomes of a binding.
type history struct {
	*v1beta1.ResourceBinding
	turn int64
}

func newHistory() *history {
	h := &history{ResourceBinding: &v1beta1.ResourceBinding{}}
	h.Generation = 1
	return h
}

// asks has the binding ask for a version, which its Works come to hold.
func (h *history) asks(snapshot string, way v1beta1.ApplyStrategyType) {
	h.turn++
	strategy := (&v1beta1.ApplyStrategy{Type: way}).WithDefaults()
	Become(h, &v1beta1.ResourceBindingSpec{State: v1beta1.BindingStateBound, ResourceSnapshotName: snapshot, ApplyStrategy: strategy})
	RecordMove(h, Mover{Name: snapshot, UID: "0", Turn: h.turn})
	h.Generation++
	h.Status.Conditions = nil
	RecordSynchronized(&h.Status, &h.Spec)
}

// is has the member answer.
func (h *history) is(conditionType string, status metav1.ConditionStatus, accounted bool) {
	h.Status.Conditions = []metav1.Condition{
		{Type: v1beta1.BindingWorkSynchronized, Status: metav1.ConditionTrue, ObservedGeneration: h.Generation},
		{Type: conditionType, Status: status, ObservedGeneration: h.Generation},
	}
	RecordAnswer(&h.Status, h.Generation, accounted)
}

// A version that the member had all of stays what a rollback goes back to after an object of it drifts, or fails, and the cluster is compared.
func TestWhatHasDriftedWasApplied(t *testing.T) {
	h := newHistory()
	for _, v := range []string{"web-1", "web-2"} {
		h.asks(v, v1beta1.ApplyStrategyTypeServerSideApply)
		h.is(v1beta1.BindingApplied, metav1.ConditionTrue, true)
	}
	h.is(v1beta1.BindingApplied, metav1.ConditionFalse, true)
	h.asks("web-3", v1beta1.ApplyStrategyTypeReportDiff)
	h.is(v1beta1.BindingDiffReported, metav1.ConditionTrue, true)
	if had, _ := LastApplied(h); had.ResourceSnapshot != "web-2" {
		t.Errorf("after a drift and a comparison a rollback goes back to %s, want web-2, which the member had all of; the record is %s", had.ResourceSnapshot, h.Annotations)
	}
}

// What a binding has stopped to name may be gone, or mean something else: it must not be named again when an object drifts later.
func TestWhatIsNamedNoMoreIsNotNamedAgain(t *testing.T) {
	h := newHistory()
	for _, v := range []string{"web-1", "web-2"} {
		h.asks(v, v1beta1.ApplyStrategyTypeServerSideApply)
		h.is(v1beta1.BindingApplied, metav1.ConditionTrue, true)
	}
	for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse} {
		h.is(v1beta1.BindingApplied, status, true)
		if named := snapshots(h); slices.Contains(named, "web-1") {
			t.Errorf("applied is %s, and the binding names %v: the overrides of web-1 may mean something else", status, named)
		}
	}
}

// A member that has all of a version may refuse to delete what an earlier one placed. That is on the cluster until the Works tell what is left.
func TestWhatIsNotAccountedForStaysNamed(t *testing.T) {
	h := newHistory()
	h.asks("web-1", v1beta1.ApplyStrategyTypeServerSideApply)
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, true)
	h.asks("web-2", v1beta1.ApplyStrategyTypeServerSideApply)
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, false)
	for _, then := range []string{"web-2 is applied", "web-3 is compared", "web-4 is applied"} {
		switch then {
		case "web-3 is compared":
			h.asks("web-3", v1beta1.ApplyStrategyTypeReportDiff)
			h.is(v1beta1.BindingDiffReported, metav1.ConditionTrue, false)
		case "web-4 is applied":
			h.asks("web-4", v1beta1.ApplyStrategyTypeServerSideApply)
			h.is(v1beta1.BindingApplied, metav1.ConditionTrue, false)
		}
		if named := snapshots(h); !slices.Contains(named, "web-1") {
			t.Errorf("%s: the binding names %v, want web-1 among them, of which objects are left", then, named)
		}
		last, _ := LastApplied(h)
		if want := map[bool]string{true: "web-4", false: "web-2"}[then == "web-4 is applied"]; last.ResourceSnapshot != want {
			t.Errorf("%s: a rollback goes back to %s, want %s, of which the member has all", then, last.ResourceSnapshot, want)
		}
	}
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, true)
	if named := snapshots(h); len(named) != 1 {
		t.Errorf("all that is left is told, and the binding names %v", named)
	}
	h.is(v1beta1.BindingApplied, metav1.ConditionFalse, false)
	if named := snapshots(h); len(named) != 1 {
		t.Errorf("after a drift the binding names %v again", named)
	}
}

// A version that was available mends what a run before it has left, even if the member still has objects of that.
func TestWhatWasMendedIsLeftByNobody(t *testing.T) {
	h := newHistory()
	h.asks("bad", v1beta1.ApplyStrategyTypeServerSideApply)
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, false)
	h.asks("good", v1beta1.ApplyStrategyTypeServerSideApply)
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, false)
	h.Status.Conditions = append(h.Status.Conditions, metav1.Condition{Type: v1beta1.BindingAvailable, Status: metav1.ConditionTrue, ObservedGeneration: h.Generation})
	h.asks("next", v1beta1.ApplyStrategyTypeReportDiff)
	h.is(v1beta1.BindingDiffReported, metav1.ConditionTrue, false)
	if left := LeftBy(h); left.Name != "" {
		t.Errorf("left by %q, and the cluster was available with a later version", left.Name)
	}
	h.asks("worse", v1beta1.ApplyStrategyTypeServerSideApply)
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, false)
	h.asks("next", v1beta1.ApplyStrategyTypeReportDiff)
	if left := LeftBy(h); left.Name != "worse" {
		t.Errorf("left by %q, want worse", left.Name)
	}
}

// A drift that comes before the last object is deleted does not have earlier versions be named for ever.
func TestAClusterIsAccountedForAfterADrift(t *testing.T) {
	h := newHistory()
	h.asks("web-1", v1beta1.ApplyStrategyTypeServerSideApply)
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, true)
	h.asks("web-2", v1beta1.ApplyStrategyTypeServerSideApply)
	h.is(v1beta1.BindingApplied, metav1.ConditionTrue, false)
	h.is(v1beta1.BindingApplied, metav1.ConditionFalse, true)
	if named := snapshots(h); len(named) != 1 {
		t.Errorf("the binding names %v, want web-2 alone", named)
	}
}

// A write that changes nothing of the version, as when a cluster is let go of, must not bring to life what is recorded and gone, whatever drifts then.
func TestWhatIsAccountedForStaysSoWhenTheClusterIsLetGoOf(t *testing.T) {
	h := newHistory()
	for _, v := range []string{"web-1", "web-2"} {
		h.asks(v, v1beta1.ApplyStrategyTypeServerSideApply)
		h.is(v1beta1.BindingApplied, metav1.ConditionTrue, true)
	}
	h.is(v1beta1.BindingApplied, metav1.ConditionFalse, true)
	spec := h.Spec.DeepCopy()
	spec.State = v1beta1.BindingStateUnscheduled
	Become(h, spec)
	h.Generation++
	h.is(v1beta1.BindingApplied, metav1.ConditionFalse, true)
	if named := snapshots(h); slices.Contains(named, "web-1") {
		t.Errorf("the binding names %v: web-1 was named no more, so that its overrides may mean something else", named)
	}
	if last, _ := LastApplied(h); last.ResourceSnapshot != "web-2" {
		t.Errorf("a rollback goes back to %s, want web-2", last.ResourceSnapshot)
	}
}

// snapshots returns the names of the resource snapshots in Versions.
func snapshots(b v1beta1.BindingObject) []string {
	var names []string
	for _, v := range Versions(b) {
		if v.ResourceSnapshot != "" && !slices.Contains(names, v.ResourceSnapshot) {
			names = append(names, v.ResourceSnapshot)
		}
	}
	return names
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

var epoch = time.Date(2026, 7, 22, 21, 28, 8, 0, time.UTC)

func minute(n int) metav1.Time { return metav1.NewTime(epoch.Add(time.Duration(n) * time.Minute)) }

// aRun is created at a minute and has entries of these minutes, numbered from first.
func aRun(uid string, created int, over bool, first int64, minutes ...int) v1beta1.UpdateRunObject {
	run := &v1beta1.ClusterStagedUpdateRun{ObjectMeta: metav1.ObjectMeta{Name: uid, UID: types.UID(uid), CreationTimestamp: minute(created)}}
	for i, m := range minutes {
		run.Status.History = append(run.Status.History, v1beta1.UpdateRunHistoryEntry{Number: first + int64(i), Time: minute(m), Reason: "StageStarted"})
	}
	if over {
		run.Status.Conditions = []metav1.Condition{{Type: v1beta1.RunSucceeded, Status: metav1.ConditionTrue}}
	}
	return run
}

func aSink(created int) *v1alpha1.NotificationSink {
	return &v1alpha1.NotificationSink{ObjectMeta: metav1.ObjectMeta{Name: "chatops", CreationTimestamp: minute(created), Generation: 1}}
}

// aLedger is that of a sink that was created at a minute, an hour later.
func aLedger(created int) *ledger {
	return newLedger(aSink(created), clocktesting.NewFakePassiveClock(minute(created+60).Time))
}

// compactAt is compact at a minute.
func (l *ledger) compactAt(m int, runs ...v1beta1.UpdateRunObject) int64 {
	l.clock.(*clocktesting.FakePassiveClock).SetTime(minute(m).Time)
	return l.compact(func() []v1beta1.UpdateRunObject { return runs })
}

func everything(*v1beta1.UpdateRunHistoryEntry) bool { return true }

func TestANewSinkBeginsNow(t *testing.T) {
	gap := aRun("a", 0, false, 3, 9, 11)
	gap.RunStatus().History[1].Number = 7
	for name, tc := range map[string]struct {
		run           v1beta1.UpdateRunObject
		want, dropped int64
	}{
		"all of it was before":              {aRun("a", 0, false, 1, 1, 2), 0, 0},
		"some of it was before":             {aRun("a", 0, false, 1, 1, 9, 11, 12), 3, 0},
		"at the same second":                {aRun("a", 0, false, 1, 1, 10), 2, 0},
		"it was created later":              {aRun("a", 11, false, 1, 11, 12), 1, 0},
		"it is older, and forgot the first": {aRun("a", 0, false, 50, 11, 12), 50, 0},
		"it is newer, and forgot the first": {aRun("a", 11, false, 50, 11, 12), 50, 49},
		"it is older, and forgot some":      {gap, 7, 0},
		"nothing has happened":              {aRun("a", 11, false, 1), 0, 0},
	} {
		entry, dropped := aLedger(10).next(tc.run)
		number := int64(0)
		if entry != nil {
			number = entry.Number
		}
		if number != tc.want || dropped != tc.dropped {
			t.Errorf("%s: the next is %d after %d that were dropped, want %d after %d", name, number, dropped, tc.want, tc.dropped)
		}
	}
}

// restart is a ledger made of what the status of the sink has.
func restart(l *ledger) *ledger {
	sink := aSink(0)
	sink.Status.ObservedGeneration = 1
	l.report(&sink.Status)
	return newLedger(sink, l.clock)
}

// TestNothingIsForgottenByCompaction holds, at every step of a run and with a restart at each, that what is not handled is next, and that what
// is handled is not sent again.
func TestNothingIsForgottenByCompaction(t *testing.T) {
	l := aLedger(0)
	var minutes []int
	handled := int64(0)
	for m := 1; m < 60; m++ {
		over := m >= 30
		if m%7 == 0 && !over || m == 30 || m == 50 {
			// That of minute 50 is the rollback of a run that is over.
			minutes = append(minutes, m)
		}
		run := aRun("a", 1, over, 1, minutes...)
		other := aRun("waiting", 2, true, 1, 3)
		l.see(reconcile.Key{Name: "waiting"}, other, true, everything)
		l.see(reconcile.Key{Name: "a"}, run, true, everything)
		l.compactAt(m, run, other)
		if m%2 == 0 {
			l = restart(l)
		}
		entry, dropped := l.next(run)
		switch {
		case int64(len(minutes)) == handled && entry != nil:
			t.Fatalf("minute %d: %d is sent once more", m, entry.Number)
		case int64(len(minutes)) > handled && (entry == nil || entry.Number != handled+1 || dropped != 0):
			t.Fatalf("minute %d: the next is %v, want %d", m, entry, handled+1)
		}
		if entry != nil && m%3 == 0 {
			handled = entry.Number
			l.accept(run, handled)
		}
		if entry, _ := l.next(other); entry == nil {
			t.Fatalf("minute %d: what another run waits for is forgotten", m)
		}
	}
	if handled != int64(len(minutes)) {
		t.Fatalf("%d of %d are handled", handled, len(minutes))
	}
}

func TestCursorsGoWithTheirRuns(t *testing.T) {
	l := aLedger(0)
	over, goes, stays := aRun("over", 1, true, 1, 1), aRun("goes", 1, false, 1, 1), aRun("stays", 1, false, 1, 1)
	for _, run := range []v1beta1.UpdateRunObject{over, goes, stays} {
		l.see(reconcile.KeyOf(run), run, true, everything)
		l.accept(run, 1)
	}
	l.compactAt(30, over, stays)
	status := &v1alpha1.NotificationSinkStatus{}
	l.report(status)
	if len(status.Runs) != 1 || status.Runs[0].UID != "stays" || len(l.keys) != 1 {
		t.Errorf("cursors %v, names %v", status.Runs, l.keys)
	}
}

func TestAStatusHasOnlySoManyCursors(t *testing.T) {
	l := aLedger(0)
	for i := range maxCursors + 50 {
		run := aRun(fmt.Sprintf("run-%04d", i), 1, false, 1, 1)
		l.see(reconcile.KeyOf(run), run, true, everything)
		if i < 1000 {
			l.accept(run, 1)
		}
	}
	status := &v1alpha1.NotificationSinkStatus{}
	l.report(status)
	waiting := 0
	for _, c := range status.Runs {
		if c.Number == 0 {
			waiting++
		}
	}
	if len(status.Runs) != maxCursors || waiting != 50 || status.Pending != 50 {
		t.Errorf("%d cursors, of which %d wait, and %d pending", len(status.Runs), waiting, status.Pending)
	}
}

// TestWhatWaitsBeyondTheCursorsIsNotForgotten has more runs wait than a status has cursors. A server that is started again looks at some of them,
// writes the status, and is started once more.
func TestWhatWaitsBeyondTheCursorsIsNotForgotten(t *testing.T) {
	l := aLedger(0)
	var all, waiting []v1beta1.UpdateRunObject
	for i := range maxCursors * 3 / 2 {
		run := aRun(fmt.Sprintf("run-%04d", i), 1, i%3 == 0, 1, 1+i%40, 45)
		all, waiting = append(all, run), append(waiting, run)
	}
	for i := range maxCursors {
		all = append(all, aRun(fmt.Sprintf("told-%04d", i), 1, false, 1, 1, 2))
	}
	for i, run := range all {
		l.see(reconcile.KeyOf(run), run, true, everything)
		if i >= len(waiting) {
			l.accept(run, 2)
		}
	}
	l.compactAt(60, all...)
	check := func(when string) {
		t.Helper()
		forgotten := 0
		for _, run := range waiting {
			if entry, _ := l.next(run); entry == nil || entry.Number != 1 {
				forgotten++
			}
		}
		if forgotten > 0 {
			t.Errorf("%s, what %d of %d runs wait for is forgotten", when, forgotten, len(waiting))
		}
	}
	l = restart(l)
	for _, run := range waiting[len(waiting)/2:] {
		l.see(reconcile.KeyOf(run), run, true, everything)
	}
	l = restart(l)
	check("after two starts")
	for _, run := range waiting {
		l.see(reconcile.KeyOf(run), run, true, everything)
	}
	l.compactAt(61, all...)
	l = restart(l)
	check("after a third")
}

func TestAnEntryIsTriedForAnHour(t *testing.T) {
	l, run, now, attempts := aLedger(0), aRun("a", 1, false, 1, 1, 2), minute(5).Time, 0
	for {
		attempts++
		again, over := l.fail(run, now, "the endpoint answers 500")
		if over {
			break
		}
		if rest := l.rest(run, now); rest != again || again <= 0 || again > lastRetry {
			t.Fatalf("attempt %d is followed by a rest of %s, and another in %s", attempts, rest, again)
		}
		now = now.Add(again)
		// It goes on where it was after a restart, but for the pauses.
		if attempts == 5 {
			l = restart(l)
		}
	}
	if took := now.Sub(minute(5).Time); took != giveUpAfter || attempts < 15 || attempts > 40 {
		t.Errorf("given up after %s and %d attempts", took, attempts)
	}
}

// TestAClockThatWasAheadHidesNothing has the clock go an hour forward and back again: what happens afterwards, before and after a restart, is told
// of, and what was handled is not told of once more.
func TestAClockThatWasAheadHidesNothing(t *testing.T) {
	for name, after := range map[string]func(l *ledger) *ledger{
		"in one process":  func(l *ledger) *ledger { return l },
		"after a restart": restart,
	} {
		l := aLedger(0)
		ahead := aRun("ahead", 1, true, 1, 10, 80, 21)
		l.see(reconcile.KeyOf(ahead), ahead, true, everything)
		l.accept(ahead, 3)
		l.compactAt(80, ahead)
		l.clock.(*clocktesting.FakePassiveClock).SetTime(minute(20).Time)
		l = after(l)
		if entry, _ := l.next(aRun("new", 21, false, 1, 21)); entry == nil || entry.Number != 1 {
			t.Errorf("%s, a run that was created when the clock was right again is passed over", name)
		}
		l.compactAt(50, ahead)
		if entry, _ := after(l).next(ahead); entry != nil {
			t.Errorf("%s, entry %d of %s is sent once more", name, entry.Number, ahead.GetName())
		}
	}
}

// TestWhatIsLostWithADeletedRunIsCounted by compaction, where the name of the run was not seen by a sender any more.
func TestWhatIsLostWithADeletedRunIsCounted(t *testing.T) {
	l := aLedger(0)
	two, tried, stays := aRun("two", 1, false, 1, 1, 2), aRun("tried", 1, false, 1, 1), aRun("stays", 1, false, 1, 1)
	for _, run := range []v1beta1.UpdateRunObject{two, tried, stays} {
		l.see(reconcile.KeyOf(run), run, true, everything)
	}
	l.fail(tried, minute(2).Time, "the endpoint answers 500")
	if lost := restart(l).compactAt(30, stays); lost != 1 {
		t.Errorf("%d are lost after a restart, want that which was tried", lost)
	}
	if lost := l.compactAt(30, stays); lost != 3 {
		t.Errorf("%d are lost, want 3", lost)
	}
	if lost := l.compactAt(31, stays) + l.replaced(reconcile.KeyOf(two), ""); lost != 0 {
		t.Errorf("%d are lost once more", lost)
	}
}

// TestASinkIsInTroubleWhileSomethingFails holds that trouble ends with what failed, be it delivered, given up, or gone with its run.
func TestASinkIsInTroubleWhileSomethingFails(t *testing.T) {
	const why = "the endpoint answers 500"
	for name, tc := range map[string]struct {
		end     func(l *ledger, run v1beta1.UpdateRunObject)
		trouble string
	}{
		"it still fails":                        {func(*ledger, v1beta1.UpdateRunObject) {}, why},
		"it is delivered":                       {func(l *ledger, run v1beta1.UpdateRunObject) { l.accept(run, 1) }, ""},
		"it is given up, and another one waits": {func(l *ledger, run v1beta1.UpdateRunObject) { l.giveUp(run, 1, why) }, why},
		"all is given up":                       {func(l *ledger, run v1beta1.UpdateRunObject) { l.giveUp(run, 1, why); l.giveUp(run, 2, why) }, ""},
		"its run is deleted":                    {func(l *ledger, run v1beta1.UpdateRunObject) { l.replaced(reconcile.KeyOf(run), "") }, ""},
		"the spec is corrected":                 {func(l *ledger, _ v1beta1.UpdateRunObject) { l.reconsider() }, ""},
	} {
		l, run := aLedger(0), aRun("a", 1, false, 1, 1, 2)
		l.see(reconcile.KeyOf(run), run, true, everything)
		l.fail(run, minute(2).Time, why)
		tc.end(l, run)
		if got := l.trouble(); got != tc.trouble {
			t.Errorf("%s: trouble %q, want %q", name, got, tc.trouble)
		}
		if rest := l.rest(run, minute(2).Time); name == "the spec is corrected" && rest > 0 {
			t.Errorf("%s: it is tried again in %s", name, rest)
		}
	}
}

func TestARunThatIsRecreatedIsAnotherOne(t *testing.T) {
	l, key := aLedger(0), reconcile.Key{Name: "a"}
	l.see(key, aRun("first", 1, false, 1, 1, 2), true, everything)
	if lost := l.replaced(key, "first"); lost != 0 {
		t.Errorf("%d are lost while the run is there", lost)
	}
	if lost := l.replaced(key, "second"); lost != 2 {
		t.Errorf("%d are lost with the run, want 2", lost)
	}
	if lost := l.replaced(key, ""); lost != 0 {
		t.Errorf("%d are lost once more", lost)
	}
}

// TestTimeThatPassesIsWrittenOnceAnHour keeps a sink for which nothing happens from being written for ever.
func TestTimeThatPassesIsWrittenOnceAnHour(t *testing.T) {
	at := func(m int) *metav1.Time { return ptr.To(minute(m)) }
	was := &v1alpha1.NotificationSinkStatus{HandledBefore: at(0), Delivered: 1}
	for name, tc := range map[string]struct {
		is   v1alpha1.NotificationSinkStatus
		want bool
	}{
		"nothing has changed":     {v1alpha1.NotificationSinkStatus{HandledBefore: at(0), Delivered: 1}, false},
		"minutes have passed":     {v1alpha1.NotificationSinkStatus{HandledBefore: at(59), Delivered: 1}, false},
		"an hour has passed":      {v1alpha1.NotificationSinkStatus{HandledBefore: at(60), Delivered: 1}, true},
		"the clock has gone back": {v1alpha1.NotificationSinkStatus{HandledBefore: at(-1), Delivered: 1}, true},
		"another is delivered":    {v1alpha1.NotificationSinkStatus{HandledBefore: at(1), Delivered: 2}, true},
	} {
		if got := isNews(was, &tc.is); got != tc.want {
			t.Errorf("%s: it is written: %t, want %t", name, got, tc.want)
		}
	}
	if !isNews(&v1alpha1.NotificationSinkStatus{}, was) {
		t.Error("the first status is not written")
	}
	l := aLedger(0)
	for i := range manyCursors + 1 {
		run := aRun(fmt.Sprintf("run-%d", i), 1, false, 1, 1)
		if l.see(reconcile.KeyOf(run), run, i < manyCursors, everything); spacing(l.size()) != writeEvery {
			t.Errorf("with %d runs that match and others that do not, a status is written every %s", min(i+1, manyCursors), spacing(l.size()))
		}
	}
	more := aRun("more", 1, false, 1, 1)
	if l.see(reconcile.KeyOf(more), more, true, everything); spacing(l.size()) != writeManyEvery {
		t.Errorf("with more, it is written every %s", spacing(l.size()))
	}
}

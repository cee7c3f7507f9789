// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/apis/rollout/v1alpha1"
	"github.com/stagegate/stagegate/pkg/apis/wording"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

const (
	// giveUpAfter is how long a notification is tried.
	giveUpAfter = time.Hour
	// tooOld is the age at which nobody wants to be told any more: a sink that was away for days is not told of all that.
	tooOld = 24 * time.Hour
	// firstRetry and lastRetry are how long a notification waits to be tried again, twice as long each time.
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
	// settled is how long a run that is over keeps its cursor after its last entry. It must be more than clocks of replicas differ by.
	settled = 10 * time.Minute
	// maxCursors is how many cursors the status of a sink has.
	maxCursors = 1000
	// maxLastError is how many bytes of an error the status of a sink has.
	maxLastError = 256
)

// ledger is how far a sink is with every run. It outlives the senders of a sink during a term of leadership; the status of the sink has what
// must outlive the process.
type ledger struct {
	mu sync.Mutex
	// handledBefore is the time before which everything is handled in runs without a cursor.
	handledBefore time.Time
	runs          map[types.UID]*cursor
	// keys has the uid of the run that was last seen under a name.
	keys              map[reconcile.Key]types.UID
	delivered, failed int64
	lastError         string
	// isDown is whether the last attempt failed.
	isDown bool
}

// cursor is how far a sink is with a run.
type cursor struct {
	// number of the last entry that is handled.
	number int64
	// failingSince is when the next entry was first tried in vain, zero if it was not.
	failingSince time.Time
	attempts     int
	// notBefore is when it is to be tried again.
	notBefore time.Time
	// pending is how many entries are to be sent, as last counted.
	pending int32
	// matches reports whether the sink is about the run. It is not known until the run is seen.
	seen, matches bool
}

// newLedger reads what a sink has in its status. What has happened before a new sink was created is handled.
func newLedger(sink *v1alpha1.NotificationSink) *ledger {
	status := &sink.Status
	l := &ledger{
		handledBefore: sink.CreationTimestamp.Truncate(time.Second), runs: map[types.UID]*cursor{}, keys: map[reconcile.Key]types.UID{},
		delivered: status.Delivered, failed: status.Failed, lastError: status.LastError,
	}
	if status.HandledBefore != nil {
		l.handledBefore = status.HandledBefore.Time
	}
	for _, c := range status.Runs {
		isAbout := status.ObservedGeneration == sink.Generation
		read := &cursor{number: c.Number, seen: isAbout, matches: isAbout}
		if c.FailingSince != nil {
			read.failingSince = c.FailingSince.Time
		}
		l.runs[c.UID] = read
	}
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.NotificationSinkReady); ready != nil {
		l.isDown = ready.Reason == v1alpha1.ReasonDeliveryFailed
	}
	return l
}

// cursorOf returns the cursor of a run, a new one where it has none. The lock is held.
func (l *ledger) cursorOf(run v1beta1.UpdateRunObject) *cursor {
	c := l.runs[run.GetUID()]
	if c == nil {
		c = &cursor{number: l.start(run)}
		l.runs[run.GetUID()] = c
	}
	return c
}

// start is the number of the last entry that is handled in a run without a cursor.
func (l *ledger) start(run v1beta1.UpdateRunObject) int64 {
	history := run.RunStatus().History
	first := slices.IndexFunc(history, func(e v1beta1.UpdateRunHistoryEntry) bool { return !e.Time.Time.Before(l.handledBefore) })
	switch {
	case len(history) == 0:
		return 0
	case first < 0:
		return history[len(history)-1].Number
	case first > 0:
		return history[first-1].Number
	case run.GetCreationTimestamp().Time.Before(l.handledBefore):
		return history[0].Number - 1
	}
	// What came before the first entry was dropped from the history, and nobody was told of it.
	return 0
}

// next returns the first entry of a run that is not handled, nil if there is none, and how many before it the history has dropped.
func (l *ledger) next(run v1beta1.UpdateRunObject) (entry *v1beta1.UpdateRunHistoryEntry, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	history := run.RunStatus().History
	for i := range history {
		if history[i].Number > c.number {
			return &history[i], history[i].Number - c.number - 1
		}
	}
	return nil, 0
}

// see notes whether the sink is about a run, and how much of it waits to be sent.
func (l *ledger) see(key reconcile.Key, run v1beta1.UpdateRunObject, matches bool, wanted func(*v1beta1.UpdateRunHistoryEntry) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	l.keys[key] = run.GetUID()
	c.seen, c.matches, c.pending = true, matches, 0
	history := run.RunStatus().History
	for i := range history {
		if matches && history[i].Number > c.number && wanted(&history[i]) {
			c.pending++
		}
	}
}

// matched reports whether the sink was about a run when that was last known.
func (l *ledger) matched(run v1beta1.UpdateRunObject) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursorOf(run).matches
}

// reconsider forgets which runs the sink is about, when its spec has changed.
func (l *ledger) reconsider() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.runs {
		c.seen, c.matches = false, false
	}
}

// pass moves the cursor of a run over an entry that is not to be sent.
func (l *ledger) pass(run v1beta1.UpdateRunObject, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.move(l.cursorOf(run), number)
}

// accept moves the cursor of a run over an entry that was delivered.
func (l *ledger) accept(run v1beta1.UpdateRunObject, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	l.move(c, number)
	c.pending = max(0, c.pending-1)
	l.delivered++
	l.isDown = false
}

// giveUp moves the cursor of a run over an entry that is not delivered.
func (l *ledger) giveUp(run v1beta1.UpdateRunObject, number int64, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	l.move(c, number)
	c.pending = max(0, c.pending-1)
	l.failed++
	l.lastError = wording.OneLine(why, maxLastError)
}

func (l *ledger) move(c *cursor, number int64) {
	c.number, c.failingSince, c.attempts, c.notBefore = number, time.Time{}, 0, time.Time{}
}

// fail notes that an attempt failed, and returns when to try again, or that the entry has been tried for long enough.
func (l *ledger) fail(run v1beta1.UpdateRunObject, now time.Time, why string) (again time.Duration, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	l.isDown, l.lastError = true, wording.OneLine(why, maxLastError)
	if c.failingSince.IsZero() {
		c.failingSince = now
	}
	left := c.failingSince.Add(giveUpAfter).Sub(now)
	if left <= 0 {
		return 0, true
	}
	again = min(lastRetry, firstRetry<<min(c.attempts, 20), left)
	c.attempts++
	c.notBefore = now.Add(again)
	return again, false
}

// rest is how long a run has to wait still for another attempt.
func (l *ledger) rest(run v1beta1.UpdateRunObject, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursorOf(run).notBefore.Sub(now)
}

// retry has everything that failed tried at once, and returns the runs.
func (l *ledger) retry() []reconcile.Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	var keys []reconcile.Key
	for key, uid := range l.keys {
		if c := l.runs[uid]; c != nil && !c.failingSince.IsZero() {
			c.notBefore, c.attempts = time.Time{}, 0
			keys = append(keys, key)
		}
	}
	return keys
}

// replaced forgets the run that was seen under a name before, unless it has the uid, and returns how many entries were still to be sent.
func (l *ledger) replaced(key reconcile.Key, uid types.UID) (lost int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	had, seen := l.keys[key]
	if !seen || had == uid {
		return 0
	}
	if c := l.runs[had]; c != nil {
		lost = c.pending
	}
	delete(l.runs, had)
	delete(l.keys, key)
	return lost
}

// lose counts entries that were gone before they could be sent.
func (l *ledger) lose(count int64, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed += count
	l.lastError = wording.OneLine(why, maxLastError)
}

// compact forgets the cursors that the time stands for: those of runs that are over and of which nothing was added for a while. runs are all
// that there are.
func (l *ledger) compact(runs []v1beta1.UpdateRunObject, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := now.Add(-settled).Truncate(time.Second)
	if before.Before(l.handledBefore) {
		before = l.handledBefore
	}
	kept := make(map[types.UID]*cursor, len(runs))
	for _, run := range runs {
		c := l.cursorOf(run)
		history := run.RunStatus().History
		if n := len(history); n > 0 && (history[n-1].Number > c.number || !history[n-1].Time.Time.Before(before)) || !runrules.IsOver(run.RunStatus()) {
			kept[run.GetUID()] = c
		}
	}
	for key, uid := range l.keys {
		if kept[uid] == nil {
			delete(l.keys, key)
		}
	}
	l.runs, l.handledBefore = kept, before
}

// report writes the ledger into the status of a sink.
func (l *ledger) report(status *v1alpha1.NotificationSinkStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	status.Delivered, status.Failed, status.LastError, status.Pending = l.delivered, l.failed, l.lastError, 0
	status.HandledBefore = &metav1.Time{Time: l.handledBefore}
	status.Runs = nil
	for uid, c := range l.runs {
		status.Pending += c.pending
		if c.seen && !c.matches {
			continue
		}
		written := v1alpha1.NotificationCursor{UID: uid, Number: c.number}
		if !c.failingSince.IsZero() {
			written.FailingSince = &metav1.Time{Time: c.failingSince.Truncate(time.Second)}
		}
		status.Runs = append(status.Runs, written)
	}
	if len(status.Runs) > maxCursors {
		// Without a cursor, what is handled may be sent once more after a restart. What is not handled must not be left out.
		slices.SortFunc(status.Runs, func(a, b v1alpha1.NotificationCursor) int {
			return cmp.Compare(l.runs[b.UID].pending, l.runs[a.UID].pending)
		})
		status.Runs = status.Runs[:maxCursors]
	}
	slices.SortFunc(status.Runs, func(a, b v1alpha1.NotificationCursor) int { return strings.Compare(string(a.UID), string(b.UID)) })
}

// trouble returns why deliveries fail now, empty where they do not.
func (l *ledger) trouble() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	failing := l.isDown
	for _, c := range l.runs {
		failing = failing || !c.failingSince.IsZero()
	}
	if !failing {
		return ""
	}
	return l.lastError
}

// size is how many cursors there are.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs)
}

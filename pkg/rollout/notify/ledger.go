// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"

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
	clock clock.PassiveClock
	// created is when the sink was.
	created time.Time

	mu sync.Mutex
	// handledBefore is the time before which everything is handled in runs without a cursor, see before.
	handledBefore time.Time
	runs          map[types.UID]*cursor
	// keys has the uid of the run that was last seen under a name.
	keys              map[reconcile.Key]types.UID
	delivered, failed int64
	lastError         string
}

// cursor is how far a sink is with a run.
type cursor struct {
	// number of the last entry that is handled.
	number int64
	// failingSince is when the next entry was first tried in vain, zero if it was not.
	failingSince time.Time
	// isDown is whether the last attempt failed, be it that for the entry before.
	isDown   bool
	attempts int
	// notBefore is when it is to be tried again.
	notBefore time.Time
	// pending is how many entries are to be sent, as last counted.
	pending int32
	// since is the time of the first entry that is not handled, zero if all are. It is not known until the history was looked at.
	looked bool
	since  time.Time
	// matches reports whether the sink is about the run. It is not known until the run is seen.
	seen, matches bool
}

// look notes when the first entry that is not handled was.
func (c *cursor) look(run v1beta1.UpdateRunObject) {
	c.looked, c.since = true, time.Time{}
	history := run.RunStatus().History
	if i := slices.IndexFunc(history, func(e v1beta1.UpdateRunHistoryEntry) bool { return e.Number > c.number }); i >= 0 {
		c.since = history[i].Time.Time
	}
}

// newLedger reads what a sink has in its status. What has happened before a new sink was created is handled.
func newLedger(sink *v1alpha1.NotificationSink, t clock.PassiveClock) *ledger {
	status, created := &sink.Status, sink.CreationTimestamp.Truncate(time.Second)
	l := &ledger{
		clock: t, created: created, handledBefore: created, runs: map[types.UID]*cursor{}, keys: map[reconcile.Key]types.UID{},
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
	return l
}

// before is handledBefore, unless the clock was ahead when that was set: what happens from now on is told of whatever it was then. What is not
// settled by the present clock may be sent once more. The lock is held.
func (l *ledger) before() time.Time {
	now := l.clock.Now()
	latest := now.Add(-settled).Truncate(time.Second)
	if latest.Before(l.created) {
		latest = earlier(l.created, now.Truncate(time.Second))
	}
	return earlier(l.handledBefore, latest)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// cursorOf returns the cursor of a run, a new one where it has none. The lock is held.
func (l *ledger) cursorOf(run v1beta1.UpdateRunObject) *cursor {
	c := l.runs[run.GetUID()]
	if c == nil {
		c = &cursor{number: l.start(run)}
		c.look(run)
		l.runs[run.GetUID()] = c
	}
	return c
}

// start is the number of the last entry that is handled in a run without a cursor.
func (l *ledger) start(run v1beta1.UpdateRunObject) int64 {
	history, before := run.RunStatus().History, l.before()
	first := slices.IndexFunc(history, func(e v1beta1.UpdateRunHistoryEntry) bool { return !e.Time.Time.Before(before) })
	switch {
	case len(history) == 0:
		return 0
	case first < 0:
		return history[len(history)-1].Number
	case first > 0:
		// Not that of the entry before it: what is between the two was dropped.
		return history[first].Number - 1
	case run.GetCreationTimestamp().Time.Before(before):
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
	c.look(run)
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

// reconsider forgets which runs the sink is about, when its spec has changed, and has what failed tried anew: it may go elsewhere now.
func (l *ledger) reconsider() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.runs {
		c.seen, c.matches = false, false
		c.failingSince, c.isDown, c.attempts, c.notBefore = time.Time{}, false, 0, time.Time{}
	}
}

// pass moves the cursor of a run over an entry that is not to be sent.
func (l *ledger) pass(run v1beta1.UpdateRunObject, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursorOf(run).move(run, number)
}

// accept moves the cursor of a run over an entry that was delivered.
func (l *ledger) accept(run v1beta1.UpdateRunObject, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	c.move(run, number)
	c.pending = max(0, c.pending-1)
	c.isDown = false
	l.delivered++
}

// giveUp moves the cursor of a run over an entry that is not delivered.
func (l *ledger) giveUp(run v1beta1.UpdateRunObject, number int64, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	c.move(run, number)
	c.pending = max(0, c.pending-1)
	l.failed++
	l.lastError = wording.OneLine(why, maxLastError)
}

func (c *cursor) move(run v1beta1.UpdateRunObject, number int64) {
	c.number, c.failingSince, c.attempts, c.notBefore = number, time.Time{}, 0, time.Time{}
	c.look(run)
}

// fail notes that an attempt failed, and returns when to try again, or that the entry has been tried for long enough.
func (l *ledger) fail(run v1beta1.UpdateRunObject, now time.Time, why string) (again time.Duration, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cursorOf(run)
	c.isDown, l.lastError = true, wording.OneLine(why, maxLastError)
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
func (l *ledger) replaced(key reconcile.Key, uid types.UID) (lost int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	had, seen := l.keys[key]
	if !seen || had == uid {
		return 0
	}
	if c := l.runs[had]; c != nil {
		lost = c.left()
	}
	delete(l.runs, had)
	delete(l.keys, key)
	return lost
}

// note has why something is not sent in the status.
func (l *ledger) note(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastError = wording.OneLine(why, maxLastError)
}

// lose counts notifications that were gone before they could be sent.
func (l *ledger) lose(count int64, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed += count
	l.lastError = wording.OneLine(why, maxLastError)
}

// compact forgets the cursors that the time stands for: those of runs that are over and of which nothing was added for a while. It returns how
// many entries were still to be sent of runs that are gone. list returns all runs that there are; it is called once no cursor can be added.
func (l *ledger) compact(list func() []v1beta1.UpdateRunObject) (lost int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	runs := list()
	exists, kept := sets.New[types.UID](), make(map[types.UID]*cursor, len(runs))
	for _, run := range runs {
		// It must have a cursor by what was handled so far.
		l.cursorOf(run).look(run)
		exists.Insert(run.GetUID())
	}
	for uid, c := range l.runs {
		if !exists.Has(uid) {
			lost += c.left()
		}
	}
	l.handledBefore = l.clock.Now().Add(-settled).Truncate(time.Second)
	if l.handledBefore.Before(l.created) {
		l.handledBefore = l.created
	}
	before := l.before()
	for _, run := range runs {
		c := l.runs[run.GetUID()]
		// The clock may have gone back since an entry: it is not the last one alone that counts.
		isNew := func(e v1beta1.UpdateRunHistoryEntry) bool { return !e.Time.Time.Before(before) }
		if !c.since.IsZero() || !runrules.IsOver(run.RunStatus()) || slices.ContainsFunc(run.RunStatus().History, isNew) {
			kept[run.GetUID()] = c
		}
	}
	for key, uid := range l.keys {
		if kept[uid] == nil {
			delete(l.keys, key)
		}
	}
	l.runs = kept
	return lost
}

// left is how many entries are still to be sent of a run that is gone. Of one that was gone when the process began, it is known that there was one
// if that was tried.
func (c *cursor) left() int64 {
	if c.pending == 0 && !c.failingSince.IsZero() {
		return 1
	}
	return int64(c.pending)
}

// report writes the ledger into the status of a sink.
func (l *ledger) report(status *v1alpha1.NotificationSinkStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	status.Delivered, status.Failed, status.LastError, status.Pending = l.delivered, l.failed, l.lastError, 0
	before := l.before()
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
		// What was longest not handled keeps its cursor, and so does what was not looked at since the process began: it had one then. For what is
		// cut, the time goes back to before its first entry that is not handled. What is handled may be sent once more after a restart.
		slices.SortFunc(status.Runs, func(a, b v1alpha1.NotificationCursor) int { return l.runs[a.UID].compare(l.runs[b.UID]) })
		if first := l.runs[status.Runs[maxCursors].UID]; !first.since.IsZero() {
			before = earlier(before, first.since.Truncate(time.Second))
		}
		status.Runs = status.Runs[:maxCursors]
	}
	status.HandledBefore = &metav1.Time{Time: before}
	slices.SortFunc(status.Runs, func(a, b v1alpha1.NotificationCursor) int { return strings.Compare(string(a.UID), string(b.UID)) })
}

// compare orders cursors by how much they are needed.
func (c *cursor) compare(other *cursor) int {
	rank := func(c *cursor) int {
		switch {
		case !c.looked:
			return 0
		case !c.since.IsZero():
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(c), rank(other)), c.since.Compare(other.since))
}

// trouble returns why deliveries fail now, empty where they do not.
func (l *ledger) trouble() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	failing := false
	for _, c := range l.runs {
		failing = failing || !c.failingSince.IsZero() || c.isDown && c.pending > 0
	}
	if !failing {
		return ""
	}
	return l.lastError
}

// size is how many cursors of runs that the sink may be about there are.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := 0
	for _, c := range l.runs {
		if !c.seen || c.matches {
			size++
		}
	}
	return size
}

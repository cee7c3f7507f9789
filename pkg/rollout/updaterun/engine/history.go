// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	runrules "github.com/stagegate/stagegate/pkg/rules/updaterun"
)

const (
	// maxHistory is how many entries the history of a run keeps.
	maxHistory = 100
	// maxEntry bounds what an entry says, in bytes: as much as the reason that a user can give.
	maxEntry = 1024
	// maxSingle is how many clusters have an entry of their own for what happens to them at one look.
	maxSingle = 10
	// maxNamed is how many clusters an entry of the history names.
	maxNamed = 100
)

// event tells of what happened, on the hub and in the history of the run. The entry is the caller's to complete, until the next one.
func (s *step) event(reason, message string) *v1beta1.UpdateRunHistoryEntry {
	s.decision.Events = append(s.decision.Events, Event{Reason: reason, Message: message})
	return s.record(reason, message)
}

// warn is event for what somebody should look at.
func (s *step) warn(reason, message string) *v1beta1.UpdateRunHistoryEntry {
	s.decision.Events = append(s.decision.Events, Event{Warning: true, Reason: reason, Message: message})
	return s.record(reason, message)
}

// warnOf is warn for a single cluster. Of very many at one look, the first have an entry of the history each, and the last of these names the
// others: they would push out what happened before.
func (s *step) warnOf(cluster, reason, message string) {
	entries, last := 0, (*v1beta1.UpdateRunHistoryEntry)(nil)
	for i := range s.status.History[s.before:] {
		if entry := &s.status.History[s.before+i]; entry.Reason == reason && entry.Stage == s.at && len(entry.Clusters) > 0 {
			entries, last = entries+1, entry
		}
	}
	if entries < maxSingle {
		s.warn(reason, message).Clusters = []string{cluster}
		return
	}
	s.decision.Events = append(s.decision.Events, Event{Warning: true, Reason: reason, Message: message})
	if len(last.Clusters) < maxNamed {
		last.Clusters = append(last.Clusters, cluster)
	}
}

// record adds an entry to the history.
func (s *step) record(reason, message string) *v1beta1.UpdateRunHistoryEntry {
	number := int64(1)
	if n := len(s.status.History); n > 0 {
		number = s.status.History[n-1].Number + 1
	}
	// What the run had before belongs to the run as stored.
	s.status.History = append(slices.Clip(s.status.History), v1beta1.UpdateRunHistoryEntry{
		Number: number, Time: metav1.NewTime(s.now), Reason: reason, Stage: s.at, Message: shortened(runrules.Plainly(message), maxEntry),
	})
	s.changed = true
	return &s.status.History[len(s.status.History)-1]
}

// trimHistory drops the oldest entries where there are too many, those of users last, and none that the run has yet to act on.
func (s *step) trimHistory() {
	history, excess := s.status.History, len(s.status.History)-maxHistory
	for _, droppable := range []func(*v1beta1.UpdateRunHistoryEntry) bool{
		func(e *v1beta1.UpdateRunHistoryEntry) bool { return e.User == "" },
		func(e *v1beta1.UpdateRunHistoryEntry) bool { return e.Number <= s.status.ObservedOperation },
	} {
		if excess <= 0 {
			return
		}
		var kept []v1beta1.UpdateRunHistoryEntry
		for i := range history {
			// The newest one has the number that the next one is counted from.
			if excess > 0 && i < len(history)-1 && droppable(&history[i]) {
				excess--
				continue
			}
			kept = append(kept, history[i])
		}
		history = kept
		s.status.History, s.changed = kept, true
	}
}

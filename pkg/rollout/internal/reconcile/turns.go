// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import "k8s.io/client-go/util/workqueue"

// turns is the order in which keys that wait are reconciled: groups of keys take turns, and the keys of a group come in the order in which
// they were added. Without groups all keys are one, first come, first served. The workqueue calls it under its lock.
type turns struct {
	// groupOf tells the group of a key when the key is added, nil for one group of all.
	groupOf func(Key) string
	// waiting are the keys by their group. A group of which none waits has no entry.
	waiting map[string][]Key
	// next are the groups of which keys wait, the one whose turn it is first.
	next []string
	len  int
}

var _ workqueue.Queue[Key] = &turns{}

func newTurns() *turns { return &turns{waiting: map[string][]Key{}} }

// Touch leaves a key that waits where it is.
func (t *turns) Touch(Key) {}

// Push adds a key behind those of its group. A group of which no key waited is the last to have its turn.
func (t *turns) Push(key Key) {
	group := ""
	if t.groupOf != nil {
		group = t.groupOf(key)
	}
	if len(t.waiting[group]) == 0 {
		t.next = append(t.next, group)
	}
	t.waiting[group] = append(t.waiting[group], key)
	t.len++
}

// Len is the number of keys that wait.
func (t *turns) Len() int { return t.len }

// Pop takes the first key of the group whose turn it is, and puts the group behind all others.
func (t *turns) Pop() Key {
	group := t.next[0]
	t.next = t.next[1:]
	keys := t.waiting[group]
	key := keys[0]
	if len(keys) == 1 {
		delete(t.waiting, group)
	} else {
		t.waiting[group] = keys[1:]
		t.next = append(t.next, group)
	}
	t.len--
	return key
}

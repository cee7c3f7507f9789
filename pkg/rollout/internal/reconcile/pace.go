// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"sync"
	"time"
)

// Pace keeps costly work on one key from taking all of the time: after each piece of work the key rests for a multiple of what that
// took. What changes meanwhile is then one piece of work, so that the cost of an object that grows with its parts does not grow with
// their square. The zero value never makes anything rest.
type Pace struct {
	// Rest is how many times as long as the work took.
	Rest int
	// Longest is the longest rest, 0 for no limit: work that was slow once, for a reason that has passed, is not paid for ever after.
	Longest time.Duration
	// Free is how long work may take without a rest after it: what is small is to be quick.
	Free time.Duration

	mu    sync.Mutex
	until map[Key]time.Time
}

// Left is how long a key has to rest still, 0 if it has rested.
func (p *Pace) Left(key Key, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.until[key].Sub(now)
	if left > 0 {
		return left
	}
	delete(p.until, key)
	return 0
}

// Worked has a key rest after work on it.
func (p *Pace) Worked(key Key, from, to time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to.Sub(from) <= p.Free {
		return
	}
	if p.until == nil {
		p.until = map[Key]time.Time{}
	}
	rest := to.Sub(from) * time.Duration(p.Rest)
	if p.Longest > 0 {
		rest = min(rest, p.Longest)
	}
	p.until[key] = to.Add(rest)
}

// Forget takes a key for gone.
func (p *Pace) Forget(key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.until, key)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import "sync"

// Shares counts what is under way at once, in all and for each who shares it. The zero value counts nothing yet.
type Shares struct {
	mu  sync.Mutex
	all int
	of  map[string]int
}

// Begin counts one more for somebody, until its end. It returns nil where that one has as many as each may have, or all together have as many as there
// may be; isShare reports whether it is the former.
func (s *Shares) Begin(name string, each, all int) (end func(), isShare bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[name] >= each || s.all >= all {
		return nil, s.of[name] >= each
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[name]++
	s.all++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.of[name]--; s.of[name] == 0 {
			delete(s.of, name)
		}
	}, false
}

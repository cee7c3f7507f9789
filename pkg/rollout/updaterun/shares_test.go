// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import "testing"

func TestNobodyHasMoreThanAShare(t *testing.T) {
	s := &Shares{}
	var ends []func()
	for i, tt := range []struct {
		name    string
		begins  bool
		isShare bool
	}{{"a", true, false}, {"a", true, false}, {"a", false, true}, {"b", true, false}, {"c", false, false}} {
		end, isShare := s.Begin(tt.name, 2, 3)
		if (end != nil) != tt.begins || isShare != tt.isShare {
			t.Errorf("%d: %s begins: %t, has its share: %t", i, tt.name, end != nil, isShare)
		}
		if end != nil {
			ends = append(ends, end)
		}
	}
	for _, end := range ends {
		end()
	}
	if end, _ := s.Begin("a", 1, 1); end == nil || len(s.of) != 1 {
		t.Errorf("what has ended counts still: %v", s.of)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package updaterun

import (
	"fmt"
	"testing"

	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

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

// A run that cannot be planned now is looked at again by the end of another plan, and by nothing else.
func TestTheEndOfAPlanWakesThoseThatWait(t *testing.T) {
	c := &Controller{queue: reconcile.New("test", 1, nil)}
	key := func(namespace string, i int) reconcile.Key {
		return reconcile.Key{Namespace: namespace, Name: fmt.Sprint(i)}
	}
	var ends []func()
	for i := range plansOfNamespace {
		ends = append(ends, c.beginPlan(key("team", i)))
	}
	if c.beginPlan(key("team", plansOfNamespace)) != nil {
		t.Fatal("a namespace has more plans than its share")
	}
	for _, other := range []string{"", "another"} {
		end := c.beginPlan(key(other, 0))
		if end == nil {
			t.Fatalf("%q has no share while a namespace has all of its own", other)
		}
		end()
	}
	c.waiting.Store(key("team", plansOfNamespace), true)
	ends[0]()
	waits := 0
	c.waiting.Range(func(any, any) bool { waits++; return true })
	if waits > 0 || c.beginPlan(key("team", plansOfNamespace)) == nil {
		t.Errorf("%d wait still after a plan has ended", waits)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"
	"time"
)

func TestAKeyRestsInProportionToItsWork(t *testing.T) {
	start := time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	costly, other := Key{Name: "costly"}, Key{Name: "other"}
	p := Pace{Rest: 4}
	if left := p.Left(costly, at(0)); left != 0 {
		t.Errorf("what never worked rests for %s", left)
	}
	p.Worked(costly, at(0), at(2))
	for _, test := range []struct {
		key  Key
		at   int
		want time.Duration
	}{
		{costly, 2, 8 * time.Second},
		{costly, 9, time.Second},
		{other, 9, 0},
		{costly, 10, 0},
		{costly, 11, 0},
	} {
		if left := p.Left(test.key, at(test.at)); left != test.want {
			t.Errorf("%s rests for %s after %d s, want %s", test.key.Name, left, test.at, test.want)
		}
	}
	p.Worked(costly, at(20), at(30))
	p.Forget(costly)
	if left := p.Left(costly, at(30)); left != 0 {
		t.Errorf("what is forgotten rests for %s", left)
	}
}

func TestSmallWorkNeedsNoRest(t *testing.T) {
	start := time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC)
	p := Pace{Rest: 1, Free: time.Second}
	p.Worked(Key{Name: "small"}, start, start.Add(time.Second))
	p.Worked(Key{Name: "large"}, start, start.Add(2*time.Second))
	if left := p.Left(Key{Name: "small"}, start.Add(time.Second)); left != 0 {
		t.Errorf("small work is followed by a rest of %s", left)
	}
	if left := p.Left(Key{Name: "large"}, start.Add(2*time.Second)); left != 2*time.Second {
		t.Errorf("large work is followed by a rest of %s, want 2s", left)
	}
}

func TestNoRestIsLongerThanTheLongest(t *testing.T) {
	start := time.Date(2025, 7, 22, 21, 28, 8, 0, time.UTC)
	for took, want := range map[time.Duration]time.Duration{time.Second: 4 * time.Second, 2 * time.Second: 5 * time.Second} {
		p := Pace{Rest: 4, Longest: 5 * time.Second}
		p.Worked(Key{}, start, start.Add(took))
		if left := p.Left(Key{}, start.Add(took)); left != want {
			t.Errorf("work of %s is followed by a rest of %s, want %s", took, left, want)
		}
	}
}

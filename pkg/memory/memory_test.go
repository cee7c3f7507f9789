// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestGarbageIsCollectedBeforeTheProcessHasAllTheMemoryItMayHave(t *testing.T) {
	const before = 1 << 45
	failing := func(err error) memlimit.Provider { return func() (uint64, error) { return 0, err } }
	for name, tc := range map[string]struct {
		env     string
		allowed memlimit.Provider
		want    int64
	}{
		"nine tenths of what it may have": {allowed: memlimit.Limit(10 << 40), want: 9 << 40},
		"no limit":                        {allowed: failing(memlimit.ErrNoLimit), want: math.MaxInt64},
		"GOMEMLIMIT decides":              {env: "32TiB", allowed: memlimit.Limit(10 << 40), want: before},
		"a system without control groups": {allowed: failing(memlimit.ErrCgroupsNotSupported), want: before},
		"a limit that cannot be read":     {allowed: failing(errors.New("no permission")), want: before},
	} {
		t.Run(name, func(t *testing.T) {
			was := debug.SetMemoryLimit(before)
			t.Cleanup(func() { debug.SetMemoryLimit(was) })
			t.Setenv("GOMEMLIMIT", tc.env)
			if tc.env == "" {
				// Setenv puts it back.
				if err := os.Unsetenv("GOMEMLIMIT"); err != nil {
					t.Fatal(err)
				}
			}
			bound(tc.allowed)
			if got := debug.SetMemoryLimit(-1); got != tc.want {
				t.Errorf("the limit is %d, want %d", got, tc.want)
			}
		})
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// Package memory decides how much garbage a program has before it is collected: as much as pays, and never all the memory that it may have.
package memory

import (
	"errors"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"k8s.io/klog/v2"
)

// share is how much of the memory that the process may have is Go's. The rest is for what is not: the pages of etcd's database that are
// mapped, and those of files that the kernel has not written back.
const share = 0.9

// Bound has garbage collected as often as it takes to stay below nine tenths of what the control group of the process may have, as that of
// a container with a limit, unless GOMEMLIMIT tells another amount. Where nothing limits it, it changes nothing.
func Bound() { bound(memlimit.FromCgroup) }

func bound(allowed memlimit.Provider) {
	switch limit, err := memlimit.Set(memlimit.WithRatio(share), memlimit.WithProvider(allowed)); {
	case errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		// Nothing limits it.
	case err != nil:
		klog.ErrorS(err, "How much memory the process may have cannot be read: set GOMEMLIMIT to nine tenths of it, if it is limited")
	case limit < math.MaxInt64:
		klog.InfoS("Garbage is collected as often as it takes to stay below a limit of memory", "bytes", limit)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"syscall"
)

// damagedError is what is wrong with a data directory that must not be started on.
type damagedError struct{ reason error }

func (e *damagedError) Error() string { return e.reason.Error() }

func (e *damagedError) Unwrap() error { return e.reason }

// explain has an error of etcd name the data directory, and what there is to be done where that is known.
func explain(dir string, err error) error {
	var damaged *damagedError
	switch {
	case isFull(err):
		return fmt.Errorf("the disk of data directory %s is full: make room on it or enlarge it, then start the server again: %w", dir, err)
	case errors.As(err, &damaged):
		return fmt.Errorf("data directory %s is damaged and was left as it is: copy it away and restore a backup, as docs/known-issues.md tells: %w", dir, err)
	default:
		return fmt.Errorf("etcd on data directory %s: %w", dir, err)
	}
}

// isFull reports whether there was no room for a write, on the disk or in what its owner may have of it.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
)

// fullDisk makes the test binary a server whose etcd meets a full disk.
const fullDisk = "STAGEGATE_TEST_FULL_DISK"

// meetFullDisk logs what etcd does, which is not to be returned to.
func meetFullDisk() {
	logs := newLogCore(context.Background(), "/data")
	logs.settle()
	cause := &os.PathError{Op: "write", Path: "/data/db", Err: syscall.ENOSPC}
	switch os.Getenv(fullDisk) {
	case "fatal":
		logs.logger().Fatal("failed to commit tx", zap.Error(cause))
	case "panic":
		logs.logger().Panic("failed to save snapshot", zap.Error(cause))
	case "panic while it stops":
		logs.mute()
		logs.logger().Panic("failed to save snapshot", zap.Error(cause))
	}
	fmt.Fprintln(os.Stderr, "returned")
}

func TestAFullDiskEndsTheProcessWithOneLine(t *testing.T) {
	for _, how := range []string{"fatal", "panic", "panic while it stops"} {
		t.Run(how, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), fullDisk+"="+how)
			out, err := child.CombinedOutput()
			checkFullDisk(t, "/data", string(out), err)
		})
	}
}

// checkFullDisk checks how a process ended and what it said.
func checkFullDisk(t *testing.T, dir, out string, err error) {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("the process ended with %v, want exit status 1", err)
	}
	checkFullDiskLine(t, dir, out)
}

// checkFullDiskLine checks that a process said once that the disk is full, and what to do.
func checkFullDiskLine(t *testing.T, dir, out string) {
	t.Helper()
	var last string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "goroutine ") || strings.Contains(line, "panic") {
			t.Errorf("the process panics: %s", line)
		}
		if strings.Contains(line, "is full") {
			if last != "" {
				t.Errorf("more than one line tells it:\n%s%s", last, line)
			}
			last = line
		}
	}
	for _, want := range []string{"the disk of data directory " + dir + " is full: make room on it or enlarge it", "no space left on device"} {
		if !strings.Contains(last, want) {
			t.Errorf("got %q in\n%s\nwant %q", last, out, want)
		}
	}
}

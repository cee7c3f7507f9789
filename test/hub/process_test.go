// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func ready(context.Context) error { return nil }

func newSupervisor(t *testing.T) (supervisor, process) {
	s := supervisor{layout: layout{dir: t.TempDir()}, out: io.Discard}
	t.Cleanup(func() {
		if err := s.stop("sleeper"); err != nil {
			t.Error(err)
		}
	})
	return s, process{name: "sleeper", path: "/bin/sleep", args: []string{"600"}, ready: ready}
}

// started ensures p and returns its record.
func started(t *testing.T, s supervisor, p process) *pidRecord {
	t.Helper()
	if err := s.ensure(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	record, err := readPIDFile(s.pidFile(p.name))
	if err != nil || record == nil {
		t.Fatalf("pid file: %v, %v", record, err)
	}
	if !record.running() {
		t.Fatal("the process does not run")
	}
	return record
}

func TestEnsureLeavesAloneWhatRunsAsWanted(t *testing.T) {
	s, p := newSupervisor(t)
	first := started(t, s, p)
	if second := started(t, s, p); second.PID != first.PID {
		t.Errorf("pid %d, want %d", second.PID, first.PID)
	}
}

func TestEnsureBringsBackWhatWasKilled(t *testing.T) {
	s, p := newSupervisor(t)
	first := started(t, s, p)
	e := &Environment{supervisor: s, state: &state{}}
	if err := e.Kill(p.name); err != nil {
		t.Fatal(err)
	}
	if second := started(t, s, p); second.PID == first.PID {
		t.Error("the process was not started again")
	}
}

func TestEnsureReplacesOnNewArguments(t *testing.T) {
	s, p := newSupervisor(t)
	first := started(t, s, p)
	p.args = []string{"601"}
	started(t, s, p)
	if first.running() {
		t.Error("the old process still runs")
	}
}

func TestEnsureReplacesOnNewBinary(t *testing.T) {
	s, p := newSupervisor(t)
	binary, err := os.ReadFile(p.path)
	if err != nil {
		t.Fatal(err)
	}
	p.path = filepath.Join(t.TempDir(), "sleeper")
	install := func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(p.path), os.WriteFile(p.path, binary, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	install()
	first := started(t, s, p)
	install()
	started(t, s, p)
	if first.running() {
		t.Error("the old process still runs")
	}
}

func TestEnsureReportsTheEndOfTheLog(t *testing.T) {
	s, p := newSupervisor(t)
	p.path, p.args = "/bin/sh", []string{"-c", "echo the port is taken; exit 1"}
	p.ready = func(context.Context) error { return errors.New("connection refused") }
	err := s.ensure(t.Context(), p)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{p.name, "exited", "the port is taken"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not contain %q", err, want)
		}
	}
}

func TestStopForgetsTheProcess(t *testing.T) {
	s, p := newSupervisor(t)
	record := started(t, s, p)
	if err := s.stop(p.name); err != nil {
		t.Fatal(err)
	}
	if record.running() {
		t.Error("the process still runs")
	}
	if exists(s.pidFile(p.name)) {
		t.Error("the pid file is still there")
	}
}

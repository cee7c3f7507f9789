// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPIDRecordNamesOneProcess(t *testing.T) {
	started, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}

	for name, tc := range map[string]struct {
		record pidRecord
		want   bool
	}{
		"itself":                            {pidRecord{PID: os.Getpid(), Started: started}, true},
		"a later process with the same pid": {pidRecord{PID: os.Getpid(), Started: started + "1"}, false},
		"the same tick of another boot":     {pidRecord{PID: os.Getpid(), Started: "boot/" + filepath.Base(started)}, false},
		"a process that has ended":          {pidRecord{PID: ended.Process.Pid, Started: started}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := tc.record.open()
			if err != nil {
				t.Fatal(err)
			}
			if h != nil {
				h.Close()
			}
			if got := h != nil; got != tc.want {
				t.Errorf("found = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestPIDFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pids", "etcd")
	if r, err := readPIDFile(path); r != nil || err != nil {
		t.Fatalf("without a file: %v, %v", r, err)
	}
	want := &pidRecord{PID: 42, Started: "boot/7", Identity: "abc"}
	if err := want.save(path); err != nil {
		t.Fatal(err)
	}
	got, err := readPIDFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// testImage plays the tutorial on a server that sees nothing but the file system of its image, as the user of its pod. What takes long is to
// link the server, and, the first time, to compile all of it: a release has other flags for the compiler.
func testImage(t *testing.T, s *suite) {
	if os.Geteuid() != 0 {
		t.Skip("only root may change the root of a process")
	}
	commit := exec.CommandContext(t.Context(), "git", "rev-parse", "--verify", "HEAD")
	commit.Dir = s.options.Root
	if out, err := commit.CombinedOutput(); err != nil {
		t.Skipf("an image bears the commit that it is built from: %v: %s", err, out)
	}
	// It is moved into the image and out of it, which a file system does within itself.
	built, image := t.TempDir(), filepath.Join(s.options.Dir, "data", "image")
	on := "linux/" + runtime.GOARCH
	s.release(t, "image", "-root", s.options.Root, "-version", "v0.1.0-e2e", "-platforms", on, "-program", serverProcess, "-out", built)
	if err := os.RemoveAll(image); err != nil {
		t.Fatal(err)
	}
	s.release(t, "unpack", "-layout", filepath.Join(built, serverProcess), "-platforms", on, "-out", image)
	t.Cleanup(func() {
		s.options.Image = ""
		s.up(t)
		if err := os.RemoveAll(image); err != nil {
			t.Error(err)
		}
	})
	s.options.Image = image
	s.up(t)
	process := confined(t, s, image)
	testTutorialClusterScoped(t, s)
	if after := confined(t, s, image); after != process {
		t.Errorf("process %d has become %d", process, after)
	}
}

// release runs a command of hack/release.
func (s *suite) release(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "."}, args...)...)
	cmd.Dir = filepath.Join(s.options.Root, "hack", "release")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("release %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// confined holds that the server sees the image alone, as a user without any rights of the kernel, and returns its pid.
func confined(t *testing.T, s *suite, image string) int {
	t.Helper()
	var record struct {
		PID int `json:"pid"`
	}
	data, err := os.ReadFile(pidFile(s))
	if err == nil {
		err = json.Unmarshal(data, &record)
	}
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", record.PID))
	if err != nil || root != image {
		t.Errorf("the root of the server is %s (%v), want %s", root, err, image)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", record.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532\n", "Gid:\t65532\t65532\t65532\t65532\n", "Groups:\t \n", "CapEff:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the server is not %q:\n%s", want, status)
		}
	}
	return record.PID
}

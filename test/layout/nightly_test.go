// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nightly is hack/nightly.sh in a directory of its own, with a go tool that is a script: what a step finds is not the matter here.
type nightly struct{ dir string }

func newNightly(t *testing.T, goTool string) nightly {
	t.Helper()
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("flock is missing, which Linux has")
	}
	dir := t.TempDir()
	for path, text := range map[string]string{"hack/nightly.sh": read(t, "../../hack/nightly.sh"), "bin/go": "#!/usr/bin/env bash\n" + goTool} {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return nightly{dir}
}

func (n nightly) command(t *testing.T, steps string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(n.dir, "hack", "nightly.sh"))
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(n.dir, "bin")+":"+os.Getenv("PATH"), "STEPS="+steps, "SEED=7", "DIR="+n.dir)
	return cmd
}

func (n nightly) summary(t *testing.T) string {
	t.Helper()
	return read(t, filepath.Join(n.dir, "_output", "nightly", "summary.txt"))
}

func TestTwoNightlyRunsDoNotMix(t *testing.T) {
	// The step tells that it has begun, and ends when it is told to. It leaves a process behind, as hubs are, which must not hold the lock.
	n := newNightly(t, `sleep 60 >/dev/null 2>&1 & echo $! >"$DIR/left"; echo >"$DIR/begun"; read -r <"$DIR/end"; echo ok`)
	for _, pipe := range []string{"begun", "end"} {
		if out, err := exec.Command("mkfifo", filepath.Join(n.dir, pipe)).CombinedOutput(); err != nil {
			t.Fatalf("mkfifo: %v: %s", err, out)
		}
	}
	first := n.command(t, "simulator")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("kill", strings.TrimSpace(read(t, filepath.Join(n.dir, "left")))).Run()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "cat", filepath.Join(n.dir, "begun")).CombinedOutput(); err != nil {
		t.Fatalf("the step has not begun: %v: %s", err, out)
	}
	before := n.summary(t)
	out, err := n.command(t, "handover").CombinedOutput()
	if want := "Another hack/nightly.sh runs in " + n.dir + ": wait for it, or stop it."; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("a second run says %q (%v), want %q", out, err, want)
	}
	if after := n.summary(t); after != before {
		t.Errorf("the second run has made of the first one's summary\n%s\nbefore\n%s", after, before)
	}
	if err := os.WriteFile(filepath.Join(n.dir, "end"), []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("the first run: %v\n%s", err, n.summary(t))
	}
	lock := exec.Command("flock", "--nonblock", filepath.Join(n.dir, "_output", "nightly", "lock"), "true")
	if out, err := lock.CombinedOutput(); err != nil {
		t.Errorf("the lock is held after the first run: %v: %s", err, out)
	}
}

func TestNightlyNamesTheLogOfTheServer(t *testing.T) {
	n := newNightly(t, `for arg; do [ "$before" = -log ] && echo panic >"$arg"; before=$arg; done; echo "error: 1 violation"; exit 1`)
	if out, err := n.command(t, "soak").CombinedOutput(); err == nil {
		t.Fatalf("a step that fails is taken for ok:\n%s", out)
	}
	const log = "_output/nightly/soak-server.log"
	if got := n.summary(t); !strings.Contains(got, "FAIL") || !strings.Contains(got, "error: 1 violation; the server's log is in "+log) {
		t.Errorf("the summary does not name the log:\n%s", got)
	}
	if got := read(t, filepath.Join(n.dir, log)); got != "panic\n" {
		t.Errorf("the log is %q", got)
	}
	// That of another night is not taken for that of this one.
	if err := os.WriteFile(filepath.Join(n.dir, "bin", "go"), []byte("#!/usr/bin/env bash\necho PASS"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := n.command(t, "soak").CombinedOutput(); err != nil || strings.Contains(string(out), "server's log") {
		t.Errorf("a step without a failure says (%v)\n%s", err, out)
	}
}

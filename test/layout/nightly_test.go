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
